"""Judging saved runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from appbed import evidence, runner, scenario
from appbed.agent import pcapng
from appbed.errors import InputError
from appbed.evidence import Evidence, Recorder
from appbed.verdict import Outcome, Verdict, finding
from small_scenario import SMALL_ONE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of `one`, written by hand."""
    made = evidence.new_folder(tmp_path / "runs", "one")
    recorder = Recorder(made)
    recorder.write("prediction", {"scenario": "one", "expected": {"delay": "50ms"}})
    recorder.event("seen", link={"up": {"delay": "50ms"}})
    recorder.close()
    conditions(made)
    return made


def conditions(folder: Path, dropped: int = 0, after: float = 1.0, warnings: tuple[str, ...] = ()) -> None:
    recorder = Recorder(folder)
    points = {"host:client:eth0": {"frames": 9, "dropped": 0}, "network:access": {"frames": 9, "dropped": dropped}}
    recorder.write(
        "conditions",
        {
            "capture": points,
            "capture_warnings": warnings,
            "agent": {"before": 1.0, "after": after},
            "processor_busy": 0.1,
            "links": [],
        },
    )
    recorder.close()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "discover", lambda: {"one": SMALL_ONE})


def test_a_run_is_judged_again_from_disk_with_the_same_verdict(folder: Path, registered: None) -> None:
    first = runner.check(folder)
    assert first.outcome is Outcome.PASSED
    written = (folder / "verdict.json").read_text()
    assert json.loads(written)["outcome"] == "PASSED"
    assert runner.check(folder) == first
    assert (folder / "verdict.json").read_text() == written


def test_judging_adds_nothing_to_the_evidence(folder: Path, registered: None) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    runner.check(folder)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.pop("verdict.json")
    assert after == before


def test_frames_that_were_not_captured_make_it_inconclusive(folder: Path, registered: None) -> None:
    conditions(folder, dropped=3)
    verdict = runner.check(folder)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because == "3 frames were not captured"
    assert verdict.figures == {"frames_dropped": 3}


def test_a_capture_that_ended_early_makes_it_inconclusive(folder: Path, registered: None) -> None:
    conditions(folder, warnings=("capture 'run': No space left on device: it ended before it was stopped",))
    verdict = runner.check(folder)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "No space left" in verdict.because


@pytest.mark.parametrize("file", ["capture.pcapng", "other.pcapng"])
def test_every_capture_that_is_looked_at_must_be_complete(folder: Path, file: str) -> None:
    with (folder / file).open("wb") as out:
        writer = pcapng.Writer(out, "test")
        writer.point(pcapng.Point("host:client:eth0"), 0)
        writer.statistics(0, 1, pcapng.Counts(0, 9, 2, 7))
        writer.close()

    def look(found: Evidence) -> Verdict:
        seen = found.capture if file == "capture.pcapng" else found.other(file)
        return Verdict(Outcome.PASSED, f"{len(seen.packets())} packets", (finding("packets", 0, 0, True),))

    verdict = runner.check(folder, replace(SMALL_ONE, check=look))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because == f"{file}: the capture lost 2 packets: what is missing here may have happened"
    assert len(verdict.findings) == 1, "what was found is still shown"
    assert runner.check(folder, replace(SMALL_ONE, check=lambda _: Verdict(Outcome.PASSED, "unseen"))).outcome is (
        Outcome.PASSED
    ), "a capture nobody looks at decides nothing"


def test_an_agent_that_started_again_makes_it_inconclusive(folder: Path, registered: None) -> None:
    conditions(folder, after=2.0)
    verdict = runner.check(folder)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "agent was started again" in verdict.because


def test_spoilt_evidence_beats_a_check_that_would_fail(folder: Path) -> None:
    conditions(folder, dropped=1)
    failing = replace(SMALL_ONE, check=lambda found: Verdict(Outcome.FAILED, "no"))
    assert runner.check(folder, failing).outcome is Outcome.INCONCLUSIVE


def test_sound_evidence_is_not_spoilt(folder: Path) -> None:
    assert runner._spoilt(Evidence(folder)) is None


@pytest.mark.parametrize("error", [KeyError("delay"), AssertionError("odd"), ZeroDivisionError("division by zero")])
def test_a_check_that_crashes_is_inconclusive_and_never_a_pass(folder: Path, error: Exception) -> None:
    def crash(found: Evidence) -> Verdict:
        raise error

    verdict = runner.check(folder, replace(SMALL_ONE, check=crash))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because == f"the check itself crashed: {type(error).__name__}: {error}"
    assert json.loads((folder / "verdict.json").read_text())["outcome"] == "INCONCLUSIVE"


def test_ctrl_c_in_a_check_is_no_verdict(folder: Path) -> None:
    def interrupted(found: Evidence) -> Verdict:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.check(folder, replace(SMALL_ONE, check=interrupted))
    assert not (folder / "verdict.json").exists()


def test_a_run_that_broke_off_is_inconclusive_and_says_what_is_missing(folder: Path, registered: None) -> None:
    (folder / "conditions.json").unlink()
    verdict = runner.check(folder)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "conditions.json" in verdict.because


def test_a_run_of_a_scenario_that_is_no_more_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"was made by scenario 'one', which is unknown; known: .*tour"):
        runner.check(folder)
