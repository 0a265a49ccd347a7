"""Tails of the distributions that counts of lost frames follow, exact; nothing here knows of links."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

from appbed.impairment import Burst

FAMILY = 1e-4
"""How often all tests of one verification together may call a sound network unsound."""

Tail = Callable[[int], float]


def each(tests: int) -> float:
    """What one of `tests` tests may err, so that the family errs at most FAMILY (Bonferroni)."""
    return FAMILY / max(1, tests)


def deviations(error: float) -> float:
    """How many standard deviations a normal variable exceeds, to either side, with probability `error`."""
    return NormalDist().inv_cdf(1 - error / 2)


def at_most(count: int, trials: int, share: float) -> float:
    """P(X <= count) for X binomial, summed in logarithms so that no term overflows."""
    if count < 0:
        return 0.0
    if count >= trials or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    if count > trials * share:
        return 1.0 - _terms(count + 1, 1, trials, share)
    return _terms(count, -1, trials, share)


def at_least(count: int, trials: int, share: float) -> float:
    """P(X >= count) for X binomial."""
    return at_most(trials - count, trials, 1 - share)


def _terms(first: int, step: int, trials: int, share: float) -> float:
    """The probabilities from `first` on, away from the mean, where each is smaller than the one before."""
    log_share, log_rest = math.log(share), math.log1p(-share)
    total, count = 0.0, first
    while 0 <= count <= trials:
        ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
        term = math.exp(ways + count * log_share + (trials - count) * log_rest)
        total += term
        if term <= total * 1e-17:
            break
        count += step
    return min(total, 1.0)


@lru_cache(64)
def bursts(trials: int, burst: Burst) -> tuple[Tail, Tail]:
    """P(X <= k) and P(X >= k), X the frames that a Gilbert-Elliott channel loses of `trials`, whichever state it starts in.

    Of the two states the larger probability, so a test that needs a small one errs on the safe side. The characteristic
    function, a power of a 2 x 2 matrix (the state moves first, then the frame is drawn in it), is inverted by FFT.
    """
    points = 1 << trials.bit_length()
    spectra = [_characteristic(cmath.exp(2j * math.pi * number / points), trials, burst) for number in range(points)]
    sums = []
    for state in range(2):
        chances = [value.real / points for value in _fft([spectrum[state] for spectrum in spectra])]
        sums.append((_running(chances[: trials + 1]), _running(chances[trials::-1])))
    fewest = [max(pair) for pair in zip(*(upwards for upwards, _ in sums), strict=True)]
    most = [max(pair) for pair in zip(*(downwards for _, downwards in sums), strict=True)]
    return lambda count: fewest[count], lambda count: most[trials - count]


def _characteristic(turn: complex, trials: int, burst: Burst) -> tuple[complex, complex]:
    """E[turn ** X] from the good and from the bad state: (P D)^n 1 by Cayley-Hamilton."""
    p, r = burst.p_pct / 100, burst.r_pct / 100
    good, bad = (1 - lost + lost * turn for lost in (burst.good_loss_pct / 100, burst.bad_loss_pct / 100))
    a, b, c, d = (1 - p) * good, p * bad, r * good, (1 - r) * bad
    half, root = (a + d) / 2, cmath.sqrt((a - d) ** 2 / 4 + b * c)
    one, two = half + root, half - root
    if abs(root) < 1e-12:
        first, rest = trials * half ** (trials - 1), (1 - trials) * half**trials
    else:
        first = (one**trials - two**trials) / (one - two)
        rest = (one * two**trials - two * one**trials) / (one - two)
    return first * (a + b) + rest, first * (c + d) + rest


def _fft(values: list[complex]) -> list[complex]:
    """Cooley and Tukey's, for a power of two."""
    if len(values) == 1:
        return values
    even, odd = _fft(values[::2]), _fft(values[1::2])
    half = len(even)
    turned = [cmath.exp(-2j * math.pi * k / len(values)) * odd[k] for k in range(half)]
    return [even[k] + turned[k] for k in range(half)] + [even[k] - turned[k] for k in range(half)]


def _running(chances: list[float]) -> list[float]:
    total, sums = 0.0, []
    for chance in chances:
        total += max(chance, 0.0)
        sums.append(min(total, 1.0))
    return sums


def band(trials: int, fewest: Tail, most: Tail, error: float) -> tuple[int, int]:
    """The counts that are neither too small (`fewest(k)` is P(X <= k)) nor too large (`most(k)` is P(X >= k))."""
    half = error / 2
    low = _first(trials, lambda count: fewest(count) >= half)
    high = trials - _first(trials, lambda count: most(trials - count) >= half)
    return low, high


def _first(trials: int, holds: Callable[[int], bool]) -> int:
    """The smallest count for which it holds, of a condition that once true stays so."""
    low, high = 0, trials
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
