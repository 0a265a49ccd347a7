"""The captures that are running: one process each, told by socket pair."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appbed import units
from appbed.agent import recording
from appbed.agent.capture import MOST_POINTS
from appbed.agent.door import Door, Found
from appbed.errors import AgentError, InputError

OUT = Path("/appbed/out")
_START_S, _STOP_S = 20.0, 60.0
_SMALLEST_FILE_BYTES = 65_536  # points and statistics of a large lab, and a few frames
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_KEPT = "what was written until then was kept, drops are not known"
_OPTIONS = {"filter": "", "snaplen": 0, "filesize": 0, "files": 0}


@dataclass(frozen=True, slots=True)
class _Running:
    process: asyncio.subprocess.Process
    channel: socket.socket
    points: tuple[str, ...]


class Captures:
    """Starts and stops capture processes; `points` name an interface and the host it is in (None: the machine's own)."""

    def __init__(self, door: Door, out: Path = OUT) -> None:
        self._door, self._out = door, out
        self._running: dict[str, _Running] = {}
        self._stopped: dict[str, dict[str, Any]] = {}
        self._busy: set[str] = set()  # names of captures that are just starting or stopping

    def names(self) -> list[str]:
        return sorted(self._running)

    async def start(
        self, name: str, points: list[tuple[dict[str, Any], Found | None]], options: Mapping[str, Any]
    ) -> None:
        """Returns when every point is being read."""
        if not _NAME.fullmatch(name) or name in self._running:
            raise AgentError(f"capture {name[:80]!r} {'is already running' if name in self._running else 'is no name'}")
        if not 0 < len(points) <= MOST_POINTS:
            raise InputError(f"capture {name!r}: {len(points)} points", remedy=f"name 1 to {MOST_POINTS} of them")
        request = {**checked(options), "name": name, "folder": str(self._out), "points": [point for point, _ in points]}
        with self._claimed(name):
            self._out.mkdir(parents=True, exist_ok=True)
            recording.forget(self._out, name)
            self._stopped.pop(name, None)
            process, channel = await self._started(request, [found for _, found in points])
            self._running[name] = _Running(process, channel, tuple(point["name"] for point, _ in points))

    async def stop(self, name: str) -> dict[str, Any]:
        """Frames and drops by point, where the files are, and what went wrong (`problem`); again until they are fetched."""
        with self._claimed(name):
            running = self._running.pop(name, None)
            if running is None:
                return self._left(name)
            said = await _ended(running)
            counted = [{"name": point, **counts} for point, counts in zip(running.points, said["points"], strict=False)]
            files = [str(file) for file in recording.written(self._out, name)]
            problem = f"capture {name!r}: {said['problem']}" if said["problem"] else ""
            self._stopped[name] = {"files": files, "bytes": said["bytes"], "points": counted, "problem": problem}
            return self._stopped[name]

    @contextlib.contextmanager
    def _claimed(self, name: str) -> Iterator[None]:
        """Nobody else starts or stops it meanwhile."""
        if name in self._busy:
            raise AgentError(f"capture {name!r} is just being started or stopped", remedy="try again when that is done")
        self._busy.add(name)
        try:
            yield
        finally:
            self._busy.discard(name)

    async def _started(
        self, request: Mapping[str, Any], where: Sequence[Found | None]
    ) -> tuple[asyncio.subprocess.Process, socket.socket]:
        with contextlib.ExitStack() as undo:
            sockets = [undo.enter_context(self._door.socket(each, "packet") if each else _here()) for each in where]
            process, channel = await _process()
            try:
                socket.send_fds(channel, [json.dumps(request).encode()], [sock.fileno() for sock in sockets])
                await _said(channel, _START_S)
            except BaseException as error:
                with channel:
                    await _killed(process)
                if isinstance(error, EOFError | TimeoutError):
                    raise AgentError(f"capture {request['name']!r} did not start: {error}") from None
                raise
        return process, channel

    def _left(self, name: str) -> dict[str, Any]:
        """What there is of a capture that does not run: it was stopped and not fetched, or the agent was killed while it ran."""
        stopped = self._stopped.get(name)
        if stopped and all(Path(file).exists() for file in stopped["files"]):
            return stopped
        files = recording.written(self._out, name) if stopped is None and _NAME.fullmatch(name) else []
        if not files:
            names = ", ".join(self._running) or "none"
            raise AgentError(f"no capture {name!r} is running", remedy=f"running: {names}")
        size = sum(file.stat().st_size for file in files)
        problem = f"capture {name!r}: the agent was started again; {_KEPT}"
        return {"files": [str(file) for file in files], "bytes": size, "points": [], "problem": problem}


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a capture, all there and read; InputError names the one that is wrong."""
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise InputError(f"capture option {unknown[0]!r} is unknown", remedy=f"known: {', '.join(_OPTIONS)}")
    given = {**_OPTIONS, **options}
    snaplen, files = units.whole(given["snaplen"], "snaplen"), units.whole(given["files"], "number of files")
    filesize = units.size_bytes(given["filesize"])
    if 0 < filesize < _SMALLEST_FILE_BYTES:
        raise InputError(f"filesize {given['filesize']!r} is too small", remedy="write at least 64KiB")
    if files and not filesize:
        raise InputError(f"files {files}: no filesize says when a new one begins", remedy="write it too: filesize 10MB")
    return {"filter": str(given["filter"]), "snaplen": min(snaplen, 262_144), "filesize": filesize, "files": files}


async def _process() -> tuple[asyncio.subprocess.Process, socket.socket]:
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "appbed.agent.capture", stdin=theirs.fileno()
            )
        except BaseException:
            mine.close()
            raise
    mine.setblocking(False)
    return process, mine


async def _ended(running: _Running) -> dict[str, Any]:
    """What the process says at its end; of one that was killed the files are what there is, and nobody knows the drops."""
    with running.channel as channel:
        with contextlib.suppress(OSError):  # it has ended already, and said why
            channel.send(b"stop")
        try:
            return await _said(channel, _STOP_S)
        except (EOFError, OSError, AgentError) as error:
            why = str(error)
        finally:
            await _killed(running.process)
    return {"points": [], "bytes": 0, "problem": f"{why}; {_KEPT}"}


async def _killed(process: asyncio.subprocess.Process) -> None:
    """Its end, at once if it has not come by itself."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 1.0)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _said(channel: socket.socket, timeout_s: float) -> dict[str, Any]:
    """The next message. AgentError is the process's refusal, EOFError its end, TimeoutError its silence."""
    loop = asyncio.get_running_loop()
    try:
        data = await asyncio.wait_for(loop.sock_recv(channel, 1 << 18), timeout_s)
    except ConnectionResetError:  # it ended with something of ours unread; what it said before is still there
        data = await asyncio.wait_for(loop.sock_recv(channel, 1 << 18), timeout_s)
    except TimeoutError:
        raise TimeoutError(f"its process said nothing for {timeout_s:.0f} s") from None
    if not data:
        raise EOFError("its process ended, killed or out of memory")
    said: dict[str, Any] = json.loads(data)
    if "error" in said:
        raise AgentError(said["error"])
    return said


def _here() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
