"""The captures that are running: one process each, told by socket pair."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appbed.agent.door import Door, Found
from appbed.errors import AgentError

OUT = Path("/appbed/out")
_START_S, _STOP_S = 20.0, 60.0


class Captures:
    """Starts and stops capture processes; `points` name an interface and the host it is in (None: the machine's own)."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._running: dict[str, tuple[asyncio.subprocess.Process, socket.socket, Path, list[dict[str, Any]]]] = {}

    def names(self) -> list[str]:
        return sorted(self._running)

    async def start(
        self, name: str, points: list[tuple[dict[str, Any], Found | None]], options: Mapping[str, Any]
    ) -> None:
        """Returns when every point is being read."""
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", name) or name in self._running:
            raise AgentError(f"capture {name[:80]!r} {'is already running' if name in self._running else 'is no name'}")
        OUT.mkdir(parents=True, exist_ok=True)
        file = OUT / f"{name}.pcapng"
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "appbed.agent.capture", stdin=theirs.fileno()
            )
        request = {"file": str(file), "points": [point for point, _ in points], **options}
        sockets = [self._door.socket(found, "packet") if found else _here() for _, found in points]
        try:
            socket.send_fds(mine, [json.dumps(request).encode()], [sock.fileno() for sock in sockets])
            await _said(mine, _START_S)
        except BaseException:
            process.kill()
            await process.wait()
            mine.close()
            raise
        finally:
            for sock in sockets:
                sock.close()
        self._running[name] = (process, mine, file, [point for point, _ in points])

    async def stop(self, name: str) -> dict[str, Any]:
        """Frames and drops by point, and where the file is."""
        if name not in self._running:
            raise AgentError(f"no capture {name!r} is running", remedy=f"running: {', '.join(self._running) or 'none'}")
        process, channel, file, points = self._running.pop(name)
        with channel:
            channel.send(b"stop")
            said = await _said(channel, _STOP_S)
        await process.wait()
        counted = [{"name": point["name"], **counts} for point, counts in zip(points, said["points"], strict=True)]
        return {"file": str(file), "bytes": said["bytes"], "points": counted}


async def _said(channel: socket.socket, timeout_s: float) -> dict[str, Any]:
    channel.setblocking(False)
    data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(channel, 1 << 18), timeout_s)
    said: dict[str, Any] = json.loads(data) if data else {"error": "the capture process ended"}
    if "error" in said:
        raise AgentError(said["error"])
    return said


def _here() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
