"""One capture: a process that reads rings of frames, at every point, into one recording.

The kernel's own drop counters say whether every frame was kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appbed.agent.pcapng import Point
from appbed.agent.recording import Limits, Recording
from appbed.agent.taps import LONGEST_FRAME_BYTES, Tap, compiled, ring_bytes

MOST_POINTS = 250  # sockets that fit into one message (unix(7): SCM_MAX_FD)
_DRAIN_S = 2.0  # ten times as long as the kernel holds a block back
_GONE = "its interface went away while capturing; what passed there until then was kept"


def main() -> None:
    """Socket pair on fd 0: request and sockets in, "ready" out; any further message stops it, statistics out."""
    channel = socket.socket(fileno=os.dup(0))
    data, fds, _, _ = socket.recv_fds(channel, 1 << 20, MOST_POINTS)
    try:
        request = json.loads(data)
        said = _captured(channel, fds, request)
    except OSError as error:
        said = {"error": f"capture: {error.filename}: {error.strerror}" if error.filename else f"capture: {error}"}
    except ValueError as error:
        said = {"error": f"capture: {error}"}
    with contextlib.suppress(OSError):  # nobody listens any more: the agent has ended
        channel.send(json.dumps(said).encode())
    sys.exit("error" in said)


def _captured(channel: socket.socket, fds: Sequence[int], request: Mapping[str, Any]) -> dict[str, Any]:
    """What was captured at each point, once somebody says stop or nothing more can be written (`problem`)."""
    snaplen = request["snaplen"] or LONGEST_FRAME_BYTES
    program = compiled(request["filter"])
    with contextlib.ExitStack() as undo:
        taps, room = [], ring_bytes(len(fds))
        for number, (fd, point) in enumerate(zip(fds, request["points"], strict=True)):
            taps.append(_tap(number, fd, point, program, snaplen, room))
            undo.callback(taps[-1].close)
        points = [Point(each["name"], each["description"], each.get("comment", "")) for each in request["points"]]
        limits = Limits(request["filesize"], request["files"])
        counted = lambda: [tap.counts() for tap in taps]  # noqa: E731
        recording = Recording(Path(request["folder"]), request["name"], points, snaplen, limits, counted)
        channel.send(json.dumps({"ready": True}).encode())
        try:
            problem = ""
            _record(channel, taps, recording)
        except OSError as error:
            problem = f"{error.strerror}: it ended before it was stopped, and what was written until then was kept"
        gone = [tap.gone for tap in taps]
        recording.close([problem or (_GONE if away else "") for away in gone])
        return {"points": _points(taps, recording, gone), "bytes": recording.size, "problem": problem}


def _tap(number: int, fd: int, point: Mapping[str, Any], program: bytes, snaplen: int, room: int) -> Tap:
    try:
        return Tap(number, fd, point["interface"], program, snaplen, room)
    except OSError as error:
        raise ValueError(f"{point['name']}: {error.strerror}") from None


def _record(channel: socket.socket, taps: Sequence[Tap], recording: Recording) -> None:
    """Until somebody says stop. OSError when the disk is full."""
    by_fd = {tap.fileno(): tap for tap in taps}
    with select.epoll() as epoll:
        for fd in (*by_fd, channel.fileno()):
            epoll.register(fd, select.EPOLLIN)
        stopping = False
        while not stopping:
            for fd, _ in epoll.poll():
                if fd == channel.fileno():
                    stopping = True
                else:
                    by_fd[fd].take(recording)
            recording.flush()  # what was handed over is in the file at once
        epoll.unregister(channel)
        _drain(taps, recording, epoll)


def _drain(taps: Sequence[Tap], recording: Recording, epoll: select.epoll) -> None:
    """Takes what came before the stop: the kernel hands over the last block when its time is over."""
    for tap in taps:
        tap.still()
    deadline = time.monotonic() + _DRAIN_S
    while [tap for tap in taps if tap.take(recording) or not tap.empty] and time.monotonic() < deadline:
        epoll.poll(0.02)
    recording.flush()


def _points(taps: Sequence[Tap], recording: Recording, gone: Sequence[bool]) -> list[dict[str, Any]]:
    """Frames in the files and frames that are not: those the kernel dropped, those that were read and did not stay."""
    found = []
    for tap, frames, away in zip(taps, recording.frames, gone, strict=True):
        counts = tap.counts()
        lost = counts.received - counts.dropped - frames
        discarded = {"discarded": lost} if lost > 0 else {}
        found.append({"frames": frames, "dropped": counts.dropped, **discarded, **({"note": _GONE} if away else {})})
    return found


if __name__ == "__main__":
    main()
