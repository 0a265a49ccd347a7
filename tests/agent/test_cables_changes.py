"""One meaning, two back-ends: cables plugged in, changed in an open session, and taken out again."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from through import QUIET_S, ROUNDING_MS, both, carried, delays_ms, in_time, ours
from wires import Ear, Wire, ip, qdiscs

from appbed import units
from appbed.agent import netem
from appbed.impairment import CLEAN, Impairment

pytestmark = [pytest.mark.root, pytest.mark.thorough]


def test_a_clean_cable_carries_everything_in_order(wire: Wire) -> None:
    wire.near.plug()
    assert [frame.number for frame in carried(wire, 500)] == list(range(500))


def test_an_unplugged_port_is_plain_again(wire: Wire) -> None:
    before = devices()
    wire.near.plug(up=Impairment(delay_ms=500), down=Impairment(loss_pct=100))
    wire.unplug()
    assert devices() == before
    assert "netem" not in qdiscs()
    assert in_time(lambda: max(delays_ms(wire, 5)), 0, 250)
    assert wire.cables.counters() == {}


def test_it_can_be_plugged_in_again_and_again(wire: Wire) -> None:
    for delay_ms in (1, 40):
        wire.near.plug(up=Impairment(delay_ms=delay_ms))
        assert in_time(lambda: min(delays_ms(wire, 20)), delay_ms - ROUNDING_MS, delay_ms + 5)
        wire.unplug()


def test_a_plug_that_fails_half_way_is_undone(wire: Wire) -> None:
    before = devices(), qdiscs()
    port = replace(wire.near.port, veth=4711, veth_name="nosuch")
    with pytest.raises(OSError, match=r"nosuch|No such device"):
        wire.cables.plug(port, both(Impairment(delay_ms=5)))
    assert (devices(), qdiscs()) == before
    assert len(delays_ms(wire, 20)) == 20


def test_an_interface_that_goes_while_it_is_shaped_leaves_the_other_cable_alone(own_wire: Wire) -> None:
    own_wire.near.plug(up=Impairment(delay_ms=50))
    own_wire.far.plug(up=Impairment(delay_ms=1))
    own_wire.near.send(*range(20))
    ip(f"link del dev {own_wire.near.veth}")
    own_wire.unplug(own_wire.near, gone=True)
    own_wire.far.set(up=Impairment(delay_ms=30))
    ear = Ear("bridge")
    own_wire.far.send(*range(100, 110))
    heard = ear.until(lambda frames: len(ours(frames)) >= 10, "ten frames on the bridge")
    assert {frame.number for frame in ours(heard)} >= set(range(100, 110))
    ear.close()
    assert own_wire.near.port.name not in devices()


def test_a_link_that_is_down_carries_nothing_but_what_is_on_the_way(wire: Wire) -> None:
    wire.near.plug(up=Impairment(delay_ms=500))
    with wire.far.ear() as ear:
        wire.near.send(*range(10))
        wire.near.entered("up", 10)
        wire.near.set(up=Impairment(delay_ms=500, state="down"))
        wire.near.send(*range(10, 30))
        wire.near.settled("up", 30)
        assert {frame.number for frame in ours(ear.listen(quiet_s=QUIET_S))} == set(range(10))
        wire.near.set(up=Impairment(delay_ms=1))
        wire.near.send(*range(30, 40))
        ear.until(lambda frames: len(ours(frames)) >= 20, "ten frames through the link that is up again")


def test_what_would_be_doubled_is_not_carried_by_a_link_that_is_down(wire: Wire) -> None:
    wire.near.plug(up=Impairment(duplicate_pct=50, state="down"))
    assert not carried(wire, 200)


def test_changes_in_an_open_session_lose_nothing(wire: Wire) -> None:
    room = units.Queue(packets=1000)
    settings = [
        Impairment(delay_ms=5),
        Impairment(delay_ms=40, jitter_ms=10, distribution="normal"),
        CLEAN,
        Impairment(rate_bit=50e6, delay_ms=10, queue=room),
        Impairment(rate_bit=5e6, queue=room),
        Impairment(delay_ms=20, jitter_ms=5, reorder_pct=5),
    ]
    wire.near.plug()
    with wire.far.ear() as ear:
        for number in range(0, 1000, 50):
            wire.near.send(*range(number, number + 25))
            wire.near.set(up=settings[number // 50 % len(settings)])
            wire.near.send(*range(number + 25, number + 50))
        wire.near.settled("up", 1000)
        arrived = {frame.number for frame in ours(ear.listen(quiet_s=QUIET_S))}
    assert sorted(set(range(1000)) - arrived) == []


def test_nothing_of_an_earlier_setting_stays(wire: Wire) -> None:
    everything = Impairment(300, 50, "normal", 30, None, 20, 20, 20, 1e5, units.Queue(packets=2))
    wire.near.plug(up=everything, down=everything)
    wire.near.set()
    assert in_time(lambda: max(delays_ms(wire, 300)), 0, 100)


def test_what_the_kernel_shows_is_compared_with_what_was_said(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here tc forgets one word; and a change that fails leaves every link as it was."""
    if wire.cables.kind != "netem":
        pytest.skip("the relay is not told through the kernel")
    wire.near.plug(up=Impairment(delay_ms=30))
    wire.far.plug()
    before = qdiscs()
    words = netem.Stage.words
    monkeypatch.setattr(netem.Stage, "words", lambda stage: words(stage).replace("corrupt 2.0", "corrupt 1.0"))
    with pytest.raises(OSError, match="corrupt_pct is 1 instead of 2"):
        wire.cables.set({host.port.name: both(Impairment(delay_ms=7, corrupt_pct=2)) for host in (wire.near, wire.far)})
    assert qdiscs() == before


