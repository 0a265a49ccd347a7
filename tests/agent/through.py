"""What comes through a cable, measured so that a busy machine does not make a faithful one look wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from wires import ETHERTYPE, Frame, Wire

from appbed.impairment import Impairment, Link

FULL = 1514
QUIET_S = 0.1  # after which nothing more is expected, once the cable is empty
ROUNDING_MS = 0.003  # tc counts in units of 64 ns, and shows whole microseconds


def ours(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.data[12:14] == ETHERTYPE.to_bytes(2, "big")]


def carried(wire: Wire, count: int, *, size: int = 60) -> list[Frame]:
    """What the far host hears of `count` frames that the near one sends at once through a cable just plugged in."""
    with wire.far.ear() as ear:
        wire.near.send(*range(count), size=size)
        wire.near.settled("up", count)
        return ours(ear.listen(quiet_s=QUIET_S))


def delays_ms(wire: Wire, count: int, *, size: int = 60) -> list[float]:
    """Of each frame, from leaving the near host's interface to reaching the far one's; a few at a time, as one that waits for the
    relay's turn is late."""
    with wire.near.ear() as left, wire.far.ear() as ear:
        for number in range(0, count, 10):
            wire.near.send(*range(number, min(number + 10, count)), size=size)
            ear.listen(quiet_s=0.0005)
        arrived = ours(ear.until(lambda frames: len(ours(frames)) >= count, f"{count} frames"))
        sent = {frame.number: frame.time_ms for frame in ours(left.listen(quiet_s=0)) if frame.outgoing}
    return [frame.time_ms - sent[frame.number] for frame in arrived]


def in_time(measure: Callable[[], float], least: float, most: float) -> bool:
    """Never less, and not more in one of ten times: a shared machine makes some late, too late each time is the cable's fault."""
    found = []
    for _ in range(10):
        found.append(measure())
        assert found[-1] >= least, found
        if found[-1] < most:
            return True
    pytest.fail(f"{found}: none below {most}")


def within(share: float, expected: float, count: int) -> bool:
    return abs(share - expected) <= 5 * math.sqrt(expected * (1 - expected) / count)


def both(it: Impairment) -> Link:
    return Link(it, it)
