"""A ring at one interface, in a network namespace of its own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest
import wires

from appbed.agent.taps import Tap, ring_bytes

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace; run pytest as root"),
]


class Frames:
    """What a recording is to a tap."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def frame(self, point: int, time_ns: int, data: bytes | memoryview, length: int) -> None:
        self.kept.append(bytes(data))


@pytest.fixture
def tap() -> Iterator[Tap]:
    with wires.apart():
        wires.ip("link set lo up")
        fd = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).detach()
        opened = Tap(0, fd, "lo", b"", 2000, ring_bytes(200))
        yield opened
        opened.close()


def send(text: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(text, ("127.0.0.1", 9))


def test_what_came_before_it_was_stilled_is_taken_and_nothing_after_it_counts(tap: Tap) -> None:
    send(b"before")
    tap.still()
    send(b"after")
    frames = Frames()
    deadline = time.monotonic() + 5
    while (tap.take(frames) or not tap.empty) and time.monotonic() < deadline:  # type: ignore[arg-type]
        pass
    assert any(b"before" in frame for frame in frames.kept)
    assert not any(b"after" in frame for frame in frames.kept)
    counts = tap.counts()
    assert counts.received == counts.delivered == len(frames.kept) > 0
