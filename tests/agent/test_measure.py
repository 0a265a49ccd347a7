"""Measuring real cables: what the measuring process says is what is set, and it disturbs nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import pytest
from wires import Host, Wire

from appbed import fidelity, impairment
from appbed.agent import measure, measures
from appbed.agent.netlink import Interface, Netlink
from appbed.errors import AgentError
from appbed.fidelity import Sample, Series, bounds, judge
from appbed.fidelity.judge import FULL, QUICK
from appbed.impairment import Impairment
from appbed.verdict import Outcome
from needed import need_netem

pytestmark = [pytest.mark.root, pytest.mark.thorough]  # frames on real cables take real time
PROBES = Series("probes", 10, 60, 5_000, 0, 500_000)


@pytest.fixture(params=["relay", "netem"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    if request.param == "netem":
        need_netem()
    with Wire(request.param) as wire:
        yield wire


def it(**settings: Any) -> Impairment:
    return impairment.parse(settings, "test")


def packet() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


def named(name: str) -> Interface:
    with Netlink() as netlink:
        return next(each for each in netlink.interfaces() if each.name == name)


def played(wire: Wire, host: Host, ways: dict[str, tuple[Series, ...]], **change: Any) -> dict[str, Any]:
    """As the agent has it done: one end in the host, the other at its port of the bridge; `change` in every lane."""
    plugged = wire.cables.kind == "relay" and host.port.name in wire.cables.counters()
    bridge = named("bridge").mac.hex()
    with host.inside():
        mac = named("eth0").mac.hex()
    lanes = {
        "up": {"from": 0, "to": 2, "source": mac, "destination": bridge},
        "down": {"from": 1, "to": 0, "source": bridge, "destination": mac},
    }
    asked = [{**lanes[way], "series": [asdict(one) for one in series], **change} for way, series in ways.items()]
    described = [
        {"interface": "eth0", "listens": True},
        {"interface": host.port.name if plugged else host.veth, "listens": False},
        {"interface": "bridge", "listens": True},
    ]
    with ExitStack() as stack:
        with host.inside():
            inside = stack.enter_context(packet())
        sockets = [inside, stack.enter_context(packet()), stack.enter_context(packet())]
        said = asyncio.run(measures.play({"sockets": described, "lanes": asked}, sockets))
    return dict(zip(ways, said["lanes"], strict=True))


def sampled(wire: Wire, up: Impairment, down: Impairment, *, full: bool = False) -> dict[str, Sample]:
    plan = fidelity.full if full else fidelity.quick
    links, ways = {"up": up, "down": down}, {"up": plan(up, 1500), "down": plan(down, 1500)}
    answers = played(wire, wire.near, ways)
    return {way: fidelity.sample(links[way], ways[way], answers[way], (None, None)) for way in ways}


def failed(wire: Wire, up: Impairment, down: Impairment, *, full: bool = False) -> set[tuple[str, str]]:
    """What is out of tolerance each of three times: a machine with much to do may be late once."""
    wrong: set[tuple[str, str]] = set()
    for attempt in range(3):
        found = sampled(wire, up, down, full=full)
        seen = {
            (way, reading.what)
            for way, link in (("up", up), ("down", down))
            for reading in judge(link, found[way], bounds.each(100), FULL if full else QUICK)
            if reading.outcome is Outcome.FAILED
        }
        wrong = seen if not attempt else wrong & seen
        if not wrong:
            break
    return wrong


def test_each_direction_is_measured_apart(wire: Wire) -> None:
    up, down = it(delay="30ms"), it(delay="12ms", rate="10mbit")
    wire.near.plug(up, down)
    assert not failed(wire, up, down)
    found = sampled(wire, up, down)
    assert 29.9 < min(found["up"].delays_ms) < 32
    assert 11.9 < min(found["down"].delays_ms) < 14


def test_a_plain_port_is_measured_too(wire: Wire) -> None:
    assert not failed(wire, it(), it())


@pytest.mark.parametrize("way", ["up", "down"])
def test_thirty_milliseconds_that_nobody_set_are_noticed(wire: Wire, way: str) -> None:
    hidden = it(delay="30ms")
    wire.near.plug(**{way: hidden})
    assert failed(wire, it(), it()) == {(way, "delay")}


def test_losses_and_a_rate_that_nobody_set_are_noticed(wire: Wire) -> None:
    wire.near.plug(it(loss="60%"), it(rate="5mbit"))
    assert failed(wire, it(), it()) == {("up", "loss"), ("down", "rate")}


@pytest.mark.thorough
def test_full_statistics_of_a_cable_with_everything(wire: Wire) -> None:
    up = it(delay="20ms", reorder="5%", duplicate="3%", corrupt="2%", loss="2%")
    down = it(delay="5ms", rate="10mbit", queue="30")
    wire.near.plug(up, down)
    assert not failed(wire, up, down, full=True)


def test_a_link_that_is_down_carries_nothing(wire: Wire) -> None:
    wire.near.plug(it(state="down"), it())
    assert sampled(wire, it(state="down"), it())["up"].lost == 10


def test_no_other_host_sees_a_probe(wire: Wire) -> None:
    wire.near.plug(it(delay="1ms"), it(delay="1ms"))
    with wire.far.ear() as ear:
        played(wire, wire.near, {"up": (PROBES,), "down": (PROBES,)})
        heard = ear.listen(quiet_s=0.2)
    assert [frame for frame in heard if frame.data[12:14] == measure.ETHERTYPE.to_bytes(2, "big")] == []


def test_frames_of_somebody_else_are_not_counted(wire: Wire) -> None:
    wire.near.plug(it(delay="1ms"), it(delay="1ms"))
    wire.near.send(*range(5))
    found = sampled(wire, it(delay="1ms"), it(delay="1ms"))
    assert (found["up"].lost, found["up"].copies, found["up"].damaged) == (0, 0, 0)


def test_an_interface_that_is_not_there_is_an_error_and_no_result(wire: Wire) -> None:
    wire.near.plug(it(delay="1ms"), it())
    wire.near.port = type(wire.near.port)("near@net", "gone", 1, "gone", 1)
    wire.near.veth = "gone"
    with pytest.raises(AgentError, match="measurement: "):
        played(wire, wire.near, {"down": (PROBES,)})
