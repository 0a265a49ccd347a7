"""The relay's real ends, a veth and a TAP, when something is done to them from outside."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wires import ETHERTYPE, Ear, Frame, Wire, ip

from appbed.impairment import Impairment

pytestmark = [pytest.mark.root, pytest.mark.thorough]  # real interfaces


@pytest.fixture
def wire() -> Iterator[Wire]:
    """The far host behind a delay of 1 ms."""
    with Wire("relay") as wire:
        wire.far.plug(up=Impairment(delay_ms=1))
        yield wire


def numbers(frames: list[Frame]) -> list[int]:
    return [frame.number for frame in frames if frame.data[12:14] == ETHERTYPE.to_bytes(2, "big")]


def far_is_carried(wire: Wire) -> bool:
    with contextlib.closing(Ear("bridge")) as ear:
        wire.far.send(*range(10))
        return set(range(10)) <= set(numbers(ear.until(lambda frames: len(numbers(frames)) >= 10, "ten frames")))


def processor_s() -> float:
    """Of this process's children: the relay is the one that works."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return sum(int(Path(f"/proc/{child}/schedstat").read_text(encoding="ascii").split()[0]) for child in children) / 1e9


def test_a_tap_that_is_deleted_cuts_its_cable_alone_and_is_not_asked_without_end(wire: Wire) -> None:
    wire.near.plug(up=Impairment(delay_ms=800))
    wire.near.send(*range(5))
    wait_until(lambda: wire.near.counted("up")["frames_in"] >= 5)
    ip(f"link del dev {wire.near.port.name}")
    assert far_is_carried(wire)
    before_s = processor_s()
    threading.Event().wait(0.5)  # nothing is to happen: what is measured is how little
    assert processor_s() - before_s < 0.1
    wait_until(lambda: wire.near.counted("up")["refused"] >= 5)
    wire.cables.unplug(wire.near.port, gone=False)
    wire.near.plug(up=Impairment(delay_ms=1))
    assert far_is_carried(wire)


def test_a_veth_that_goes_with_frames_inside_leaves_them_counted(wire: Wire) -> None:
    wire.near.plug(down=Impairment(delay_ms=800))
    wire.far.send(*range(20))
    wait_until(lambda: wire.near.counted("down")["frames_in"] >= 20)
    ip(f"link del dev {wire.near.veth}")
    wait_until(lambda: wire.near.counted("down")["refused"] >= 20)
    assert wire.near.counted("down")["frames_out"] == 0
    assert far_is_carried(wire)
    wire.cables.unplug(wire.near.port, gone=True)
    assert far_is_carried(wire)


def test_a_veth_that_is_down_for_a_while_is_carried_again(wire: Wire) -> None:
    wire.near.plug()
    ip(f"link set dev {wire.near.veth} down")
    assert far_is_carried(wire)
    ip(f"link set dev {wire.near.veth} up")
    with contextlib.closing(Ear("bridge")) as ear:
        deadline = time.monotonic() + 10
        while 7 not in numbers(ear.listen(quiet_s=0.02)):
            assert time.monotonic() < deadline, "nothing is carried within 10 s"
            wire.near.send(7)


def test_a_bridge_that_goes_leaves_the_relay_at_work(wire: Wire) -> None:
    wire.near.plug(up=Impairment(delay_ms=1))
    ip("link del dev bridge")
    wire.near.send(1, 2, 3)
    wait_until(lambda: wire.near.counted("up")["frames_in"] >= 3)
    with pytest.raises(OSError, match="Invalid argument"):
        wire.cables.unplug(wire.near.port, gone=False)
    assert wire.near.port.name not in wire.cables.counters()


def test_a_link_in_use_gets_its_cable_without_a_frame_carried_twice(wire: Wire) -> None:
    """Until then the bridge carried the frames: those must not come out of the cable as well."""
    stop = threading.Event()

    def sending() -> None:
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            wire.near.send(number)

    with wire.far.ear() as ear:
        thread = threading.Thread(target=sending)
        thread.start()
        try:
            ear.until(lambda frames: len(frames) > 200, "frames over the bridge")
            wire.near.plug()
            wait_until(lambda: wire.near.counted("up")["frames_out"] > 200)
        finally:
            stop.set()
            thread.join()
        times = Counter(numbers(ear.listen(quiet_s=0.3)))
    assert set(times.values()) == {1}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "not within 10 s"
