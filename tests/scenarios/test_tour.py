"""The tour's judgement on saved evidence, and on evidence that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appbed import runner
from appbed.scenarios import tour
from appbed.scenarios.tour_parts import swarm, web
from appbed.verdict import Outcome

from . import mutants

pytestmark = pytest.mark.thorough  # judges a whole run


def _judged(folder: Path) -> Outcome:
    return runner.check(folder, tour.SCENARIO).outcome


@pytest.fixture
def without_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The swarm has a capture of its own, which is large; its judgement is tested apart."""
    monkeypatch.setattr(tour, "PARTS", {name: part for name, part in tour.PARTS.items() if name != "swarm"})


@pytest.mark.usefixtures("without_swarm")
def test_the_saved_run_passes_again_and_again(tmp_path: Path) -> None:
    folder = mutants.evidence("tour", tmp_path)
    assert _judged(folder) == _judged(folder) == Outcome.PASSED
    assert json.loads((folder / "verdict.json").read_text())["outcome"] == "PASSED"


@pytest.mark.thorough
@pytest.mark.usefixtures("without_swarm")
@pytest.mark.parametrize("name", mutants.GENERAL)
def test_no_mutant_passes(name: str, tmp_path: Path) -> None:
    assert _judged(mutants.evidence("tour", tmp_path, mutants.GENERAL[name])) is not Outcome.PASSED


@pytest.mark.thorough
@pytest.mark.usefixtures("without_swarm")
@pytest.mark.parametrize("point", mutants.points("tour"))
def test_without_a_point_it_does_not_pass(point: str, tmp_path: Path) -> None:
    assert _judged(mutants.evidence("tour", tmp_path, mutants.without_point(point))) is not Outcome.PASSED


def test_without_the_swarms_capture_it_does_not_pass(tmp_path: Path) -> None:
    assert _judged(mutants.evidence("tour", tmp_path)) is Outcome.INCONCLUSIVE


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


def test_the_prediction_follows_from_the_links() -> None:
    link = {"up": {"delay": "30ms", "rate": "10mbit"}, "down": {"delay": "50ms", "rate": "10mbit"}}
    expected = web.predict({"links": {"gateway@access": link}, "seed": 1})
    assert expected["dns_messages"] == 8
    assert expected["dns_s"] == pytest.approx(3 * 0.080, abs=0.001)
    assert expected["access_delay_ms"] == {"up": 30, "down": 50}


def test_the_swarm_is_predicted_by_the_textbooks_bounds() -> None:
    home = {"up": {"rate": "8mbit"}, "down": {"rate": "32mbit"}}
    links = {f"peer-{number}@homes-a": home for number in (1, 2, 3, 4)} | {
        "seed@homes-a": {"up": {"rate": "32mbit"}, "down": {}}
    }
    expected = swarm.predict({"links": links, "seed": 1})
    assert expected["least_s"] == pytest.approx(4 * 8 * 16 * 2**20 / 64e6)
    assert expected["client_server_s"] == pytest.approx(4 * 8 * 16 * 2**20 / 32e6)
