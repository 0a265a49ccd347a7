"""Where a capture is written: one file, or a set of files of which the newest are kept, in dumpcap's words and names."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from appbed.agent.pcapng import Counts, Point, Writer

_RESERVE_BYTES, _RESERVE_BYTES_A_POINT = 4096, 256
_BLOCK_BYTES = 36  # what a frame's block has beside the frame, with padding


@dataclass(frozen=True, slots=True)
class Limits:
    """A new file begins before one has more than `filesize` bytes, and only the newest `files` stay; 0 is no limit."""

    filesize: int = 0
    files: int = 0


class Recording:
    """Takes frames and writes them. OSError when the disk is full; `close` still has room for the statistics then.

    Without limits it is NAME.pcapng; with them NAME_00001_20260131235959.pcapng and so on, which Wireshark knows for a set.
    Each file stands for itself: it has all points, and the statistics up to its end as `counted` gives them, by point.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        points: Sequence[Point],
        snaplen: int,
        limits: Limits,
        counted: Callable[[], Sequence[Counts]],
    ) -> None:
        self._folder, self._name = folder, name
        self._points, self._snaplen = points, snaplen
        self._limits, self._counted = limits, counted
        self._number = 0
        self._kept: list[tuple[Path, list[int]]] = []
        self._reserve = folder / f"{name}.reserve"
        try:
            self._reserve.write_bytes(bytes(_RESERVE_BYTES + _RESERVE_BYTES_A_POINT * len(points)))
            self._file, self._writer = self._open()
        except OSError:
            self._reserve.unlink(missing_ok=True)
            raise

    @property
    def frames(self) -> list[int]:
        """By point, how many the files there are hold."""
        return [sum(frames[point] for _, frames in self._kept) for point in range(len(self._points))]

    @property
    def size(self) -> int:
        """Bytes of all files there are."""
        return sum(path.stat().st_size for path, _ in self._kept)

    def frame(self, point: int, time_ns: int, data: bytes | memoryview, length: int) -> None:
        """One frame: `data` is what was kept of its `length` bytes."""
        if 0 < self._limits.filesize < self._writer.length + len(data) + _BLOCK_BYTES and any(self._writer.frames):
            self._turn()
        self._writer.frame(point, time_ns, data, length)

    def flush(self) -> None:
        self._writer.flush()

    def close(self, comments: Sequence[str]) -> None:
        """Writes the statistics, with what a reader must know of each point."""
        self._reserve.unlink(missing_ok=True)
        if self._file.closed:  # the disk was full when the next file was to begin
            try:
                self._file, self._writer = self._open()
            except OSError:
                return
        with contextlib.suppress(OSError):  # what did not fit was said when it did not
            self._writer.flush()
        with contextlib.suppress(OSError), self._file:
            self._end(comments)

    def _turn(self) -> None:
        """Ends the file and begins the next; the oldest goes when there are too many. It can be closed after an OSError."""
        self._end([""] * len(self._points))
        self._file.close()
        while len(self._kept) >= self._limits.files > 0:
            self._kept.pop(0)[0].unlink(missing_ok=True)
        self._file, self._writer = self._open()

    def _end(self, comments: Sequence[str]) -> None:
        for point, (counts, comment) in enumerate(zip(self._counted(), comments, strict=True)):
            self._writer.statistics(point, time.time_ns(), counts, comment)
        self._writer.close()

    def _open(self) -> tuple[BinaryIO, Writer]:
        number = self._number + 1
        part = time.strftime(f"_{number:05}_%Y%m%d%H%M%S", time.gmtime()) if self._limits.filesize else ""
        path = self._folder / f"{self._name}{part}.pcapng"
        file = path.open("wb", buffering=0)
        writer = Writer(file, "appbed")
        for point in self._points:
            writer.point(point, self._snaplen)
        try:
            writer.flush()
        except OSError:
            file.close()
            path.unlink()
            raise
        self._number = number
        self._kept.append((path, writer.frames))
        return file, writer


def written(folder: Path, name: str) -> list[Path]:
    """The files of a recording, oldest first, also when its process was killed."""
    return [*folder.glob(f"{name}.pcapng"), *sorted(folder.glob(f"{name}_[0-9][0-9][0-9][0-9][0-9]_*.pcapng"))]


def forget(folder: Path, name: str) -> None:
    """Removes them."""
    for path in (*written(folder, name), folder / f"{name}.reserve"):
        path.unlink(missing_ok=True)
