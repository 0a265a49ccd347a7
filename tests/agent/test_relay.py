"""The relay's loop over plain sockets: what waits leaves in time and order, in bounded memory, whatever happens at an end."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from appbed.agent import relay
from appbed.agent.cables import Port
from appbed.agent.emulation import Direction
from appbed.agent.ends import Cable, Way
from appbed.agent.relay import Relay
from appbed.agent.relay_cables import RelayCables
from appbed.impairment import CLEAN, Impairment, Link

pytestmark = pytest.mark.thorough  # frames wait in real time

WAIT_S = 10.0


class Sockets(Cable):
    """A cable between sockets of this process, in place of a veth and a TAP."""

    def __init__(self, request: dict[str, Any], _: object) -> None:
        made.append(self)
        link = relay.link_of(request["link"])
        self.name = request["name"]
        self.up, self.down = Direction(link.up), Direction(link.down)
        self.host, self._host = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.bridge, self._bridge = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.host, self.bridge, self._host, self._bridge):
            end.setblocking(False)
        one, other = self._host.fileno(), self._bridge.fileno()
        self.ways = {one: Way(self.up, other), other: Way(self.down, one)}

    def close(self) -> None:
        self._host.close()
        self._bridge.close()


made: list[Sockets] = []


@pytest.fixture
def cables(monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayCables]:
    """A relay with room for 20 kB of frames."""
    monkeypatch.setattr(relay, "Cable", Sockets)
    made.clear()
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    loop = Relay(theirs, room=20_000)
    thread = threading.Thread(target=loop.run)
    thread.start()
    mine.settimeout(WAIT_S)
    yield RelayCables(mine)
    mine.close()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "the relay ends when its control does"
    loop.close()
    theirs.close()
    for cable in made:
        cable.host.close()
        cable.bridge.close()


def plugged(cables: RelayCables, name: str = "a", up: Impairment = CLEAN, down: Impairment = CLEAN) -> Sockets:
    cables.plug(Port(name, name, 0, name, 0), Link(up, down))
    return made[-1]


def heard(end: socket.socket) -> bytes:
    assert select.select([end], [], [], WAIT_S)[0], "no frame came"
    return end.recv(65_536)


def quiet(end: socket.socket) -> bool:
    return not select.select([end], [], [], 0)[0]


def test_frames_of_cables_with_different_delays_leave_by_their_times(cables: RelayCables) -> None:
    slow, fast = (plugged(cables, name, up=Impairment(delay_ms=ms)) for name, ms in (("slow", 300), ("fast", 50)))
    slow.host.send(b"slow")
    fast.host.send(b"fast")
    assert heard(fast.bridge) == b"fast"
    assert quiet(slow.bridge)
    assert heard(slow.bridge) == b"slow"


def test_a_frame_never_leaves_before_its_time(cables: RelayCables) -> None:
    cable = plugged(cables, up=Impairment(delay_ms=20), down=Impairment(delay_ms=20))
    for _ in range(10):
        for sender, receiver in ((cable.host, cable.bridge), (cable.bridge, cable.host)):
            began = time.monotonic()
            sender.send(b"frame")
            heard(receiver)
            assert time.monotonic() - began >= 0.020


def test_what_overtakes_is_what_has_the_shorter_delay(cables: RelayCables) -> None:
    cable = plugged(cables, up=Impairment(delay_ms=400))
    cable.host.send(b"first")
    wait_for(cables, "a", "frames_in", 1)
    for delay_ms in (200, 0):
        cables.set({"a": Link(Impairment(delay_ms=delay_ms), CLEAN)})
        cable.host.send(f"{delay_ms} ms".encode())
        wait_for(cables, "a", "frames_in", 2 if delay_ms else 3)
    assert [heard(cable.bridge) for _ in range(3)] == [b"0 ms", b"200 ms", b"first"]


def test_jitter_changes_the_order_and_loses_nothing(cables: RelayCables) -> None:
    cable = plugged(cables, up=Impairment(delay_ms=20, jitter_ms=20))
    frames = [bytes([number]) for number in range(100)]
    for frame in frames:
        cable.host.send(frame)
    came = [heard(cable.bridge) for _ in frames]
    assert came != frames
    assert sorted(came) == frames


def test_frames_on_the_way_have_bounded_memory_and_the_rest_is_counted(cables: RelayCables) -> None:
    """A sender that is faster than anything, on a way that is longer than all memory: 20 kB hold 12 frames and what they cost."""
    cable = plugged(cables, up=Impairment(delay_ms=60_000))
    for _ in range(30):
        cable.host.send(bytes(1500))
    wait_for(cables, "a", "frames_in", 30)
    assert cables.counters()["a"]["up"]["overflowed"] == 30 - 20_000 // 1650


def test_room_comes_back_when_frames_leave_and_when_their_cable_is_unplugged(cables: RelayCables) -> None:
    cable = plugged(cables, up=Impairment(delay_ms=30))
    for _ in range(40):
        cable.host.send(bytes(1500))
        heard(cable.bridge)
    full = plugged(cables, "full", up=Impairment(delay_ms=60_000))
    for _ in range(20):
        full.host.send(bytes(1500))
    wait_for(cables, "full", "frames_in", 20)
    assert cables.counters()["full"]["up"]["overflowed"] == 8
    cable.host.send(bytes(1500))
    wait_for(cables, "a", "overflowed", 1)
    cables.unplug(Port("full", "full", 0, "full", 0), gone=True)
    cable.host.send(bytes(1500))
    assert heard(cable.bridge) == bytes(1500)


def test_frames_inside_a_cable_that_is_unplugged_go_nowhere(cables: RelayCables) -> None:
    """Its descriptors are used again at once: nothing of the old cable may come out of the new one."""
    plugged(cables, "old", up=Impairment(delay_ms=100)).host.send(b"old")
    wait_for(cables, "old", "frames_in", 1)
    cables.unplug(Port("old", "old", 0, "old", 0), gone=True)
    new = plugged(cables, "new", up=Impairment(delay_ms=200))
    new.host.send(b"new")
    assert heard(new.bridge) == b"new"
    assert quiet(new.bridge)


def test_an_end_that_takes_nothing_is_counted_and_the_other_cable_goes_on(cables: RelayCables) -> None:
    broken, sound = plugged(cables, "broken"), plugged(cables, "sound", up=Impairment(delay_ms=5))
    broken.bridge.close()
    broken.host.send(b"frame")
    wait_for(cables, "broken", "refused", 1)
    sound.host.send(b"frame")
    assert heard(sound.bridge) == b"frame"


def test_every_frame_is_in_one_counter(cables: RelayCables) -> None:
    cable = plugged(cables, up=Impairment(delay_ms=1, loss_pct=30, duplicate_pct=20))
    for number in range(150):  # nobody reads them: the socket has room for 277
        cable.host.send(bytes([number]))
        if number % 50 == 49:
            wait_for(cables, "a", "frames_in", number + 1)
    deadline = time.monotonic() + WAIT_S
    while True:
        up = cables.counters()["a"]["up"]
        # The relay's own room may overflow: what came is in it until its millisecond is over.
        ended = sum(up[counter] for counter in ("frames_out", "lost", "overflowed"))
        if up["frames_in"] + up["duplicated"] == ended:
            break
        assert time.monotonic() < deadline, up
    assert up["lost"] > 0
    assert up["duplicated"] > 0


def test_a_cable_that_is_not_there_is_an_answer_and_the_relay_goes_on(cables: RelayCables) -> None:
    cable = plugged(cables)
    with pytest.raises(OSError, match="no cable 'b' is plugged in"):
        cables.set({"a": Link(Impairment(loss_pct=100), CLEAN), "b": Link()})
    with pytest.raises(OSError, match="no cable 'b' is plugged in"):
        cables.unplug(Port("b", "b", 0, "b", 0), gone=True)
    cable.host.send(b"frame")
    assert heard(cable.bridge) == b"frame", "all or none"


def test_a_cable_of_the_same_name_takes_the_place_of_the_one_before(cables: RelayCables) -> None:
    old = plugged(cables, up=Impairment(delay_ms=60_000))
    old.host.send(b"old")
    wait_for(cables, "a", "frames_in", 1)
    new = plugged(cables)
    assert old.bridge.recv(1) == b"", "the old one is closed"
    new.host.send(b"new")
    assert heard(new.bridge) == b"new"


def wait_for(cables: RelayCables, name: str, counter: str, count: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while cables.counters()[name]["up"][counter] < count:
        assert time.monotonic() < deadline, f"{counter} stays below {count}: {cables.counters()}"
        os.sched_yield()
