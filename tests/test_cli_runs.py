"""Scenarios on the command line: tables, JSON, exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appbed import places, scenario
from appbed.engine.fake import FakeEngine
from appbed.verdict import Finding, Outcome, Verdict, judged
from command_line import Appbed
from small_scenario import SMALL_ONE


@pytest.fixture
def registered(small: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    registry = {"one": SMALL_ONE, "two": SMALL_ONE}
    monkeypatch.setattr(scenario, "discover", lambda: registry)
    monkeypatch.setattr(places, "topologies", lambda: {"small": small})
    return registry


def judging(*outcomes: Outcome) -> Any:
    """A scenario that finds these."""
    findings = tuple(Finding(outcome.value, "1", "2", outcome, "so") for outcome in outcomes)
    return replace(SMALL_ONE, check=lambda found: Verdict(outcomes[0], "so", findings, {"rtt_s": 0.05}))


EXIT = [(Outcome.PASSED, 0), (Outcome.FAILED, 1), (Outcome.INCONCLUSIVE, 4)]


@pytest.mark.parametrize(("outcome", "status"), EXIT)
def test_the_exit_code_of_a_run_is_its_outcome(
    appbed: Appbed, engine: FakeEngine, registered: dict[str, Any], outcome: Outcome, status: int
) -> None:
    registered["one"] = judging(outcome)
    done = appbed("run", "one")
    assert done.status == status
    assert f"{outcome.value}: so" in done.out
    assert "rtt_s: 0.05" in done.out
    assert engine.instances() == []


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (Outcome.PASSED, Outcome.FAILED, 1),
        (Outcome.INCONCLUSIVE, Outcome.FAILED, 1),
        (Outcome.PASSED, Outcome.INCONCLUSIVE, 4),
    ],
)
def test_of_several_runs_the_worst_counts(
    appbed: Appbed, registered: dict[str, Any], first: Outcome, second: Outcome, status: int
) -> None:
    registered.update(one=judging(first), two=judging(second))
    assert appbed("run", "all").status == status


def test_several_runs_end_in_one_table_of_what_tells_most(appbed: Appbed, registered: dict[str, Any]) -> None:
    near = Finding("page time", "100 ms", "102 ms", Outcome.PASSED, predicted=0.100, measured=0.102)
    far = Finding("idle time", "200 ms", "195 ms", Outcome.PASSED, predicted=0.200, measured=0.195)
    count = Finding("messages", "8", "9", Outcome.FAILED)
    registered["one"] = replace(SMALL_ONE, claims=("W10",), check=lambda found: judged([near, far]))
    registered["two"] = replace(SMALL_ONE, claims=("W2",), check=lambda found: judged([near, count]))
    done = appbed("run", "all")
    assert done.status == 1
    table = [" ".join(line.split()) for line in done.out.splitlines() if line.startswith((" claim", " W"))]
    assert table[0] == "claim scenario nearest to the limit prediction measured error verdict"
    assert table[1] == "W2 two messages 8 9 FAILED"
    assert table[2] == "W10 one idle time 200 ms 195 ms -2.5% PASSED"
    assert done.out.count("step") == 1, "only what did not pass is shown in full"


def test_the_short_form_is_asked_for_by_a_word(appbed: Appbed, registered: dict[str, Any]) -> None:
    under: list[Any] = []
    sweep = {"a": {}, "b": {}}
    registered["one"] = replace(
        SMALL_ONE, sweep=sweep, short=("b",), run=lambda lab, record: under.append(record.folder)
    )
    registered["one"] = replace(registered["one"], check=lambda found: judged([Finding("x", "", "", Outcome.PASSED)]))
    assert appbed("run", "one", "--short").status == 0
    assert appbed("run", "one").status == 0
    points = [list(json.loads((folder / "prediction.json").read_text())["under"]["sweep"]) for folder in under]
    assert points == [["b"], ["a", "b"]]


def test_a_run_as_json_is_a_list_with_predicted_and_measured(
    appbed: Appbed, registered: dict[str, Any], tmp_path: Path
) -> None:
    one, two = appbed("run", "one", "two", "--seed", "7", "--json").json
    assert one["scenario"] == "one"
    assert two["scenario"] == "two"
    assert one["claims"] == ["X1"]
    assert (one["outcome"], one["because"]) == ("PASSED", "as predicted")
    assert (one["predicted"], one["measured"]) == ({"delay": "50ms"}, {"delay": "50ms"})
    folder = Path(one["evidence"])
    assert folder.parent == tmp_path / "runs"
    assert json.loads((folder / "prediction.json").read_text())["under"]["seed"] == 7


def test_without_a_seed_each_run_has_its_own(appbed: Appbed, registered: dict[str, Any]) -> None:
    seeds = set()
    for _ in range(2):
        (ran,) = appbed("run", "one", "--json").json
        seeds.add(json.loads((Path(ran["evidence"]) / "prediction.json").read_text())["under"]["seed"])
    assert len(seeds) == 2


@pytest.mark.parametrize(("outcome", "status"), EXIT)
def test_a_run_is_judged_again(appbed: Appbed, registered: dict[str, Any], outcome: Outcome, status: int) -> None:
    (ran,) = appbed("run", "one", "--json").json
    registered["one"] = judging(outcome)
    assert appbed("check", ran["evidence"]).status == status
    again = appbed("check", ran["evidence"], "--json")
    assert (again.status, again.json["outcome"]) == (status, outcome.value)


@pytest.mark.parametrize("text", ["[/etc/hosts]", "[root, edu]", "[red]"])
def test_brackets_are_shown_as_they_are(appbed: Appbed, registered: dict[str, Any], text: str) -> None:
    findings = (Finding("w" + text, "e" + text, "s" + text, Outcome.PASSED),)
    registered["one"] = replace(SMALL_ONE, check=lambda found: Verdict(Outcome.PASSED, "b" + text, findings))
    done = appbed("run", "one")
    assert done.status == 0
    for letter in "wesb":
        assert letter + text in done.out
