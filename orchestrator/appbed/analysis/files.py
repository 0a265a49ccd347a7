"""Several capture files read as one: a rotated set, or captures made side by side."""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from appbed.analysis.pcap import Buffer, Point, Reader, read
from appbed.errors import CaptureError

SUFFIXES = (".pcapng", ".pcap")


class FilesReader(Reader):
    """The frames of one file after the other; points of one name and link type are one point.

    A file that is cut short or no capture does not spoil the others: `faults` name it. CaptureError when none is a capture.
    """

    def __init__(self, buffer: Buffer, parts: Sequence[tuple[str, int, int]]) -> None:
        super().__init__(buffer, 0, len(buffer))
        self._readers: list[tuple[str, Reader]] = []
        self._refused: list[str] = []
        self._numbers: dict[tuple[str, int], int] = {}
        for name, start, stop in parts:
            try:
                self._readers.append((name, read(buffer, start, stop)))
            except CaptureError as error:
                self._refused.append(f"{name}: {error.message}")
        if not self._readers:
            raise CaptureError(self._refused[0], remedy="give pcap or pcapng files")

    @property
    def faults(self) -> tuple[str, ...]:
        return (*self._refused, *(f"{name}: {fault}" for name, reader in self._readers for fault in reader.faults))

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        for name, reader in self._readers:
            here: list[int] = []
            for point, time_ns, at, captured, length in reader:
                while len(here) <= point:
                    here.append(self._number(reader.described[len(here)]))
                yield here[point], time_ns, at, captured, length
            here += [self._number(point) for point in reader.described[len(here) :]]
            for (point, began), counts in reader.statistics.items():
                self.statistics[here[point], began if isinstance(began, bytes) else (name, began)] = counts
            for point, lost in reader.lost.items():
                self.lost[here[point]] += lost
        self.stopped = "; ".join((*self._refused, *(f"{name}: {r.stopped}" for name, r in self._readers if r.stopped)))

    def _number(self, point: Point) -> int:
        key = (point.name, point.link_type)
        if key not in self._numbers:
            self._numbers[key] = len(self.described)
            self._add_point(replace(point, number=len(self.described)))
        return self._numbers[key]


def found(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files that are meant: one, several, or all captures in a folder by name, which is by age in a rotated set."""
    files: list[Path] = []
    for path in [Path(source)] if isinstance(source, str | Path) else map(Path, source):
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES and each.is_file())
            if not inside:
                raise CaptureError(f"{path}: no capture in this folder", remedy=f"files end in {' or '.join(SUFFIXES)}")
            files += inside
        else:
            files.append(path)
    if not files:
        raise CaptureError("no file: none was given", remedy="give a readable capture file")
    return files


def joined(files: Sequence[Path]) -> FilesReader:
    """A reader of them all, in a nameless file that the system pages in; memory holds none of it."""
    with tempfile.TemporaryFile() as whole:
        parts = []
        for path in files:
            start = whole.tell()
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole, 1 << 20)
            parts.append((path.name, start, whole.tell()))
        whole.flush()
        if not whole.tell():
            raise CaptureError(f"{files[0]}: the file is empty", remedy="was the capture stopped early?")
        return FilesReader(mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ), parts)
