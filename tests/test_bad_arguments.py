"""Settings, runs and arguments that are wrong: each ends in one clear line, and nothing was touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine.fake import FakeEngine
from command_line import Appbed

USE = 2

# ---- settings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["delay"], "'delay' is no setting; write key=value, for example delay=20ms or up.loss=1%"),
        (["out.delay=5ms"], "'out.delay=5ms': direction 'out' is unknown; write up.KEY=VALUE or down.KEY=VALUE"),
    ],
)
def test_a_setting_that_is_none(appbed: Appbed, up: FakeEngine, words: list[str], said: str) -> None:
    done = appbed("link", "set", "client", *words)
    assert (done.status, done.complaint) == (USE, said)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("delay=fast", "link client@campus.delay: 'fast' is not a time; write it with its unit: 20ms"),
        ("dealy=5ms", "link client@campus.dealy: unknown setting; known: delay, jitter"),
        ("up.loss=200%", "link client@campus.loss: '200%' is more than 100%; write a share between 0% and 100%"),
        ("jitter=5ms", "link client@campus.jitter: 5ms is more than the delay of 0ms; no frame can arrive before"),
    ],
)
def test_a_value_that_is_none_is_told_and_nothing_changes(appbed: Appbed, up: FakeEngine, word: str, said: str) -> None:
    done = appbed("link", "set", "client", "corrupt=1%", word)
    assert done.status == USE
    assert done.complaint.startswith(said)
    assert up.agent("small").links["client@campus"].clean


def test_a_direction_without_a_key_is_told(appbed: Appbed, up: FakeEngine) -> None:
    done = appbed("link", "set", "client", "up=5ms")
    assert done.status == USE
    assert "up" in done.complaint
    assert "ValueError" not in done.complaint


def test_a_back_end_that_is_none(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    done = appbed("up", str(small), "--links", "fast")
    assert (done.status, done.complaint) == (USE, "--links 'fast' is unknown; choose one of auto, netem, relay")
    assert engine.calls == []


def test_a_back_end_that_is_none_for_a_run(appbed: Appbed, engine: FakeEngine) -> None:
    done = appbed("run", "tour", "--links", "fast")
    assert (done.status, done.complaint) == (USE, "--links 'fast' is unknown; choose one of auto, netem, relay")


# ---- runs


def test_an_unknown_scenario(appbed: Appbed, engine: FakeEngine) -> None:
    done = appbed("run", "toor")
    assert done.status == USE
    assert done.complaint.startswith("no scenario, group or claim 'toor'; did you mean tour? known: ")
    assert engine.calls == []


def test_a_folder_that_is_no_run(appbed: Appbed, tmp_path: Path) -> None:
    done = appbed("check", str(tmp_path))
    assert (done.status, done.complaint) == (
        USE,
        f"{tmp_path}: is no run (prediction.json is missing); name a folder below runs/",
    )


def test_a_run_of_an_unknown_scenario(appbed: Appbed, saved: Path) -> None:
    (saved / "prediction.json").write_text('{"scenario": "gone"}')
    done = appbed("check", str(saved))
    assert done.status == USE
    assert done.complaint.startswith(f"{saved}: was made by scenario 'gone', which is unknown; known: ")
    assert "tour" in done.complaint


def test_a_run_whose_prediction_is_no_json(appbed: Appbed, saved: Path) -> None:
    (saved / "prediction.json").write_text("{")
    done = appbed("check", str(saved))
    assert done.status == USE
    assert done.complaint.startswith(f"{saved}/prediction.json: ")
    assert done.complaint.endswith("; the run is incomplete; run the scenario again")


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["up"], "Missing argument"),
        (["up", "web", "--timeout", "long"], "Invalid value for '--timeout'"),
        (["up", "web", "--timeout", "-3"], "Invalid value for '--timeout'"),
        (["up", "web", "--nosuch"], "No such option: --nosuch"),
        (["run", "tour", "--seed", "x"], "Invalid value for '--seed'"),
        (["link", "set", "client"], "Missing argument"),
        (["logs"], "Missing argument"),
        (["logs", "client", "--tail", "-1"], "Invalid value for '--tail'"),
    ],
)
def test_arguments_that_are_wrong(appbed: Appbed, engine: FakeEngine, arguments: list[str], said: str) -> None:
    done = appbed(*arguments)
    assert done.status == USE
    assert said in done.complaint
    assert "--help" in done.complaint
    assert ".;" not in done.complaint
    assert engine.calls == []


def test_an_option_of_the_command_to_run_belongs_behind_dashes(appbed: Appbed, engine: FakeEngine) -> None:
    done = appbed("exec", "client", "curl", "-s", "http://www.someschool.edu/")
    assert done.status == USE
    assert done.complaint.startswith("No such option: -s; write -- before the command: ")
    assert done.complaint.endswith(" exec HOST -- COMMAND")
    assert engine.calls == []
