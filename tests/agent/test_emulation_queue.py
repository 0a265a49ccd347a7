"""The relay's rate, queue and changes while frames are inside: exact to the nanosecond and the packet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed import units
from appbed.agent.emulation import Direction
from appbed.errors import TopologyError
from appbed.impairment import Impairment, parse

MS = 1_000_000
FRAME = bytes(range(100))


def feed(direction: Direction, count: int, gap_ns: int = MS, size: int = 100) -> list[list[tuple[int, bytes]]]:
    """What comes out of each of `count` frames that enter one gap after the other."""
    return [direction.admit(number * gap_ns, bytes(size)) for number in range(count)]


def lost(direction: Direction, count: int) -> list[bool]:
    return [not came_out for came_out in feed(direction, count)]


# ---- rate and queue


@given(st.integers(10_000, 10**10), st.lists(st.integers(14, 1514), min_size=1, max_size=60))
def test_frames_leave_one_after_the_other_at_the_rate(rate_bit: int, sizes: list[int]) -> None:
    """Back to back: each leaves its own serialisation time after the one before, to the nanosecond."""
    direction = Direction(Impairment(rate_bit=rate_bit, queue=units.Queue(packets=1000)))
    when = 0
    for size in sizes:
        when += round(8e9 * size / rate_bit)
        assert direction.admit(0, bytes(size)) == [(when, bytes(size))]


def test_a_frame_on_an_idle_link_takes_only_its_own_time() -> None:
    direction = Direction(Impairment(rate_bit=1e6, delay_ms=30))
    for start in (0, 100 * MS, 200 * MS):
        ((left, _),) = direction.admit(start, bytes(1250))
        assert left == start + 10 * MS + 30 * MS


@given(st.integers(1, 200), st.integers(1, 100))
def test_a_queue_holds_its_packets_and_the_one_being_sent(limit: int, over: int) -> None:
    direction = Direction(Impairment(rate_bit=1e6, queue=units.Queue(packets=limit)))
    out = [direction.admit(0, bytes(125)) for _ in range(1 + limit + over)]
    assert [bool(came_out) for came_out in out] == [True] * (1 + limit) + [False] * over
    assert direction.counters.overflowed == over


def test_a_queue_has_room_again_when_a_frame_has_left() -> None:
    direction = Direction(Impairment(rate_bit=1e6, queue=units.Queue(packets=2)))  # 1 ms for each of these frames
    sent = [bool(direction.admit(now, bytes(125))) for now in (0, 0, 0, 0, MS - 1, MS, MS, 2 * MS)]
    assert sent == [True, True, True, False, False, True, False, True]


@given(st.integers(2, 100))
def test_a_queue_of_time_holds_what_leaves_within_it(limit_ms: int) -> None:
    """Frames of 1 ms each at one moment: one is sent at once, `limit_ms` more wait at most that long."""
    direction = Direction(Impairment(rate_bit=1e6, queue=units.Queue(ms=float(limit_ms))))
    out = [direction.admit(0, bytes(125)) for _ in range(limit_ms + 20)]
    assert sum(map(bool, out)) == limit_ms + 1


def test_the_delay_is_no_part_of_the_queue() -> None:
    """Frames on the way do not fill the queue, however long the way is."""
    direction = Direction(Impairment(rate_bit=1e6, delay_ms=10_000, queue=units.Queue(packets=1)))
    assert all(direction.admit(number * MS, bytes(125)) for number in range(100))


def test_without_a_rate_there_is_no_queue() -> None:
    direction = Direction(Impairment(delay_ms=1000, queue=units.Queue(packets=1)))
    assert all(direction.admit(0, FRAME) for _ in range(1000))


def test_lost_frames_take_no_time_of_the_link() -> None:
    direction = Direction(Impairment(rate_bit=1e6, loss_pct=50, seed=1, queue=units.Queue(packets=1000)))
    out = [out[0][0] for out in (direction.admit(0, bytes(125)) for _ in range(100)) if out]
    assert out == [MS * number for number in range(1, len(out) + 1)]


# ---- changes while frames are inside


def test_frames_inside_keep_their_times_when_the_settings_change() -> None:
    direction = Direction(Impairment(rate_bit=1e6, delay_ms=5))
    assert [direction.admit(0, bytes(125))[0][0] for _ in range(3)] == [6 * MS, 7 * MS, 8 * MS]
    direction.set(Impairment(rate_bit=2e6, delay_ms=10))
    assert direction.admit(0, bytes(125))[0][0] == 3 * MS + MS // 2 + 10 * MS, "it waits for those before it"


def test_a_change_keeps_the_counters() -> None:
    direction = Direction(Impairment(loss_pct=100))
    feed(direction, 5)
    direction.set(Impairment())
    feed(direction, 5)
    assert (direction.counters.frames_in, direction.counters.lost) == (10, 5)


def test_a_link_may_go_down_and_come_up_again() -> None:
    direction = Direction(Impairment())
    sent: list[Any] = []
    for state in ("up", "down", "up"):
        direction.set(Impairment(state=state))  # type: ignore[arg-type]
        sent.append(direction.admit(0, FRAME))
    assert sent == [[(0, FRAME)], [], [(0, FRAME)]]


@pytest.mark.parametrize(
    "said", [{"delay": "1e303s"}, {"rate": "1e-320bit"}, {"delay": "1ms", "jitter": "1e-9ms", "rate": "1e-310mbit"}]
)
def test_what_cannot_be_carried_is_not_accepted(said: dict[str, str]) -> None:
    with pytest.raises(TopologyError):
        parse(said, "here")
