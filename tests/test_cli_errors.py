"""Ctrl-C, defects of ours and usage on the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError, InputError
from command_line import Appbed

# ---- Ctrl-C


def test_ctrl_c_is_said_and_nothing_is_left(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    engine.on_call = lambda call: call == "start one" and os.kill(os.getpid(), signal.SIGINT)
    done = appbed("up", str(small))
    assert (done.status, done.complaint) == (130, "interrupted; what was begun was taken down")
    assert engine.instances() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_of_the_session_is_a_ctrl_c(
    appbed: Appbed, engine: FakeEngine, small: Path, number: signal.Signals
) -> None:
    """SIGTERM, from `timeout`, or SIGHUP, from a terminal that is closed."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as in a session of one's own; `appbed` puts back what was
    engine.on_call = lambda call: call == "start one" and os.kill(os.getpid(), number)
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


def test_nohup_s_wish_to_outlive_the_terminal_counts(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    engine.on_call = lambda call: call == "start one" and os.kill(os.getpid(), signal.SIGHUP)
    assert appbed("up", str(small)).status == 0
    assert len(engine.instances()) == 1


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


def test_a_stack_trace_is_shown_with_debug_and_only_then(appbed: Appbed) -> None:
    plain, debug = appbed("check", "nowhere"), appbed("--debug", "check", "nowhere")
    assert "Traceback" not in plain.err
    assert plain.err.count("\n") == 1
    assert debug.err.startswith("Traceback")
    assert "InputError: nowhere: is no run" in debug.err
    assert plain.status == debug.status == 2


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


def test_the_version_is_that_of_the_package(appbed: Appbed) -> None:
    done = appbed("--version")
    assert (done.status, done.out) == (0, f"appbed {version('appbed')}\n")


def test_without_a_command_the_help_is_shown(appbed: Appbed) -> None:
    done = appbed()
    assert done.status == 2
    assert "Usage: " in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.thorough  # a process
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_that_left_is_no_failed_verdict(words: list[str]) -> None:
    """`appbed list | head -1`: 141, as the shell says of every program that writes to nobody; 1 is `a verdict failed`."""
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "appbed.cli", *words]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
