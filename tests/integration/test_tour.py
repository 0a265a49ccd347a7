"""The tour, for real, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker


def test_the_tour_passes_and_is_judged_alike_again(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "appbed.cli"]
    done = subprocess.run(
        [*argv, "run", "tour", "--seed", "1", "--json"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    (ran,) = json.loads(done.stdout)
    assert ran["outcome"] == "PASSED", ran
    assert done.returncode == 0
    again = subprocess.run([*argv, "check", ran["evidence"], "--json"], capture_output=True, text=True, check=False)
    assert json.loads(again.stdout)["outcome"] == "PASSED"
    prediction, capture = (Path(ran["evidence"]) / name for name in ("prediction.json", "capture.pcapng"))
    assert prediction.stat().st_mtime < capture.stat().st_mtime
