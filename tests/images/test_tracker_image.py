"""images/tracker refuses what is wrong; no container needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

TRACKER = Path(__file__).parents[2] / "images" / "tracker"


def run(command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run([TRACKER / command, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("port", ["0", "65536", "http", "6969\n", "-1"])
def test_a_wrong_setting_is_named_in_one_line(port: str) -> None:
    ran = run("entrypoint", PORT=port)
    assert ran.returncode == 78
    assert ran.stderr == f"tracker: PORT='{port}' is not possible; choose a port number, 1 to 65535\n"


@pytest.mark.parametrize("wrong", ["", "abc", "g" * 40, "a" * 41, "a" * 40 + "\n" + "b" * 40])
def test_nothing_is_allowed_when_one_is_no_info_hash(wrong: str) -> None:
    ran = run("allow", "a" * 40, wrong)
    assert ran.returncode == 64
    assert ran.stderr == f"allow: '{wrong}' is not an info hash: 40 hexadecimal digits\n"


def test_allow_says_how_it_is_used() -> None:
    ran = run("allow")
    assert (ran.returncode, ran.stderr) == (64, "allow: usage: allow INFO-HASH...\n")


def test_an_info_hash_in_a_url_is_bytes() -> None:
    script = f'. "{TRACKER}/ask.sh"; in_url 00ff10'
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "%00%ff%10\n"
