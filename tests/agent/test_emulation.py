"""The relay's meaning of an impairment, frame by frame, with made-up clocks: counts are exact, shares within a band."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appbed import units
from appbed.agent.emulation import Direction
from appbed.impairment import Burst, Impairment

MS = 1_000_000
FRAME = bytes(range(100))


def feed(direction: Direction, count: int, gap_ns: int = MS, size: int = 100) -> list[list[tuple[int, bytes]]]:
    """What comes out of each of `count` frames that enter one gap after the other."""
    return [direction.admit(number * gap_ns, bytes(size)) for number in range(count)]


def lost(direction: Direction, count: int) -> list[bool]:
    return [not came_out for came_out in feed(direction, count)]


def within(hits: int, count: int, share: float, sigmas: float = 5.0) -> bool:
    """Is a count of hits one that `share` gives, all but once in two million times?"""
    return abs(hits - count * share) <= sigmas * math.sqrt(count * share * (1 - share)) + 1e-9


shares = st.one_of(st.just(0.0), st.just(100.0), st.floats(0.1, 99.9))
bursts = st.builds(Burst, shares, shares, shares, shares)


@st.composite
def impairments(draw: st.DrawFn) -> Impairment:
    delay_ms = draw(st.integers(0, 100))
    return Impairment(
        delay_ms=delay_ms,
        jitter_ms=draw(st.integers(0, delay_ms)),
        distribution=draw(st.sampled_from(["uniform", "normal"])),
        loss_pct=draw(shares),
        burst=draw(st.none() | bursts),
        duplicate_pct=draw(shares),
        reorder_pct=draw(shares),
        corrupt_pct=draw(shares),
        rate_bit=draw(st.none() | st.integers(10_000, 10**9)),
        queue=draw(
            st.builds(units.Queue, packets=st.integers(1, 50)) | st.builds(units.Queue, ms=st.floats(1.0, 100.0))
        ),
        state=draw(st.sampled_from(["up", "up", "up", "down"])),
        seed=draw(st.integers(0, 2**31)),
    )


traffic = st.lists(st.tuples(st.integers(0, 3 * MS), st.integers(1, 1514)), min_size=1, max_size=40)


def run(direction: Direction, frames: Sequence[tuple[int, int]]) -> list[tuple[int, int, bytes]]:
    """(entered, left, frame) for all that comes out; `frames` are (pause, size)."""
    out, now = [], 10**15
    for pause, size in frames:
        now += pause
        out += [(now, left, frame) for left, frame in direction.admit(now, bytes(size))]
    return out


# ---- every frame is accounted for


@given(impairments(), traffic)
def test_every_frame_comes_out_or_is_counted_as_dropped(it: Impairment, frames: list[tuple[int, int]]) -> None:
    direction = Direction(it)
    out = run(direction, frames)
    counted = direction.counters
    assert counted.frames_in == len(frames)
    assert counted.bytes_in == sum(size for _, size in frames)
    assert counted.frames_in + counted.duplicated == len(out) + counted.lost + counted.overflowed + counted.down
    if not it.duplicate_pct:
        assert counted.duplicated == 0
        assert counted.frames_in == len(out) + counted.lost + counted.overflowed + counted.down


@given(impairments(), traffic)
def test_no_frame_comes_out_before_it_went_in_and_none_changes_its_length(
    it: Impairment, frames: list[tuple[int, int]]
) -> None:
    out = run(Direction(it), frames)
    assert all(left >= entered for entered, left, _ in out)
    assert {len(frame) for _, _, frame in out} <= {size for _, size in frames}
    if not it.corrupt_pct:
        assert all(not any(frame) for _, _, frame in out)


@given(impairments(), traffic)
def test_the_same_seed_does_the_same(it: Impairment, frames: list[tuple[int, int]]) -> None:
    first, second = Direction(it), Direction(it)
    assert run(first, frames) == run(second, frames)
    assert first.counters == second.counters


def test_another_seed_and_no_seed_do_otherwise() -> None:
    pattern = lost(Direction(Impairment(loss_pct=50, seed=1)), 200)
    assert pattern != lost(Direction(Impairment(loss_pct=50, seed=2)), 200)
    assert lost(Direction(Impairment(loss_pct=50)), 200) != lost(Direction(Impairment(loss_pct=50)), 200)


def test_setting_the_same_seed_again_starts_its_sequence_again() -> None:
    it = Impairment(loss_pct=30, seed=7)
    direction = Direction(it)
    pattern = lost(direction, 100)
    direction.set(it)
    assert lost(direction, 100) == pattern


def test_a_seed_starts_bursts_again_too() -> None:
    it = Impairment(burst=Burst(1, 1), seed=7)
    fresh = Direction(it)
    used = Direction(Impairment(burst=Burst(100, 0)))
    feed(used, 1)
    used.set(it)
    assert lost(used, 200) == lost(fresh, 200)


# ---- a clean cable, delay, jitter


def test_a_clean_cable_passes_every_frame_at_once_and_as_it_is() -> None:
    direction = Direction(Impairment())
    assert [direction.admit(now, FRAME) for now in (5, 5, 6)] == [[(5, FRAME)], [(5, FRAME)], [(6, FRAME)]]


@given(st.floats(0.001, 1000.0))
def test_a_delay_is_added_to_the_nanosecond(delay_ms: float) -> None:
    direction = Direction(Impairment(delay_ms=delay_ms))
    assert direction.admit(1000, FRAME) == [(1000 + round(delay_ms * 1e6), FRAME)]


def delays_ms(it: Impairment, count: int = 3000) -> list[float]:
    return [(out[0][0] - number * MS) / MS for number, out in enumerate(feed(Direction(it), count))]


def test_uniform_jitter_spreads_evenly_over_its_width() -> None:
    delays = delays_ms(Impairment(delay_ms=20, jitter_ms=5, seed=1))
    assert 15 <= min(delays) < 15.1
    assert 24.9 < max(delays) <= 25
    for quarter in range(4):
        inside = sum(15 + 2.5 * quarter <= delay < 17.5 + 2.5 * quarter for delay in delays)
        assert within(inside, len(delays), 0.25)


def test_normal_jitter_has_its_standard_deviation() -> None:
    delays = delays_ms(Impairment(delay_ms=50, jitter_ms=5, distribution="normal", seed=1))
    mean = sum(delays) / len(delays)
    deviation = math.sqrt(sum((delay - mean) ** 2 for delay in delays) / len(delays))
    assert mean == pytest.approx(50, abs=5 * 5 / math.sqrt(len(delays)))
    assert deviation == pytest.approx(5, rel=0.06)
    assert within(sum(abs(delay - 50) < 5 for delay in delays), len(delays), 0.6827)


def test_jitter_never_makes_a_frame_arrive_before_it_was_sent() -> None:
    delays = delays_ms(Impairment(delay_ms=5, jitter_ms=5, distribution="normal", seed=1))
    assert min(delays) == 0


# ---- loss


@given(st.integers(1, 99), st.integers(0, 2**31))
@settings(max_examples=15)
def test_the_share_lost_is_the_share_set(pct: int, seed: int) -> None:
    direction = Direction(Impairment(loss_pct=pct, seed=seed))
    pattern = lost(direction, 3000)
    assert sum(pattern) == direction.counters.lost
    assert within(sum(pattern), len(pattern), pct / 100)


def test_losses_do_not_depend_on_the_one_before() -> None:
    pattern = lost(Direction(Impairment(loss_pct=30, seed=3)), 10_000)
    pairs = sum(a and b for a, b in itertools.pairwise(pattern))
    assert within(pairs, len(pattern) - 1, 0.09)


@pytest.mark.parametrize(("pct", "expected"), [(0, 0), (100, 500)])
def test_no_loss_and_all_loss_are_exact(pct: float, expected: int) -> None:
    direction = Direction(Impairment(loss_pct=pct, delay_ms=1))
    assert sum(lost(direction, 500)) == expected


@pytest.mark.parametrize(
    "burst", [Burst(1, 10), Burst(5, 20, 80, 1), Burst(10, 90), Burst(50, 50, 100, 0), Burst(2, 30, 60, 3)]
)
@pytest.mark.thorough  # by the hundred thousand frames
def test_bursts_lose_their_mean(burst: Burst) -> None:
    count = 15_000
    pattern = lost(Direction(Impairment(burst=burst, seed=11)), count)
    # Neighbouring frames are alike: each burst of mean length 1/r counts once, not each frame.
    effective = count * (burst.p_pct + burst.r_pct) / 200
    share = burst.mean_pct / 100
    assert abs(sum(pattern) / count - share) <= 5 * math.sqrt(share * (1 - share) / effective)


def test_bursts_have_their_mean_length() -> None:
    """With all of the bad state lost and none of the good, a run of losses lasts 1/r frames."""
    pattern = lost(Direction(Impairment(burst=Burst(1, 20), seed=5)), 20_000)
    runs = [len(run_) for run_ in "".join("x" if hit else " " for hit in pattern).split()]
    assert sum(runs) / len(runs) == pytest.approx(1 / 0.20, rel=0.2)


def test_a_frame_is_drawn_in_the_state_it_finds_as_with_netem() -> None:
    """The state changes with every frame here, and good comes first: as net/sched/sch_netem.c, which moves on after it has chosen."""
    assert lost(Direction(Impairment(burst=Burst(100, 100))), 6) == [False, True] * 3


def test_a_link_that_is_down_carries_nothing_and_counts_it() -> None:
    direction = Direction(Impairment(state="down", delay_ms=5, loss_pct=50, duplicate_pct=50))
    assert feed(direction, 20) == [[]] * 20
    assert (direction.counters.down, direction.counters.lost, direction.counters.duplicated) == (20, 0, 0)


# ---- duplication, reordering, corruption


def test_a_duplicate_is_the_same_frame_again() -> None:
    direction = Direction(Impairment(duplicate_pct=100, delay_ms=5))
    assert direction.admit(0, FRAME) == [(5 * MS, FRAME)] * 2
    assert direction.counters.duplicated == 1


def test_duplicates_share_the_link() -> None:
    direction = Direction(Impairment(duplicate_pct=100, rate_bit=1e6))
    assert [left for left, _ in direction.admit(0, bytes(125))] == [MS, 2 * MS]


def test_of_a_duplicate_and_a_loss_one_frame_remains_as_with_netem() -> None:
    direction = Direction(Impairment(duplicate_pct=100, loss_pct=100))
    assert direction.admit(0, FRAME) == [(0, FRAME)]


def test_a_copy_is_made_of_the_frame_as_it_came_and_drawn_for_again_as_with_netem() -> None:
    """netem clones before it corrupts, and puts the clone into its queue anew: each of the two has its own fate."""
    direction = Direction(Impairment(duplicate_pct=100, corrupt_pct=50, reorder_pct=50, delay_ms=5, seed=1))
    pairs = [direction.admit(0, FRAME) for _ in range(4000)]
    fates = [tuple((when == 0, frame == FRAME) for when, frame in pair) for pair in pairs]
    for fate in itertools.product(itertools.product((True, False), repeat=2), repeat=2):
        assert within(fates.count(fate), len(fates), 1 / 16)
    assert direction.counters.duplicated == 4000


def test_of_two_copies_each_may_be_lost_once_the_first_one_was_not() -> None:
    """netem: the draw that loses the frame leaves the copy; the draw for the copy comes only when the frame was not lost."""
    direction = Direction(Impairment(duplicate_pct=100, loss_pct=30, seed=1))
    left = [len(direction.admit(0, FRAME)) for _ in range(5000)]
    assert within(left.count(1), len(left), 0.3 + 0.7 * 0.3)
    assert within(left.count(2), len(left), 0.7 * 0.7)


@given(st.integers(1, 99), st.integers(0, 2**31))
@settings(max_examples=15)
def test_reordered_frames_skip_the_delay(pct: int, seed: int) -> None:
    direction = Direction(Impairment(delay_ms=50, reorder_pct=pct, seed=seed))
    delays = [out[0][0] - number * MS for number, out in enumerate(feed(direction, 2000))]
    assert set(delays) <= {0, 50 * MS}
    assert delays.count(0) == direction.counters.reordered
    assert within(delays.count(0), len(delays), pct / 100)


def test_a_reordered_frame_skips_the_delay_but_waits_for_the_rate_like_any_other() -> None:
    direction = Direction(Impairment(delay_ms=50, rate_bit=1e6, reorder_pct=50, seed=1))
    left = [direction.admit(0, bytes(125))[0][0] for _ in range(50)]
    sent = [MS * number for number in range(1, 51)]  # 1 000 bits each
    delays = [when - serialised for when, serialised in zip(left, sent, strict=True)]
    assert set(delays) == {0, 50 * MS}
    assert delays.count(0) == direction.counters.reordered


def test_a_reordered_frame_overtakes_those_before_it() -> None:
    direction = Direction(Impairment(delay_ms=50, reorder_pct=20, seed=1))
    arrivals = [out[0][0] for out in feed(direction, 200)]
    assert arrivals != sorted(arrivals)


@given(st.integers(15, 1514), st.integers(0, 2**31))
def test_corruption_flips_one_bit_behind_the_addresses(size: int, seed: int) -> None:
    direction = Direction(Impairment(corrupt_pct=100, seed=seed))
    ((_, frame),) = direction.admit(0, bytes(size))
    assert sum(byte.bit_count() for byte in frame) == 1
    assert not any(frame[:14]), "a bridge learns from the addresses"


def test_corruption_reaches_every_byte_of_the_payload() -> None:
    direction = Direction(Impairment(corrupt_pct=100, seed=1))
    hit = {next(i for i, byte in enumerate(out[0][1]) if byte) for out in feed(direction, 2000, size=30)}
    assert hit == set(range(14, 30))
