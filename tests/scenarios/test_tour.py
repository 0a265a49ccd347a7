"""The tour's judgement on saved evidence, and on evidence that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appbed import runner
from appbed.scenarios import tour
from appbed.verdict import Outcome

from . import mutants


def _judged(folder: Path) -> Outcome:
    return runner.check(folder, tour.SCENARIO).outcome


def test_the_saved_run_passes_again_and_again(tmp_path: Path) -> None:
    folder = mutants.evidence("tour", tmp_path)
    assert _judged(folder) == _judged(folder) == Outcome.PASSED
    assert json.loads((folder / "verdict.json").read_text())["outcome"] == "PASSED"


@pytest.mark.parametrize("name", mutants.GENERAL)
def test_no_mutant_passes(name: str, tmp_path: Path) -> None:
    assert _judged(mutants.evidence("tour", tmp_path, mutants.GENERAL[name])) is not Outcome.PASSED


@pytest.mark.parametrize("point", mutants.points("tour"))
def test_without_a_point_it_does_not_pass(point: str, tmp_path: Path) -> None:
    assert _judged(mutants.evidence("tour", tmp_path, mutants.without_point(point))) is not Outcome.PASSED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"capture": {"host:dns:eth0": {"frames": 10, "dropped": 3}}}, "3 frames were not captured"),
        ({"agent": {"before": 1.0, "after": 2.0}}, "the agent was started again"),
    ],
)
def test_a_run_whose_network_or_capture_was_not_whole_is_inconclusive(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    folder = mutants.evidence("tour", tmp_path)
    conditions = json.loads((folder / "conditions.json").read_text())
    (folder / "conditions.json").write_text(json.dumps(conditions | change))
    verdict = runner.check(folder, tour.SCENARIO)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert said in verdict.because


def test_the_prediction_follows_from_the_link() -> None:
    link = {"up": {"delay": "30ms", "rate": "10mbit"}, "down": {"delay": "50ms", "rate": "10mbit"}}
    expected = tour.predict({"links": {"gateway@access": link}, "seed": 1})
    assert expected["dns_messages"] == 8
    assert expected["dns_s"] == pytest.approx(3 * 0.080, abs=0.001)
    assert expected["access_delay_ms"] == {"up": 30, "down": 50}
