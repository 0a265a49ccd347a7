"""One `tc -batch` that stays: telling it a change takes a tenth of a millisecond, starting a process for it many."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import Any

_ANSWER_S = 10.0
_ARGV = ("tc", "-json", "-statistics", "-force", "-batch", "-")
_FAILED = re.compile(r"(?P<why>.*?)\s*Command failed -:(?P<line>\d+)", re.DOTALL)


class Tc:
    """Started when it is first spoken to, in the network namespace of that moment. It remembers interfaces by name, so whoever adds
    or deletes one says `close`; the next call starts another, as it does after a line that failed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._lines = 0

    def close(self) -> None:
        if self._process:
            with self._process as process:  # its input ends, and so does it
                process.terminate()
        self._process, self._lines = None, 0

    def say(self, *lines: str) -> list[dict[str, Any]]:
        """Every line is tried; then all qdiscs of the namespace as tc shows them. OSError names the first line that failed."""
        process = self._process = self._process or self._started()
        first, said = self._lines + 1, (*lines, "qdisc show")
        self._lines += len(said)
        try:
            _write(process, "".join(f"{line}\n" for line in said))
            shown = _read_line(process)
        except OSError:
            self.close()
            raise
        # What it complains of is written before the answer to the last line.
        failed = _FAILED.match(_complaints(process))
        if failed:
            self.close()  # what it remembers may be gone
            raise OSError(_complaint(said[int(failed["line"]) - first], failed["why"]))
        qdiscs: list[dict[str, Any]] = json.loads(shown)
        return qdiscs

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


def _read_line(process: subprocess.Popen[bytes]) -> bytes:
    """tc -json writes one line for each `show`."""
    assert process.stdout
    line = b""
    deadline = time.monotonic() + _ANSWER_S
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise OSError(f"tc has not answered for {_ANSWER_S:.0f} s")
        piece = process.stdout.read(1 << 16)
        if not piece:
            raise OSError(f"tc ended: {' '.join(_complaints(process).split()) or 'it said nothing'}")
        line += piece
    return line


def _complaints(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr
    pieces = []
    with contextlib.suppress(BlockingIOError):
        while piece := process.stderr.read(1 << 16):
            pieces.append(piece)
    return b"".join(pieces).decode(errors="replace")


def netems(qdiscs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Those that are netems, by device and handle."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for qdisc in qdiscs:
        if qdisc.get("kind") == "netem":
            found.setdefault(qdisc["dev"], {})[qdisc["handle"]] = qdisc
    return found
