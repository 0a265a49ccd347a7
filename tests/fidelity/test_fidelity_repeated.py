"""Measured again and again: a real loss is found all the surer, and a sound link is called unsound no oftener."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from appbed import fidelity, impairment
from appbed.engine.fake_agent import played
from appbed.fidelity import Sample, Series, bounds
from appbed.fidelity.judge import FULL, QUICK, Allowance
from appbed.fidelity.repeated import judge_all
from appbed.impairment import Impairment
from appbed.verdict import Outcome

pytestmark = pytest.mark.thorough  # simulated by the hundred

ERROR = bounds.each(700)


def it(**settings: Any) -> Impairment:
    return impairment.parse(settings, "test")


def through(set_as: Impairment, real: Impairment, plan: Sequence[Series], seed: int) -> Sample:
    answer = played(replace(real, seed=seed), [asdict(series) for series in plan])
    return fidelity.sample(set_as, plan, answer, (None, None))


def quickly(set_as: Impairment, real: Impairment, seeds: Sequence[int]) -> list[Sample]:
    """As a run measures a doubtful link: a first time, and again with more probes."""
    plans = [fidelity.quick(set_as, 1500, probes=10 if not turn else 40) for turn in range(len(seeds))]
    return [through(set_as, real, plan, seed) for plan, seed in zip(plans, seeds, strict=True)]


def wrong(set_as: Impairment, samples: Sequence[Sample], error: float = ERROR, allowed: Allowance = QUICK) -> set[str]:
    return {each.what for each in judge_all(set_as, samples, error, allowed) if each.outcome is Outcome.FAILED}


def test_one_per_cent_that_nobody_set_is_found_by_the_quick_form_once_it_is_repeated() -> None:
    """270 frames: 93 % of such links lose one."""
    runs = [quickly(it(), it(loss="1%"), range(6 * run, 6 * run + 6)) for run in range(60)]
    found = sum("loss" in wrong(it(), samples) for samples in runs)
    assert found == sum(any(each.lost for each in samples) for samples in runs), "a loss that was seen stays"
    assert found >= 48


def test_two_per_mille_that_nobody_set_are_found_by_full_statistics() -> None:
    """1110 frames: 89 % of such links lose one, and of two measurements 99 %."""
    plan, found = fidelity.full(it(), 1500), 0
    for run in range(20):
        samples = [through(it(), it(loss="0.2%"), plan, 2 * run + turn) for turn in range(2)]
        found += "loss" in wrong(it(), samples, allowed=FULL)
    assert found >= 18


def test_repeated_measurements_tell_shares_that_one_cannot() -> None:
    set_as, real = it(loss="2%"), it(loss="12%")
    runs = [quickly(set_as, real, range(6 * run, 6 * run + 6)) for run in range(20)]
    assert sum("loss" in wrong(set_as, samples[:1]) for samples in runs) <= 5
    assert sum("loss" in wrong(set_as, samples) for samples in runs) >= 18


@pytest.mark.parametrize(
    "settings", [{"loss": "2%"}, {"loss": "gemodel 1% 20%"}, {"duplicate": "3%", "corrupt": "3%"}], ids=str
)
@pytest.mark.parametrize("seeded", [False, True])
def test_a_sound_link_is_called_unsound_no_oftener_however_often_it_is_measured(
    settings: dict[str, Any], seeded: bool
) -> None:
    """One in a hundred allowed each of at most three tests: of 200 links at most 6 on average, and 14 once in a thousand times.

    A seed is the same frames lost each time: taken together they would look like six times the loss by chance.
    """
    alarms = 0
    for run in range(200):
        seeds = [run] * 6 if seeded else range(6 * run, 6 * run + 6)
        set_as = it(**settings)
        samples = quickly(set_as, set_as, seeds)
        alarms += bool(
            wrong(replace(set_as, seed=run if seeded else None), samples, 0.01)
            & {"loss", "burst", "duplicate", "corrupt"}
        )
    assert alarms <= 14


def test_losses_that_others_on_the_link_explain_are_not_held_against_it() -> None:
    set_as = it(rate="10mbit", queue="20")
    excused, sound = Sample(60, 20, 10, (0.05,) * 10, lost=3, foreign=30), Sample(60, 20, 10, (0.05,) * 10, foreign=0)
    assert "loss" not in wrong(set_as, [excused, excused])
    assert "loss" not in wrong(set_as, [excused, sound])
    assert "loss" in wrong(set_as, [excused, replace(excused, foreign=0), sound])
