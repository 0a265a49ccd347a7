"""The computer that `setup` makes able and `doctor` looks at: its files, its programs, who we are on it.

One protocol, so that tests can hand in a fresh Debian, a Mac or a machine without root.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # not on an ordinary user's PATH, and dockerd and tc live there
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_POLL_S = 0.05
_POLITELY = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_GRACE_S = 15.0  # for tidying up after a signal; apt-get lets dpkg finish what it is at


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: its exit status, and what it wrote to stdout and stderr as one text."""

    argv: tuple[str, ...]
    status: int
    output: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    def tail(self, count: int = 1) -> list[str]:
        """The last lines that say something, without the colours that docker's builder puts in."""
        lines = (_COLOUR.sub("", line).rstrip() for line in self.output.splitlines())
        return [line for line in lines if line][-count:]


class Spawned(Protocol):
    """A process that may outlive us."""

    def runs(self) -> bool: ...
    def end(self) -> None:
        """It is gone when this returns."""
        ...


class Computer(Protocol):
    """What setup and doctor need of the machine they run on."""

    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def system(self) -> str:
        """ "Linux", "Darwin" or "Windows"."""
        ...

    @property
    def kernel(self) -> str:
        """The kernel's release, which also tells whether an engine runs on this very kernel."""
        ...

    @property
    def is_root(self) -> bool: ...
    def which(self, program: str) -> str | None: ...
    def exists(self, path: str) -> bool: ...
    def read(self, path: str) -> str | None:
        """The text of a file; None if it is not there or not ours to read."""
        ...

    def free_bytes(self, path: str) -> int | None:
        """Free space on the file system that holds `path`, None if that cannot be known."""
        ...

    def run(
        self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:  # fmt: skip
        """Run to its end; 124 if it had to be ended, 127 if there is no such program. `environment` adds to ours."""
        ...

    def spawn(self, argv: Sequence[str], log: Path) -> Spawned:
        """Start a daemon in a session of its own, its output going to `log`."""
        ...

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool: ...
    def stop(self) -> None:
        """End every command that `run` still has running, in whatever thread, and start none any more."""
        ...


class ThisComputer:
    """The real one."""

    def __init__(self) -> None:
        self.environment: Mapping[str, str] = dict(os.environ)
        self.system = platform.system()
        self.kernel = platform.release()
        self.is_root = self.system != "Windows" and os.geteuid() == 0
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def which(self, program: str) -> str | None:
        return shutil.which(program, path=f"{self.environment.get('PATH', os.defpath)}:{_SBIN}")

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def read(self, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def free_bytes(self, path: str) -> int | None:
        try:
            return shutil.disk_usage(path).free
        except OSError:
            return None

    def run(
        self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:  # fmt: skip
        command = (self.which(argv[0]) or argv[0], *argv[1:])
        try:
            process = self._start(command, {**self.environment, "LC_ALL": "C.UTF-8", **(environment or {})})
        except OSError as error:
            return Result(tuple(argv), 127, f"{argv[0]}: {error.strerror}")
        if process is None:
            return Result(tuple(argv), 130, "not started: interrupted")
        lines: list[str] = []
        # A daemon that a package's script started may keep our pipe open for ever: wait for the command, not the pipe.
        reader = threading.Thread(target=_collect, args=(process.stdout, lines, on_line), daemon=True)
        reader.start()
        try:
            status = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            status = 124
        finally:
            _end(process)
            reader.join(timeout=1.0)
            with self._lock:
                self._running.discard(process)
        if status == 124:
            lines.append(f"{argv[0]}: ended, no result after {timeout_s:.0f} s")
        return Result(tuple(argv), status, "\n".join(lines))

    def _start(self, argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                return None
            # A session of its own: Ctrl-C reaches us alone, and we end the whole group in our own order.
            process = subprocess.Popen(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
            return process

    def spawn(self, argv: Sequence[str], log: Path) -> Spawned:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                (self.which(argv[0]) or argv[0], *argv[1:]), env=self.environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", start_new_session=True,
            )  # fmt: skip
        return _Process(process)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while not condition():
            if time.monotonic() > deadline:
                return False
            pause.wait(_POLL_S)
        return True

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _end(process)


class _Process:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def runs(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        _end(self._process, (signal.SIGTERM, signal.SIGKILL))


def _collect(stream: IO[str] | None, lines: list[str], on_line: Callable[[str], None] | None) -> None:
    if stream is None:
        return
    with stream:
        for line in stream:
            lines.append(line.rstrip("\n"))
            if on_line is not None:
                on_line(lines[-1])


def _end(process: subprocess.Popen[Any], politely: Sequence[signal.Signals] = _POLITELY) -> None:
    """Interrupt the whole group, then be less polite; nothing if it has ended by itself.

    SIGINT first: apt-get then waits for dpkg, which has a session of its own; SIGTERM would leave it running alone.
    """
    for sign in politely:
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=_GRACE_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
