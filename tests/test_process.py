"""Whether a process still lives, told from what it said of itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from appbed import process


def test_this_process_lives() -> None:
    assert process.can_be_seen(process.me())
    assert process.lives(process.me())


def test_one_that_ended_does_not_also_before_its_parent_asks() -> None:
    code = "from appbed import process; print(process.me(), flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        who = child.stdout.readline().strip()
        assert process.lives(who)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the process table
        assert not process.lives(who)
    assert not process.lives(who)


def test_another_process_with_its_pid_is_not_it() -> None:
    boot, namespace, pid, started = process.me().split(":")
    assert not process.lives(f"{boot}:{namespace}:{pid}:{int(started) + 1}")


@pytest.mark.parametrize("who", ["", "stream 3", "gone", "another-boot:1:2:3", ":::", "a:b:c:d:e"])
def test_of_others_it_cannot_be_told(who: str) -> None:
    assert not process.can_be_seen(who)


def test_a_process_of_another_container_cannot_be_told() -> None:
    boot, _, pid, started = process.me().split(":")
    assert not process.can_be_seen(f"{boot}:1:{pid}:{started}")
