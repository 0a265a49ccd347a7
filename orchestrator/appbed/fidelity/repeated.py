"""One direction measured several times: what a busy machine disturbs has to be as set once, what is counted over all frames."""

from __future__ import annotations

from collections.abc import Sequence

from appbed.fidelity.judge import Allowance, Reading, judge
from appbed.fidelity.sample import Sample
from appbed.impairment import Impairment
from appbed.verdict import Outcome

COUNTED = frozenset({"state", "loss", "burst", "duplicate", "corrupt", "reorder"})
"""Readings that only the cable makes wrong: a machine that is late does not lose, copy or damage frames."""

Readings = tuple[Reading, ...]


def judge_all(it: Impairment, samples: Sequence[Sample], error: float, allowed: Allowance) -> Readings:
    """Every setting that can be told, from all measurements of it; each test errs at most `error`, however many there are."""
    attempts = [judge(it, sample, error, allowed) for sample in samples]
    if len(samples) == 1:
        return attempts[0]
    found: dict[str, Reading] = {}
    for reading in (reading for attempt in attempts for reading in attempt if reading.what not in COUNTED):
        if reading.what not in found or found[reading.what].outcome is not Outcome.PASSED:
            found[reading.what] = reading
    # Without a seed each measurement draws anew; with one the same frames are lost again, which says no more than before.
    counted = _pooled if it.seed is None else _worst
    readings = {reading.what: reading for reading in counted(it, samples, error, allowed)} | found
    order = dict.fromkeys(reading.what for attempt in attempts for reading in attempt)
    return tuple(readings[what] for what in order if what in readings)


def _pooled(it: Impairment, samples: Sequence[Sample], error: float, allowed: Allowance) -> Readings:
    """All frames together, without measurements whose losses may be those of others on the link."""
    telling = [sample for sample in samples if not _excused(judge(it, sample, error, allowed))]
    if not telling:
        return _only_counted(judge(it, samples[-1], error, allowed))
    return _only_counted(judge(it, sum(telling[1:], start=telling[0]), error, allowed))


def _worst(it: Impairment, samples: Sequence[Sample], error: float, allowed: Allowance) -> Readings:
    """Each by itself, and none may be wrong: they depend on each other, so they share what one test may err."""
    found: dict[str, Reading] = {}
    for sample in samples:
        for reading in _only_counted(judge(it, sample, error / len(samples), allowed)):
            before = found.get(reading.what)
            if before is None or _RANK[reading.outcome] >= _RANK[before.outcome]:
                found[reading.what] = reading
    return tuple(found.values())


_RANK = {Outcome.INCONCLUSIVE: 0, Outcome.PASSED: 1, Outcome.FAILED: 2}


def _only_counted(readings: Readings) -> Readings:
    return tuple(reading for reading in readings if reading.what in COUNTED)


def _excused(readings: Readings) -> bool:
    return any(reading.what == "loss" and reading.outcome is Outcome.INCONCLUSIVE for reading in readings)
