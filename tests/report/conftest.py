"""Saved runs, judged: what reports are made of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from saved_runs import SAVED, Change

from appbed import runner
from scenarios import mutants


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few of the saved runs; nobody may write to it."""
    below = tmp_path_factory.mktemp("runs")
    for name in SAVED:
        runner.check(mutants.evidence(name, below))
    return below


@pytest.fixture
def runs(judged: Path, tmp_path: Path) -> Path:
    """The same, for tests that change them."""
    return Path(shutil.copytree(judged, tmp_path / "runs"))


@pytest.fixture
def pair(judged: Path, tmp_path: Path) -> Path:
    """Two small ones of them: one to be damaged, one to stay as it is."""
    for name in ("web.page", "web.idle"):
        shutil.copytree(judged / name, tmp_path / "pair" / name)
    return tmp_path / "pair"


@pytest.fixture
def change() -> Change:
    """Rewrites a file of JSON."""

    def rewrite(file: Path, by: Callable[[Any], Any]) -> None:
        file.write_text(json.dumps(by(json.loads(file.read_text()))))

    return rewrite
