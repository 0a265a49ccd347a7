"""A short form of `make torture`: ten commands of ours killed at random moments, and nothing left of any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.docker,
    pytest.mark.torture,
    pytest.mark.timeout(280),
    pytest.mark.skipif(os.geteuid() != 0, reason="the machine is compared with before; run the tests as root on the engine's machine"),
]  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


def test_ten_commands_killed_at_random_moments_leave_nothing(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bench.torture", "--only", "orchestrator", "--kills", "10", "--out", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    all_of_them = json.loads((tmp_path / "torture.json").read_text())[0]
    assert (all_of_them["value"], all_of_them["met"]) == (10, True)
