"""What a test needs of this machine: without it a test is skipped, and fails where it was to be there."""

from __future__ import annotations

import os

import pytest

from appbed.agent import netem


def need_netem() -> None:
    """User-mode Linux was started for the sake of netem (tests/netem/uml.py): there nothing is skipped."""
    if netem.available():
        return
    if os.environ.get("APPBED_NETEM_NEEDED") == "1":
        pytest.fail("this kernel has no netem, although these tests need it (APPBED_NETEM_NEEDED=1)")
    pytest.skip("this kernel has no netem; `make test-netem` runs it in user-mode Linux")
