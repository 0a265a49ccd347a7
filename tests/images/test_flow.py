"""images/client/flow: how many datagrams, how fast, and that nobody waits for an answer; on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough  # datagrams take their real time

FLOW = Path(__file__).parents[2] / "images" / "client" / "flow"


def flow(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, FLOW, *arguments], capture_output=True, text=True, check=False, timeout=30)


def send(port: int, *more: str) -> dict[str, float]:
    done = flow("send", "127.0.0.1", str(port), "--rate", "800000", "--size", "100", "--seconds", "0.2", *more)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def test_as_many_datagrams_as_the_rate_says_each_with_its_number() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(5)
        told = send(line.getsockname()[1])
        got = [line.recv(2000) for _ in range(200)]
    assert told["sent"] == 200
    assert got == [number.to_bytes(8, "big") + bytes(50) for number in range(200)]  # 100 bytes less 42 of headers


def test_a_flow_takes_its_time() -> None:
    """200 datagrams 1 ms apart: never quicker, whatever else the machine does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        assert send(line.getsockname()[1])["seconds"] >= 0.199


def test_a_flow_goes_on_when_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    told = send(port)
    assert told["sent"] == 200
    assert told["refused"] > 0


def test_the_receiver_listens_when_it_returns_and_then_nobody_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    assert flow("receive", str(port), "--seconds", "5").returncode == 0
    assert send(port)["refused"] == 0


def test_a_port_that_is_taken_and_a_frame_that_is_too_large_are_one_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("", 0))
        taken = flow("receive", str(line.getsockname()[1]), "--seconds", "1")
    assert (taken.returncode, taken.stderr) == (1, "flow receive: Address already in use\n")
    large = flow("send", "127.0.0.1", "9", "--rate", "1", "--size", "1515", "--seconds", "1")
    assert large.returncode == 2
    assert "--size 1515: a frame has 50 to 1514 bytes" in large.stderr
