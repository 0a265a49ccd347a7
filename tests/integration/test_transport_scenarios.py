"""The scenarios of transport services, for real, in their short forms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appbed import scenario

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]
TRANSPORT = [name for name in scenario.discover() if name.startswith("transport.")]


def test_every_claim_of_transport_services_passes_in_its_short_form(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "appbed.cli", "run", "transport", "--short", "--seed", "1", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout, done.stderr
    ran = json.loads(done.stdout)
    assert {each["scenario"]: each["outcome"] for each in ran} == dict.fromkeys(TRANSPORT, "PASSED"), [
        each["because"] for each in ran if each["outcome"] != "PASSED"
    ]
    assert done.returncode == 0
