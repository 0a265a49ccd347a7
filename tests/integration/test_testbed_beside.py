"""Test sessions beside each other on real containers: workers of pytest-xdist, one that is killed, one that gets a Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import TOPOLOGIES, objects_of, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
# Links are measured by other tests: here two labs come up and go on the same processors meanwhile.
PYTEST = (sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--testbed-verify=never")

# What the test files here have in common: each test leaves a note, and can wait for those of others.
NOTES = """
import json, os, signal, time
from pathlib import Path
import pytest

pytestmark = pytest.mark.topology("{topology}")
NOTES = Path(__file__).parent / "notes"


def note(testbed, what, **more):
    client = testbed.host("client").address
    said = {{"name": testbed.name, "net": client.rpartition(".1.")[0], "pid": os.getpid(), **more}}
    (NOTES / f"new-{{what}}").write_text(json.dumps(said))
    (NOTES / f"new-{{what}}").rename(NOTES / what)


def wait_for(*whats):
    deadline = time.monotonic() + 100
    while not all((NOTES / what).exists() for what in whats):
        assert time.monotonic() < deadline, f"waited for {{whats}}"
        time.sleep(0.02)
"""


def written(folder: Path, topology: object, **files: str) -> Path:
    """A repository of tests; `NOTES` stands in front of each file."""
    (folder / "notes").mkdir(parents=True)
    for name, tests in files.items():
        (folder / f"test_{name}.py").write_text(NOTES.format(topology=topology) + tests)
    return folder


@contextlib.contextmanager
def session(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Of pytest, in a process group of its own; nothing of it runs on after the block."""
    argv, pipe = [*PYTEST, *options], subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=folder, stdout=pipe, stderr=subprocess.STDOUT, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def notes(folder: Path) -> dict[str, Any]:
    return {file.name: json.loads(file.read_text()) for file in (folder / "notes").iterdir()}


def left(folder: Path) -> list[str]:
    """Whatever the engine still holds of the labs that left a note."""
    return [found for note in notes(folder).values() for found in objects_of(note["name"])]


VISITS = """
def test_a_shop_knows_its_own_visitors_alone(testbed):
    for _ in range({visits}):
        testbed.host("client").run("curl", "-sf", "-o", "/dev/null", "http://www.shop.com/")
    note(testbed, "visited-{visits}")
    wait_for("visited-1", "visited-2")
    assert len(json.loads(testbed.host("shop").run("/appbed/visitors").stdout)) == {visits}


def test_it_forgets_them_for_the_next_test(testbed):
    note(testbed, "forgotten-{visits}")
    assert json.loads(testbed.host("shop").run("/appbed/visitors").stdout) == []
"""


def test_workers_have_labs_of_their_own(tmp_path: Path) -> None:
    written(tmp_path, "web", once=VISITS.format(visits=1), twice=VISITS.format(visits=2))
    with session(tmp_path, "-n", "2", "--dist", "loadfile") as workers:
        said, _ = workers.communicate(timeout=150)
    assert workers.returncode == 0, said
    assert "4 passed" in said
    found = notes(tmp_path)
    for key in ("name", "net", "pid"):
        assert found["visited-1"][key] == found["forgotten-1"][key]
        assert found["visited-1"][key] != found["visited-2"][key]
    assert left(tmp_path) == []


PAGE = """
    testbed.host("client").run("curl", "-sf", "-o", "/dev/null", f"http://{testbed.host('server').address}/")
"""
KILLED = (
    """
def test_one_that_kills_its_worker(testbed):
    if (NOTES / "killed").exists():  # the worker in its place tries it again
        return
    note(testbed, "killed")
    wait_for("other")
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_next_one(testbed):
    note(testbed, "next")"""
    + PAGE
)
OTHER = (
    """
def test_beside_it(testbed):
    note(testbed, "other")
    wait_for("killed")"""
    + PAGE
)


def test_a_worker_that_is_killed_leaves_nothing_and_the_others_go_on(tmp_path: Path) -> None:
    written(tmp_path, TOPOLOGIES / "pair.yaml", killed=KILLED, other=OTHER)
    with session(tmp_path, "-n", "2", "--dist", "loadfile") as workers:
        said, _ = workers.communicate(timeout=150)
    assert workers.returncode == 1, said
    assert "1 failed, " in said
    assert " passed" in said
    assert "crashed while running 'test_killed.py::test_one_that_kills_its_worker'" in said
    names = {what: note["name"] for what, note in notes(tmp_path).items()}
    assert names["killed"] not in (names["other"], names["next"])
    assert left(tmp_path) == []


WAITS = (
    """
def test_something_long(testbed):
    note(testbed, "begun")
    wait_for("done")


def test_something_after_it(testbed):"""
    + PAGE
)


KILLS = (
    """
def test_one_that_kills_its_server(testbed):
    testbed.lab.engine.act(testbed.name, "server", "kill")


def test_the_server_runs_for_the_next_one(testbed):"""
    + PAGE
)


def test_ctrl_c_ends_one_session_and_no_other(tmp_path: Path) -> None:
    pair = TOPOLOGIES / "pair.yaml"
    mine = written(tmp_path / "mine", pair, it=WAITS)
    theirs = written(tmp_path / "theirs", pair, it=WAITS, kills=KILLS)
    with session(mine) as first, session(theirs) as second:
        wait_for(lambda: all((folder / "notes/begun").exists() for folder in (mine, theirs)), "two labs at once", 100)
        os.killpg(first.pid, signal.SIGINT)
        interrupted, _ = first.communicate(timeout=60)
        assert left(mine) == []
        (theirs / "notes/done").write_text(json.dumps({"name": "none"}))
        undisturbed, _ = second.communicate(timeout=100)
    assert first.returncode == pytest.ExitCode.INTERRUPTED, interrupted
    assert "KeyboardInterrupt" in interrupted
    assert second.returncode == 0, undisturbed
    assert "4 passed" in undisturbed
    assert left(theirs) == []
