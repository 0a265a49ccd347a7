"""For all tests: reproducible hypothesis, and the mark `root` for what only root may do."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from hypothesis import settings

from appbed import evidence, leftovers
from appbed import lab as lab_module
from appbed.engine import docker
from appbed.engine.fake import FakeEngine
from appbed.evidence import Recorder
from appbed.lab import Lab
from command_line import Appbed, get_command, runner
from loading import Write
from small_lab import write_small

# The same examples in every run and no database of old ones: a test that passes here passes everywhere.
settings.register_profile("appbed", derandomize=True, database=None, deadline=None, max_examples=60)
settings.load_profile("appbed")


def pytest_configure(config: pytest.Config) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):  # colours would stand between the words
        os.environ.pop(name, None)
    # A shell starts background jobs with SIGINT ignored, and children inherit that; tests of Ctrl-C need one that is heard.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "root: makes namespaces or changes its root folder; run pytest as root")


def pytest_itemcollected(item: pytest.Item) -> None:
    if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        item.add_marker("thorough")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("only root may make namespaces and change a process's root folder: run pytest as root")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine shows: no setting of a real lab, no lease of another user's."""
    for name in list(os.environ):
        if name.startswith(("APPBED_", "COMPOSE_")):
            monkeypatch.delenv(name)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and gives its path; the first of a test is the topology."""

    def put(text: str, name: str = "lab.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return put


@pytest.fixture
def small(tmp_path: Path, quiet: None) -> Path:
    """A lab of three hosts and an agent."""
    return write_small(tmp_path)


@pytest.fixture
def engine(quiet: None, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.setattr(leftovers, "_MOMENT_S", 0.001)
    monkeypatch.setattr(lab_module, "_MOMENT_S", 0.001)  # this engine's processors are at rest, or what a test says
    return FakeEngine()


@pytest.fixture
def appbed(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Appbed]:
    """The command line on the engine in memory, given in a folder of its own."""
    monkeypatch.setattr(docker, "DockerEngine", lambda: engine)
    monkeypatch.setattr(typer.main, "get_command", get_command)
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield runner(capsys)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def up(engine: FakeEngine, small: Path) -> FakeEngine:
    """The small lab runs."""
    Lab.up(small, engine, lives_on=True).agent.close()
    return engine


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A run of the tour that can be judged."""
    folder = evidence.new_folder(tmp_path / "runs", "tour")
    recorder = Recorder(folder)
    recorder.write("prediction", {"scenario": "tour", "expected": {}})
    recorder.close()
    return folder
