"""The scenarios of peer-to-peer file distribution, for real, in their short forms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .short_forms import all_pass

pytestmark = [pytest.mark.docker, pytest.mark.timeout(580)]
QUICK = ("p2p.newcomer", "p2p.pieces")


def test_newcomers_call_whom_they_were_given_and_exchange_chunks(tmp_path: Path) -> None:
    """The quick ones, where times do not matter."""
    argv = [sys.executable, "-m", "appbed.cli", "run", *QUICK, "--short", "--seed", "1", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout, done.stderr
    ran = {each["scenario"]: each for each in json.loads(done.stdout)}
    assert {name: each["outcome"] for name, each in ran.items()} == dict.fromkeys(QUICK, "PASSED"), [
        each["because"] for each in ran.values()
    ]


@pytest.mark.scenarios
def test_every_claim_of_peer_to_peer_passes_in_its_short_form(tmp_path: Path) -> None:
    all_pass("p2p", tmp_path)
