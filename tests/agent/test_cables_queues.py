"""One meaning, two back-ends: rate and queue.

A few frames leave a queue while a burst still comes in: at most as many as the rate allows in that time.
"""

from __future__ import annotations

import math
import statistics
import time

import pytest
from through import FULL, QUIET_S, carried, delays_ms, in_time, ours, within
from wires import Wire

from appbed import units
from appbed.impairment import Impairment

pytestmark = [pytest.mark.root, pytest.mark.thorough]


def test_a_rate_counts_layer_2_bytes(wire: Wire) -> None:
    """Over pairs of frames that lie far apart: a stall of the machine delays few of them."""
    wire.near.plug(up=Impairment(rate_bit=10e6, queue=units.Queue(packets=400)))
    times = [frame.time_ms for frame in carried(wire, 300, size=FULL)]
    assert len(times) == 300
    apart = statistics.median(later - sooner for sooner, later in zip(times, times[150:], strict=False))
    assert apart == pytest.approx(150 * FULL * 8 / 10e6 * 1000, rel=0.02)


def test_a_frame_is_sent_before_it_is_on_the_way(wire: Wire) -> None:
    wire.near.plug(up=Impairment(rate_bit=1e6, delay_ms=20))
    sent_ms = FULL * 8 / 1000
    assert in_time(lambda: delays_ms(wire, 1, size=FULL)[0], 20 + sent_ms - 0.01, 20 + sent_ms + 5)


@pytest.mark.parametrize(
    ("queue", "held"),
    [(units.Queue(packets=20), 21), (units.Queue(ms=10.5 * FULL * 8 / 1000), 11)],
    ids=["packets", "ms"],
)
@pytest.mark.parametrize("delay_ms", [0, 100])
def test_a_queue_holds_what_is_declared_and_drops_the_rest(
    wire: Wire, queue: units.Queue, held: int, delay_ms: float
) -> None:
    """One more is being sent; a few leave while the burst still comes in."""
    wire.near.plug(up=Impairment(rate_bit=1e6, delay_ms=delay_ms, queue=queue))
    with wire.near.ear() as left, wire.far.ear() as ear:
        wire.near.send(*range(60), size=FULL)
        wire.near.entered("up", 60)
        entering_ms = time.time() * 1000 - next(frame.time_ms for frame in left.listen(quiet_s=0) if frame.outgoing)
        wire.near.settled("up", 60)
        arrived = len(ours(ear.listen(quiet_s=QUIET_S)))
    leaving = math.ceil(entering_ms / (FULL * 8 / 1000))
    assert held <= arrived <= held + leaving
    counted = wire.near.counted("up")
    assert (counted["overflowed"], counted["lost"]) == (60 - arrived, 0)


def test_small_frames_on_a_long_way_leave_the_queue_its_room(wire: Wire) -> None:
    """The way holds 208 of these frames and the queue 100: 90 in it twice, while the first 90 are on the way."""
    wire.near.plug(up=Impairment(rate_bit=1e5, delay_ms=1000))
    with wire.far.ear() as ear:
        wire.near.send(*range(90))
        ear.until(lambda frames: bool(ours(frames)), "the first frame; by then none waits before the rate")
        wire.near.send(*range(90, 180))
        arrived = ours(ear.until(lambda frames: len(ours(frames)) >= 180, "all that was sent"))
    assert [frame.number for frame in arrived] == list(range(180))


def test_loss_and_overflow_are_counted_apart(wire: Wire) -> None:
    wire.near.plug(up=Impairment(loss_pct=50, rate_bit=1e6, queue=units.Queue(packets=20)))
    arrived = len(carried(wire, 400, size=FULL))
    counted = wire.near.counted("up")
    assert within(counted["lost"] / 400, 0.5, 400)
    assert counted["overflowed"] > 100
    assert counted["lost"] + counted["overflowed"] + arrived == counted["frames_in"] == 400
