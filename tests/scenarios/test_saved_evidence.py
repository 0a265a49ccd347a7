"""Every scenario's judgement on a saved run, and on the same run made wrong by general means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appbed import runner, scenario
from appbed.verdict import Outcome

from . import mutants

pytestmark = pytest.mark.thorough  # every saved run as every mutant

KNOWN = scenario.discover()
SAVED = sorted(
    folder.name for folder in mutants.SAVED.iterdir() if folder.name != "tour"
)  # test_tour.py, test_swarm.py
POINTS = [(name, point) for name in SAVED for point in mutants.points(name)]


def _judged(folder: Path) -> Outcome:
    return runner.check(folder, KNOWN[folder.name]).outcome


def _expected(name: str, mutant: str) -> set[Outcome]:
    """A verdict that does not depend on something stays PASSED without it; the scenario's file says why."""
    indifferent = mutants.kind(mutant) in KNOWN[name].indifferent
    return {Outcome.PASSED} if indifferent else set(Outcome) - {Outcome.PASSED}


@pytest.mark.parametrize("name", SAVED)
def test_the_saved_run_passes_again_and_again(name: str, tmp_path: Path) -> None:
    folder = mutants.evidence(name, tmp_path)
    assert _judged(folder) is Outcome.PASSED, (folder / "verdict.json").read_text()
    assert _judged(folder) is Outcome.PASSED
    assert json.loads((folder / "verdict.json").read_text())["outcome"] == "PASSED"


@pytest.mark.parametrize("mutant", mutants.GENERAL)
@pytest.mark.parametrize("name", SAVED)
def test_no_mutant_passes_unless_the_scenario_says_why(name: str, mutant: str, tmp_path: Path) -> None:
    folder = mutants.evidence(name, tmp_path, mutants.GENERAL[mutant])
    assert _judged(folder) in _expected(name, mutant), (folder / "verdict.json").read_text()


@pytest.mark.parametrize(("name", "point"), POINTS)
def test_without_a_point_of_capture_it_does_not_pass(name: str, point: str, tmp_path: Path) -> None:
    folder = mutants.evidence(name, tmp_path, mutants.without_point(point))
    assert _judged(folder) in _expected(name, f"without {point}")


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_scenario_is_indifferent_to_is_a_mutant_with_a_reason(name: str) -> None:
    kinds = {mutants.kind(mutant) for mutant in mutants.GENERAL}
    for mutant, reason in KNOWN[name].indifferent.items():
        assert mutant in kinds or mutant.startswith("without host:") or mutant.startswith("without network:")
        assert len(reason.split()) > 3


@pytest.mark.parametrize("name", sorted(set(KNOWN) - {"tour"}))
def test_every_scenario_has_a_saved_run(name: str) -> None:
    assert name in SAVED, "run it with --short and save its folder (docs/scenarios.md)"
