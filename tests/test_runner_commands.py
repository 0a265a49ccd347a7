"""Runs in which a command inside a host fails, and runs that measure the idle way first; on the engine in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appbed import evidence, places, runner
from appbed.engine import Completed
from appbed.engine.fake import FakeEngine
from appbed.engine.fake_agent import FakeAgent
from appbed.errors import AppbedError, CommandError, CommandTimeout
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.runner import Ran
from appbed.scenario import Scenario
from appbed.verdict import Outcome
from small_scenario import SMALL_ONE


@pytest.fixture
def runs(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs go; the small lab is shipped."""
    monkeypatch.setattr(places, "topologies", lambda: {"small": small})
    return tmp_path / "runs"


def do(engine: FakeEngine, runs: Path, **chosen: Scenario) -> list[Ran]:
    return list(runner.run(chosen, engine, runs, seed=5, links="auto", say=lambda text: None))


def raising(error: AppbedError) -> Callable[[Lab, Recorder], None]:
    def act(lab: Lab, record: Recorder) -> None:
        raise error

    return act


@pytest.mark.parametrize(
    "error", [CommandError("client", ["curl"], 7, "", "refused"), CommandTimeout("small: a page: not within 30 s")]
)
def test_a_command_that_fails_fails_its_scenario_with_its_cause_and_the_others_still_run(
    engine: FakeEngine, runs: Path, error: AppbedError
) -> None:
    engine.captured = b"packets"
    first, second = do(engine, runs, one=replace(SMALL_ONE, run=raising(error)), two=SMALL_ONE)
    assert (first.verdict.outcome, first.verdict.because) == (Outcome.FAILED, str(error))
    assert (first.folder / "capture.pcapng").read_bytes() == b"packets"
    assert Evidence(first.folder).conditions["seed"] == 5
    assert runner.check(first.folder, SMALL_ONE) == first.verdict
    assert second.verdict.outcome is Outcome.PASSED


def test_a_command_that_fails_on_a_lab_that_was_not_as_it_should_be_blames_nobody(
    engine: FakeEngine, runs: Path
) -> None:
    engine.dropped = 3
    (ran,) = do(engine, runs, one=replace(SMALL_ONE, run=raising(CommandError("client", ["curl"], 28, "", "late"))))
    assert (ran.verdict.outcome, ran.verdict.because) == (Outcome.INCONCLUSIVE, "3 frames were not captured")


def test_a_command_that_fails_while_the_processors_are_busy_is_inconclusive(engine: FakeEngine, runs: Path) -> None:
    (ran,) = do(engine, runs, one=replace(SMALL_ONE, run=raising(CommandError("client", ["curl"], 28, "", "late"))))
    conditions = json.loads((ran.folder / "conditions.json").read_text())
    evidence.write(ran.folder, "conditions", {**conditions, "processor_busy": 0.93})
    verdict = runner.check(ran.folder, SMALL_ONE)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because == "client: curl: exit status 28: late; the machine's processors were 93% busy"


def test_a_cable_that_fails_is_inconclusive_and_the_others_still_run(
    engine: FakeEngine, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, changes = FakeAgent._line, iter(range(100))

    def failed(agent: FakeAgent, name: str) -> dict[str, Any]:
        return line(agent, name) | {"failed": "Cannot find device" if next(changes) == 0 else None}

    monkeypatch.setattr(FakeAgent, "_line", failed)
    first, second = do(engine, runs, one=SMALL_ONE, two=SMALL_ONE)
    assert first.verdict.outcome is Outcome.INCONCLUSIVE
    assert "Cannot find device; the agent tries again" in first.verdict.because
    assert second.verdict.outcome is Outcome.PASSED


def test_a_reset_that_fails_is_inconclusive_and_the_others_still_run(engine: FakeEngine, runs: Path) -> None:
    resets: list[str] = []

    def exec_(host: str, argv: Sequence[str], stdin: str) -> Completed:
        if (host, argv[0]) != ("server", "/appbed/reset"):
            return Completed(0, "", "")
        resets.append(host)
        return Completed(1 if len(resets) == 1 else 0, "", "no room")

    engine.on_exec = exec_
    first, second = do(engine, runs, one=SMALL_ONE, two=SMALL_ONE)
    assert first.verdict.outcome is Outcome.INCONCLUSIVE
    assert first.verdict.because == "server: /appbed/reset: exit status 1: no room"
    assert second.verdict.outcome is Outcome.PASSED


# ---- the idle way

ROUND = "rtt min/avg/max/mdev = {}/120.900/191.000/0.100 ms\n"
PINGED = "".join(map(ROUND.format, (100.9, 100.4, 100.3, 100.4, 100.5, 109.0, 100.2)))
IDLE = replace(
    SMALL_ONE,
    idle=("client", "server"),
    predict=lambda conditions: {"delay": "50ms", "knew": conditions.get("idle")},
)


def test_where_a_scenario_asks_the_idle_way_is_measured_and_predicted_with_before_it_acts(
    engine: FakeEngine, runs: Path
) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(0, PINGED if argv[0] == "sh" else "", "")
    found: list[dict[str, Any]] = []

    def act(lab: Lab, record: Recorder) -> None:
        found.append(json.loads((record.folder / "prediction.json").read_text()))
        SMALL_ONE.run(lab, record)

    (ran,) = do(engine, runs, one=replace(IDLE, run=act))
    (prediction,) = found
    idle = {"from": "client", "to": "server", "round_trip_s": 0.1004, "frame_bytes": 98}
    assert prediction["under"]["idle"] == prediction["expected"]["knew"] == idle
    assert prediction["first"] == {"delay": "50ms", "knew": None}
    assert prediction == Evidence(ran.folder).prediction
    assert ran.verdict.outcome is Outcome.PASSED


def test_a_host_that_cannot_ping_leaves_the_first_prediction(engine: FakeEngine, runs: Path) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(127 if argv[0] == "sh" else 0, "", "ping: not found")
    (ran,) = do(engine, runs, one=IDLE)
    assert Evidence(ran.folder).prediction["expected"] == {"delay": "50ms", "knew": None}
    assert ran.verdict.outcome is Outcome.PASSED
