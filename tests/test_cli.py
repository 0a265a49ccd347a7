"""Commands, their output and their exit codes. What is said about bad input is in test_bad_input.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import appbed.engine.doctor
from appbed import leftovers, places, scenario
from appbed.engine import Completed
from appbed.engine.checks import Check
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError, InputError
from appbed.lab import Lab
from appbed.verdict import Finding, Outcome, Verdict
from command_line import Appbed
from small_scenario import SMALL_ONE

ACCESS = "gateway@access"


@pytest.fixture
def up(engine: FakeEngine, small: Path) -> FakeEngine:
    """The small lab runs."""
    Lab.up(small, engine, lives_on=True).agent.close()
    return engine


# ---- up, down, ps


def test_up_says_what_is_up_and_tells_its_progress_elsewhere(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    done = appbed("up", str(small))
    assert (done.status, done.out) == (0, "small is up: 3 hosts, links by fake\n")
    progress = done.err.splitlines()
    assert "creating on 10.77.0.0/16" in progress[0]
    assert "started agent" in progress[1]
    assert engine.open_streams == 0


def test_up_as_json(appbed: Appbed, small: Path) -> None:
    done = appbed("up", str(small), "--name", "mine", "--json")
    assert done.json == {
        "name": "mine",
        "topology": "small",
        "hosts": ["client", "gateway", "server"],
        "links": "fake",
    }


def test_what_up_brought_up_outlives_the_command(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    appbed("up", str(small))
    assert engine.instances()[0].lives_on


def test_up_takes_files_laid_over_back_end_and_net(
    appbed: Appbed, engine: FakeEngine, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "over.yaml").write_text("services: {client: {image: other}}", encoding="utf-8")
    monkeypatch.setenv("APPBED_NET", "10.200")
    assert appbed("up", "small.yaml", "-f", "over.yaml", "--links", "relay").status == 0
    (instance,) = engine.instances()
    assert instance.net == "10.200"
    assert Lab.attach(engine).topology.host("client").image == "other"


def test_up_waits_as_long_as_it_is_told(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80"}
    done = appbed("up", str(small), "--timeout", "7")
    assert done.status == 3
    assert done.complaint.startswith("small: server is not ready after 7 s: waited for port 80")
    assert engine.instances() == []


def test_down_takes_the_only_one_one_by_name_or_all(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    for name in ("one", "two", "three"):
        Lab.up(small, engine, name=name)
    assert appbed("down").status == 2
    assert appbed("down", "-n", "two").out == "two is down: 6 containers and networks removed\n"
    assert [one.name for one in engine.instances()] == ["one", "three"]
    assert appbed("down", "--all").status == 0
    assert engine.instances() == []
    assert appbed("down", "--all").status == 0
    assert appbed("down").complaint == "0 instances are up: none; bring one up, for example `appbed up web`"


def test_ps_shows_instances_and_hosts(appbed: Appbed, up: FakeEngine) -> None:
    shown = appbed("ps").out
    assert "small (small, 10.77.0.0/16)" in shown
    for host in ("agent", "client", "gateway", "server"):
        assert any(line.split()[:2] == [host, "running"] for line in shown.splitlines())
    (instance,) = appbed("ps", "--json").json
    assert instance["name"] == "small"
    assert instance["net"] == "10.77"
    assert [each["service"] for each in instance["containers"]] == ["agent", "client", "gateway", "server"]


def test_ps_of_nothing(appbed: Appbed) -> None:
    assert appbed("ps").out == "nothing is up\n"
    assert appbed("ps", "--json").json == []


def test_list_shows_what_can_be_brought_up(appbed: Appbed, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "topologies", lambda: {"small": small})
    assert appbed("list", "--json").json == [
        {
            "topology": "small",
            "about": "A client and a server with a router between them.",
            "hosts": ["client", "gateway", "server"],
            "networks": ["access", "campus"],
        }
    ]
    assert any(line.split()[:3] == ["small", "3", "2"] for line in appbed("list").out.splitlines())


# ---- exec, logs, gc


def test_exec_passes_everything_through(appbed: Appbed, up: FakeEngine) -> None:
    up.on_exec = lambda host, argv, stdin: Completed(22, f"{host}: {' '.join(argv)}\n", "curl: no\n")
    done = appbed("exec", "client", "--", "curl", "-s", "--debug", "--json", "-n", "x")
    assert (done.status, done.out, done.err) == (22, "client: curl -s --debug --json -n x\n", "curl: no\n")


def test_exec_passes_also_a_status_of_130_through(appbed: Appbed, up: FakeEngine) -> None:
    up.on_exec = lambda host, argv, stdin: Completed(130, "", "")
    done = appbed("exec", "client", "--", "sh", "-c", "kill -INT $$")
    assert (done.status, done.err) == (130, "")


def test_logs_all_or_the_last_lines(appbed: Appbed, up: FakeEngine) -> None:
    up.log["server"] = "one\ntwo [/red]\nthree\n"
    assert appbed("logs", "server").out == "one\ntwo [/red]\nthree\n"
    assert appbed("logs", "server", "--tail", "1").out == "three\n"


def test_gc_removes_what_nobody_owns_and_nothing_else(
    appbed: Appbed, engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lab.up(small, engine, name="kept")
    boot, pid, started = leftovers.me().split(":")
    monkeypatch.setattr(leftovers, "me", lambda: f"{boot}:{pid}:{int(started) - 1}")
    Lab.up(small, engine, name="left")
    why = "left (6 objects): the command that brought it up is gone"
    assert appbed("gc", "--dry-run").out == f"would remove {why}\n"
    (found,) = appbed("gc", "--dry-run", "--json").json
    assert found["instance"] == "left"
    assert len(engine.instances()) == 2
    assert appbed("gc").out == f"removed {why}\n"
    assert [one.name for one in engine.instances()] == ["kept"]
    assert appbed("gc").out == "nothing to remove\n"
    assert appbed("gc", "--json").json == []


# ---- links and captures


def test_links_are_shown_all_of_a_host_or_one(appbed: Appbed, up: FakeEngine) -> None:
    def names(*arguments: str) -> list[str]:
        return [line["attachment"] for line in appbed("link", "show", *arguments, "--json").json]

    assert names() == ["client@campus", "gateway@campus", ACCESS, "server@access"]
    assert names("gateway") == ["gateway@campus", ACCESS]
    assert names(ACCESS) == [ACCESS]
    shown = appbed("link", "show", ACCESS).out
    assert "delay 30ms" in shown
    assert "delay 20ms" in shown
    assert up.open_streams == 0


def test_links_are_set_and_reset(appbed: Appbed, up: FakeEngine) -> None:
    (line,) = appbed("link", "set", ACCESS, "loss=1%", "up.delay=50ms", "down.delay=5ms", "queue=20", "--json").json
    assert line["set"] == {
        "up": {"delay": "50ms", "loss": "1%", "rate": "10mbit", "queue": "20 packets"},
        "down": {"delay": "5ms", "loss": "1%", "rate": "10mbit", "queue": "20 packets"},
    }
    (line,) = appbed("link", "reset", ACCESS, "--json").json
    assert line["set"] == line["declared"]
    appbed("link", "set", "client", "loss=1%")
    appbed("link", "set", "server", "loss=1%")
    lines = appbed("link", "reset", "--json").json
    assert len(lines) == 4
    assert all(line["set"] == line["declared"] for line in lines)


def test_a_capture_starts_and_stops(appbed: Appbed, up: FakeEngine, tmp_path: Path) -> None:
    up.captured, up.dropped = b"packets", 3
    started = appbed("capture", "start", "client", "campus", "--label", "mine")
    assert started.out == "capturing as 'mine'; `appbed capture stop FILE` ends it\n"
    done = appbed("capture", "stop", "c.pcapng", "--label", "mine", "--json").json
    assert done["file"] == "c.pcapng"
    assert done["dropped"] == 3
    assert list(done["points"]) == ["client", "campus"]
    assert (tmp_path / "c.pcapng").read_bytes() == b"packets"
    appbed("capture", "start", "all")
    shown = appbed("capture", "stop", "d.pcapng").out
    assert any(line.split() == ["client", "0", "3"] for line in shown.splitlines())


# ---- scenarios


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


# ---- the machine


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("warn", 0), ("fail", 3)])
def test_doctor_fails_when_a_check_does(
    appbed: Appbed, monkeypatch: pytest.MonkeyPatch, state: Any, status: int
) -> None:
    checks = [Check("engine", "ok", "28.1"), Check("disk", state, "2 GB free", "make room")]
    monkeypatch.setattr(appbed_doctor, "doctor", lambda root: checks)
    done = appbed("doctor")
    assert done.status == status
    assert "2 GB free" in done.out
    shown = appbed("doctor", "--json")
    assert shown.status == status
    assert shown.json[1] == {"name": "disk", "state": state, "found": "2 GB free", "fix": "make room"}


appbed_doctor = appbed.engine.doctor


# ---- Ctrl-C


def test_ctrl_c_is_said_and_nothing_is_left(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    engine.on_call = lambda call: call == "start one" and os.kill(os.getpid(), signal.SIGINT)
    done = appbed("up", str(small))
    assert (done.status, done.complaint) == (130, "interrupted; what was begun was taken down")
    assert engine.instances() == []


def test_the_end_of_the_session_is_a_ctrl_c(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    """SIGTERM, from a terminal that is closed or `timeout`."""
    engine.on_call = lambda call: call == "start one" and os.kill(os.getpid(), signal.SIGTERM)
    assert appbed("up", str(small)).status == 130
    assert engine.instances() == []


def test_ctrl_c_while_up_asks_what_is_up_leaves_nothing(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    asked: list[str] = []

    def interrupt(call: str) -> None:
        asked.extend([call] if call == "send" else [])
        if len(asked) == 2:  # the first waits until all are ready
            asked.append("")
            os.kill(os.getpid(), signal.SIGINT)

    engine.on_call = interrupt
    done = appbed("up", str(small))
    assert done.status == 130
    assert engine.instances() == []


def test_ctrl_c_does_not_stop_down(appbed: Appbed, up: FakeEngine) -> None:
    up.on_call = lambda call: call == "remove one" and os.kill(os.getpid(), signal.SIGINT)
    appbed("down")
    up.on_call = lambda call: None
    assert up.instances() == []


# ---- errors


def test_a_defect_of_ours_is_one_line_that_says_so(appbed: Appbed, engine: FakeEngine) -> None:
    engine.fail("instances", ZeroDivisionError("division by zero"))
    done = appbed("ps")
    assert (done.status, done.complaint) == (
        3,
        "defect: ZeroDivisionError: division by zero; repeat with --debug and report it",
    )


@pytest.mark.parametrize(
    ("error", "status"), [(EngineError("gone"), 3), (InputError("gone"), 2), (ZeroDivisionError("gone"), 3)]
)
def test_with_debug_the_stack_is_shown_before_the_line(
    appbed: Appbed, engine: FakeEngine, error: Exception, status: int
) -> None:
    engine.fail("instances", error)
    done = appbed("ps", "--debug")
    assert done.status == status
    assert done.err.startswith("Traceback")
    assert f"{type(error).__name__}: gone" in done.err
    assert done.err.splitlines()[-1].startswith("appbed: ")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "appbed.cli", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_a_stack_trace_is_shown_with_debug_and_only_then() -> None:
    plain, debug = python("up", "internett"), python("--debug", "up", "internett")
    assert "Traceback" not in plain.stderr
    assert plain.stderr.count("\n") == 1
    assert debug.stderr.startswith("Traceback")
    assert "InputError: no topology 'internett'; did you mean internet?" in debug.stderr
    assert plain.returncode == debug.returncode == 2


def test_every_command_explains_itself(appbed: Appbed) -> None:
    top = appbed("--help")
    assert top.status == 0
    for command in (
        "doctor",
        "setup",
        "list",
        "up",
        "down",
        "ps",
        "exec",
        "logs",
        "link",
        "capture",
        "run",
        "check",
        "gc",
    ):
        assert command in top.out
        shown = appbed(command, "--help")
        assert (shown.status, shown.err) == (0, "")
        assert "Usage: " in shown.out


def test_without_a_command_the_help_is_shown(appbed: Appbed) -> None:
    done = appbed()
    assert done.status == 2
    assert "Usage: " in done.out + done.err
    assert "Traceback" not in done.err