def test_one_interface_that_is_gone_keeps_all_links_as_they_were(own_wire: Wire) -> None:
    if own_wire.cables.kind != "netem":
        pytest.skip("the relay does not touch the interface to change a link")
    own_wire.near.plug(up=Impairment(delay_ms=30))
    own_wire.far.plug(up=Impairment(delay_ms=40))
    ip(f"link del dev {own_wire.far.veth}")
    before = qdiscs()
    with pytest.raises(OSError, match=f'Cannot find device "{own_wire.far.veth}"'):
        own_wire.cables.set({host.port.name: both(Impairment(delay_ms=7)) for host in (own_wire.near, own_wire.far)})
    assert qdiscs() == before


def test_a_seed_draws_the_same_again_or_is_said_to_be_unused(wire: Wire) -> None:
    losses = []
    for _ in range(2):
        wire.near.plug(up=Impairment(loss_pct=30, seed=7))
        losses.append([frame.number for frame in carried(wire, 300)])
        wire.unplug()
    assert (losses[0] == losses[1]) is ("seed" not in wire.cables.unused)


@pytest.mark.parametrize("orderly", [True, False])
def test_what_an_earlier_agent_left_is_taken_away_from_a_clean_port(wire: Wire, orderly: bool) -> None:
    """One that ended in order has taken its devices away, and cut the link; one that was killed has not."""
    if wire.cables.kind != "netem":
        pytest.skip("what the relay makes goes with its process")
    before = devices(), qdiscs()
    earlier = netem.NetemCables()
    earlier.plug(wire.near.port, both(Impairment(delay_ms=500)))
    assert in_time(lambda: min(delays_ms(wire, 5)), 500 - ROUNDING_MS, 600)
    if orderly:
        earlier.leave()
        assert devices() == before[0]
        with wire.far.ear() as ear:
            wire.near.send(*range(20))
            assert ours(ear.listen(quiet_s=QUIET_S)) == []
    wire.cables.clean(wire.near.port)
    assert (devices(), qdiscs()) == before
    assert in_time(lambda: max(delays_ms(wire, 5)), 0, 250)


def devices() -> set[str]:
    return {name for _, name in socket.if_nameindex()}
