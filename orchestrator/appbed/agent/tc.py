"""One `tc -batch` that stays: telling it a change takes a tenth of a millisecond, starting a process for it many."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

_ANSWER_S = 10.0
_ARGV = ("tc", "-json", "-statistics", "-force", "-batch", "-")
_FAILED = re.compile(r"(?P<why>.*?)\s*Command failed -:(?P<line>\d+)", re.DOTALL)


class Tc:
    """Started when it is first spoken to, in the network namespace of that moment. It remembers interfaces by name, so whoever adds
    or deletes one says `close`; the next call starts another, as it does after a line that failed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._lines, self._narrowed = 0, False

    def close(self) -> None:
        if self._process:
            with self._process as process:  # its input ends, and so does it
                process.terminate()
        self._process, self._lines, self._narrowed = None, 0, False

    def say(self, *lines: str, devices: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Every line is tried; then the qdiscs as tc shows them, of `devices` or of all. OSError names the first line that failed."""
        if self._narrowed and not devices:  # once asked for a device, it never again shows all
            self.close()
        process = self._process = self._process or self._started()
        self._narrowed = bool(devices)
        shows = [f"qdisc show dev {device}" for device in devices] or ["qdisc show"]
        first, said = self._lines + 1, (*lines, *shows)
        self._lines += len(said)
        try:
            _write(process, "".join(f"{line}\n" for line in said))
            shown, complaints = _answered(process, first + len(lines), len(shows))
        except OSError:
            self.close()
            raise
        failed = _FAILED.match(complaints)
        if failed:
            self.close()  # what it remembers may be gone
            raise OSError(_complaint(said[int(failed["line"]) - first], failed["why"]))
        if not devices:
            return shown[0]
        return [{**qdisc, "dev": device} for device, qdiscs in zip(devices, shown, strict=True) for qdisc in qdiscs]

    def _started(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(_ARGV, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=dict(self._environment))
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream
            os.set_blocking(stream.fileno(), False)
        return process


def _complaint(line: str, why: str) -> str:
    """Of an interface that tc remembers and that is gone it passes on the kernel's word; said as of one it never knew."""
    words = line.split()
    if why.endswith("No such device") and "dev" in words:
        why = f'Cannot find device "{words[words.index("dev") + 1]}"'
    return f"tc {line}: {' '.join(why.split())}"


def _write(process: subprocess.Popen[bytes], text: str) -> None:
    """In pieces of what the pipe takes; complaints have to wait, and fit a pipe of their own."""
    assert process.stdin
    left = memoryview(text.encode())
    deadline = time.monotonic() + _ANSWER_S
    while left:
        if not select.select([], [process.stdin], [], max(0.0, deadline - time.monotonic()))[1]:
            raise OSError(f"tc takes no more lines for {_ANSWER_S:.0f} s")
        left = left[process.stdin.write(left) or 0 :]


def _answered(process: subprocess.Popen[bytes], first: int, shows: int) -> tuple[list[list[dict[str, Any]]], str]:
    """What it shows and what it complains of. Each `show`, from line `first` on, is answered by one line of JSON or by a complaint."""
    assert process.stdout
    assert process.stderr
    said = {process.stdout: b"", process.stderr: b""}
    deadline = time.monotonic() + _ANSWER_S
    while said[process.stdout].count(b"\n") + _refused(said[process.stderr], first) < shows:
        ready = select.select(list(said), [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            raise OSError(f"tc has not answered for {_ANSWER_S:.0f} s")
        for stream in ready:
            piece = stream.read(1 << 16)
            if not piece:
                complaints = said[process.stderr] + _waiting(process.stderr)
                raise OSError(f"tc ended: {' '.join(complaints.decode(errors='replace').split()) or 'it said nothing'}")
            said[stream] += piece
    # What it complains of is written before the answer to the last line.
    complaints = said[process.stderr] + _waiting(process.stderr)
    return [json.loads(line) for line in said[process.stdout].splitlines()], complaints.decode(errors="replace")


def _refused(complaints: bytes, first: int) -> int:
    return sum(int(line) >= first for line in re.findall(rb"Command failed -:(\d+)\n", complaints))


def _waiting(stream: IO[bytes]) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return stream.read(1 << 20) or b""
    return b""


def netems(qdiscs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Those that are netems, by device and handle."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for qdisc in qdiscs:
        if qdisc.get("kind") == "netem":
            found.setdefault(qdisc["dev"], {})[qdisc["handle"]] = qdisc
    return found
