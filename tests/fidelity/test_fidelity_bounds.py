"""Tails of counts, against values worked out otherwise."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from appbed.fidelity import bounds
from appbed.impairment import Burst


@pytest.mark.parametrize(("trials", "share"), [(1, 0.5), (10, 0.2), (40, 0.01), (60, 0.97)])
def test_binomial_tails_are_the_sums_of_their_terms(trials: int, share: float) -> None:
    terms = [math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(trials + 1)]
    for count in range(trials + 1):
        assert bounds.at_most(count, trials, share) == pytest.approx(math.fsum(terms[: count + 1]), rel=1e-9)
        assert bounds.at_least(count, trials, share) == pytest.approx(math.fsum(terms[count:]), rel=1e-9)


def test_a_tail_far_out_keeps_its_digits() -> None:
    assert bounds.at_most(0, 2_000, 0.05) == pytest.approx(0.95**2_000, rel=1e-9)
    assert bounds.at_least(20_000, 20_000, 0.5) == pytest.approx(0.5**20_000, rel=1e-6)
    assert bounds.at_least(30, 50, 0.1) == pytest.approx(6.2325e-18, rel=1e-3)


@pytest.mark.parametrize(("share", "count", "expected"), [(0.0, 0, 1.0), (0.0, 1, 0.0), (1.0, 10, 1.0), (1.0, 9, 0.0)])
def test_what_cannot_happen_has_no_chance(share: float, count: int, expected: float) -> None:
    if share:
        assert bounds.at_most(count, 10, share) == expected
    else:
        assert bounds.at_least(count, 10, share) == expected


def losses(trials: int, burst: Burst, bad: bool) -> list[float]:
    """P(k frames lost) by walking through both states frame by frame."""
    p, r, h, k = (x / 100 for x in (burst.p_pct, burst.r_pct, burst.bad_loss_pct, burst.good_loss_pct))
    weights = {(bad, 0): 1.0}
    for _ in range(trials):
        new: dict[tuple[bool, int], float] = {}
        for (was_bad, lost), weight in weights.items():
            for now_bad, turned in ((True, 1 - r), (False, r)) if was_bad else ((True, p), (False, 1 - p)):
                for more, drawn in ((1, h if now_bad else k), (0, 1 - (h if now_bad else k))):
                    key = (now_bad, lost + more)
                    new[key] = new.get(key, 0.0) + weight * turned * drawn
        weights = new
    return [sum(weights.get((state, count), 0.0) for state in (True, False)) for count in range(trials + 1)]


@pytest.mark.parametrize("burst", [Burst(1, 10), Burst(5, 30, 80, 2), Burst(50, 50), Burst(0, 100), Burst(100, 0)])
def test_burst_losses_are_those_of_the_worse_beginning(burst: Burst) -> None:
    fewest, most = bounds.bursts(40, burst)
    walked = [losses(40, burst, bad) for bad in (True, False)]
    below = [list(itertools.accumulate(each)) for each in walked]
    for count in range(41):
        assert fewest(count) == pytest.approx(max(each[count] for each in below), abs=1e-12)
        above = max(1 - (each[count - 1] if count else 0.0) for each in below)
        assert most(count) == pytest.approx(above, abs=1e-12)


def test_without_memory_bursts_are_binomial() -> None:
    fewest, most = bounds.bursts(200, Burst(10, 90))
    for count in (0, 10, 20, 30, 50):
        assert fewest(count) == pytest.approx(bounds.at_most(count, 200, 0.1), abs=1e-12)
        assert most(count) == pytest.approx(bounds.at_least(count, 200, 0.1), abs=1e-12)


def test_a_band_holds_what_it_says_and_no_count_more() -> None:
    low, high = bounds.band(
        1_000, lambda k: bounds.at_most(k, 1_000, 0.02), lambda k: bounds.at_least(k, 1_000, 0.02), 1e-4
    )
    assert bounds.at_most(low - 1, 1_000, 0.02) < 0.5e-4 <= bounds.at_most(low, 1_000, 0.02)
    assert bounds.at_least(high + 1, 1_000, 0.02) < 0.5e-4 <= bounds.at_least(high, 1_000, 0.02)


def test_the_family_errs_as_often_as_it_may() -> None:
    assert bounds.each(500) * 500 == pytest.approx(bounds.FAMILY)
    assert bounds.deviations(0.05) == pytest.approx(1.959964, abs=1e-5)


@pytest.mark.thorough
def test_a_band_s_error_is_seen_in_simulation() -> None:
    """At 1 %, of 4 000 sound samples 40 may be outside; 80 is seven standard deviations more."""
    drawn = random.Random(1)
    error, trials, share = 0.01, 300, 0.05
    low, high = bounds.band(
        trials, lambda k: bounds.at_most(k, trials, share), lambda k: bounds.at_least(k, trials, share), error
    )
    counts = [sum(drawn.random() < share for _ in range(trials)) for _ in range(4_000)]
    assert sum(not low <= count <= high for count in counts) < 80
    assert sum(not low + 4 <= count <= high - 4 for count in counts) > 80, "a tighter band would be noticed"
