"""Reads the frames and the capture points out of a pcap or pcapng file, without copying a frame."""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from appbed.analysis import blocks
from appbed.errors import CaptureError

Buffer = bytes | mmap.mmap
"""A capture in memory, or one the system pages in from its file."""

MAX_FRAME_BYTES = 262_144
"""No capture tool writes a longer frame; a record that claims one is damaged."""

MAX_POINTS = 65_535
UNKNOWN_LINK = 0xFFFF

_PCAP_MAGIC = {0xA1B2C3D4: 1_000, 0xA1B23C4D: 1}
_SECTION, _INTERFACE, _PACKET, _SIMPLE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6
_BYTE_ORDER = 0x1A2B3C4D


@dataclass(frozen=True, slots=True)
class Point:
    """One place where packets were captured: an interface block of the file.

    `name` is "<plane>:<host or network>[:<interface>]" in captures of the lab ("host:client:eth0",
    "network:campus") and anything elsewhere; `address` is the interface's description. `received`, `dropped` and
    `delivered` (read by the capturer, whether or not it kept them) are the capturer's own statistics, None where it
    wrote none; `remark` is what it had to say at the end.
    """

    number: int
    name: str
    address: str
    comment: str
    link_type: int
    snap_bytes: int
    received: int | None = None
    dropped: int | None = None
    delivered: int | None = None
    remark: str = ""

    @property
    def plane(self) -> str:
        """ "host" (what an application lived through), "network" (what the wire carried), "" in foreign captures."""
        plane = self.name.partition(":")[0]
        return plane if plane in ("host", "network") else ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses in `address`: separated by commas or blanks, prefix lengths left out."""
        return tuple(part.partition("/")[0] for part in self.address.replace(",", " ").split())

    @property
    def place(self) -> str:
        """The host or network captured at: "client" of "host:client:eth0"; the whole name in foreign captures."""
        return self.name.split(":")[1] if self.plane and ":" in self.name else self.name


class Statistics(NamedTuple):
    """One capture's counts at one point, from when it began; a later block replaces an earlier one."""

    received: int | None
    dropped: int | None
    delivered: int | None
    remark: str = ""


class Frame(NamedTuple):
    """Where one frame lies in the file: its bytes are `buffer[at:at + captured]`."""

    point: int
    time_ns: int
    at: int
    captured: int
    length: int


def read(buffer: Buffer, start: int = 0, stop: int | None = None) -> Reader:
    """A reader for the file's format; raises CaptureError when the file is neither pcap nor pcapng.

    `start` and `stop` say where in the buffer the file lies, if there are several in it.
    """
    stop = len(buffer) if stop is None else stop
    if stop == start:
        raise CaptureError("byte 0: the file is empty", remedy="was the capture stopped before it started?")
    if stop - start < 24:
        raise CaptureError(
            f"byte 0: {stop - start} bytes, shorter than the header of a pcap or pcapng file",
            remedy="was the copy of the file complete?",
        )
    magic = bytes(buffer[start : start + 4])
    if magic == struct.pack("<I", _SECTION):
        return PcapngReader(buffer, start, stop)
    for order in "<>":
        if struct.unpack(order + "I", magic)[0] in _PCAP_MAGIC:
            return PcapReader(buffer, start, stop, order)
    packed = magic[:2] == b"\x1f\x8b" or magic == b"\x28\xb5\x2f\xfd"
    hint = "decompress it first" if packed else "give a pcap or pcapng file"
    raise CaptureError(f"byte 0: {magic.hex(' ')} begins neither a pcap nor a pcapng file", remedy=hint)


class Reader:
    """Iterate it for the frames; `points` and `faults` are complete once it is exhausted."""

    def __init__(self, buffer: Buffer, start: int, stop: int) -> None:
        self.buffer, self._start, self._end = buffer, start, stop
        self.link_types: list[int] = []
        self.statistics: dict[tuple[int, object], Statistics] = {}
        self.lost: Counter[int] = Counter()
        self.stopped = ""
        self.described: list[Point] = []
        self._odd: Counter[str] = Counter()

    @property
    def points(self) -> tuple[Point, ...]:
        """The points; drops marked on single packets stand in where the capturer wrote no statistics."""
        return tuple(self._counted(point) for point in self.described)

    def _counted(self, point: Point) -> Point:
        """The sum over captures: `statistics` has one entry for each, by point and beginning."""
        known = [each for (number, _), each in self.statistics.items() if number == point.number]
        received, dropped = _sum(each.received for each in known), _sum(each.dropped for each in known)
        delivered = _sum(each.delivered for each in known)
        if dropped is None and point.number in self.lost:
            dropped = self.lost[point.number]
        remark = "; ".join(dict.fromkeys(each.remark for each in known if each.remark))
        return replace(point, received=received, dropped=dropped, delivered=delivered, remark=remark)

    @property
    def faults(self) -> tuple[str, ...]:
        """What of the file could not be read, one line each; the frames before it were."""
        odd = tuple(f"{count} times: {what}" for what, count in self._odd.items())
        return (*odd, self.stopped) if self.stopped else odd

    def __iter__(self) -> Iterator[Frame | tuple[int, int, int, int, int]]:
        raise NotImplementedError

    def _add_point(self, point: Point) -> None:
        self.described.append(point)
        self.link_types.append(point.link_type)

    def _stop(self, at: int, what: str) -> None:
        self.stopped = f"byte {at - self._start}: {what}; read up to here"

    def _sound_time(self, time_ns: int) -> int:
        if 0 <= time_ns < 1 << 63:
            return time_ns
        self._odd["a time stamp outside the years 1970 to 2262, taken as 0"] += 1
        return 0


class PcapReader(Reader):
    """The classic format: one point, time stamps in micro- or nanoseconds, either byte order."""

    def __init__(self, buffer: Buffer, start: int, stop: int, order: str) -> None:
        super().__init__(buffer, start, stop)
        self._order = order
        magic, _, _, _, _, snap, link = struct.unpack_from(order + "IHHiIII", buffer, start)
        self._scale = _PCAP_MAGIC[magic]
        self._add_point(Point(0, "capture", "", "", link & 0xFFFF, snap))

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Frame by frame, as plain tuples in the order of Frame: a named tuple costs half of the time."""
        buffer, size, scale = self.buffer, self._end, self._scale
        unpack = struct.Struct(self._order + "IIII").unpack_from
        at = self._start + 24
        while at + 16 <= size:
            seconds, fraction, captured, length = unpack(buffer, at)
            if captured > MAX_FRAME_BYTES:
                return self._stop(at, f"a frame of {captured} bytes, the file is damaged")
            if captured > size - at - 16:
                return self._stop(at, f"a frame of {captured} bytes, of which {size - at - 16} are there")
            yield 0, seconds * 1_000_000_000 + fraction * scale, at + 16, captured, max(length, captured)
            at += 16 + captured
        if at < size:
            self._stop(at, f"{size - at} bytes, too few for a record")


class PcapngReader(Reader):
    """The block format: several points with names, resolutions and statistics, several sections.

    An interface of a later section that repeats name and link type of an earlier one is the same point:
    so rotated files can simply be concatenated.
    """

    def __init__(self, buffer: Buffer, start: int, stop: int) -> None:
        super().__init__(buffer, start, stop)
        self._order = "<"
        self._sections = 0
        self._section: list[int] = []
        self._earlier: dict[tuple[str, int], int] = {}
        self._resolution: list[tuple[int, int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        buffer, size, at = self.buffer, self._end, self._start
        unpack = struct.Struct("<II").unpack_from
        while at + 12 <= size:
            kind, length = unpack(buffer, at)
            if kind == _SECTION:
                if not self._begin_section(at):
                    return self._stop(at, "a section header without a byte order mark")
                unpack = struct.Struct(self._order + "II").unpack_from
                length = unpack(buffer, at)[1]
            if length < 12 or length % 4:
                return self._stop(at, f"a block of {length} bytes, the file is damaged")
            if length > size - at:
                return self._stop(at, f"a block of {length} bytes, of which {size - at} are there")
            if kind in (_ENHANCED, _PACKET, _SIMPLE):
                frame = self._frame(kind, at, at + length - 4)
                if frame is not None:
                    yield frame
            elif kind == _INTERFACE:
                if len(self.described) >= MAX_POINTS:
                    return self._stop(at, f"more than {MAX_POINTS} interfaces")
                self._interface(at + 8, at + length - 4)
            elif kind == _STATISTICS:
                self._statistics(at + 8, at + length - 4)
            at += length
        if at < size:
            self._stop(at, f"{size - at} bytes, too few for a block")

    def _begin_section(self, at: int) -> bool:
        for order in "<>":
            if struct.unpack_from(order + "I", self.buffer, at + 8)[0] == _BYTE_ORDER:
                self._order = order
                self._section, self._resolution, self._sections = [], [], self._sections + 1
                self._earlier = {(point.name, point.link_type): point.number for point in self.described}
                return True
        return False

    def _frame(self, kind: int, at: int, end: int) -> tuple[int, int, int, int, int] | None:
        """The frame of one packet block; None, and a fault counted, where the block contradicts itself."""
        order, buffer = self._order, self.buffer
        high = low = drops = 0
        data = at + (12 if kind == _SIMPLE else 28)
        if data > end:
            self._odd["packet block shorter than its own header"] += 1
            return None
        if kind == _ENHANCED:
            interface, high, low, captured, length = struct.unpack_from(order + "IIIII", buffer, at + 8)
        elif kind == _PACKET:
            interface, drops, high, low, captured, length = struct.unpack_from(order + "HHIIII", buffer, at + 8)
        else:
            interface, length = 0, struct.unpack_from(order + "I", buffer, at + 8)[0]
            captured = min(length, end - data)
        if interface >= len(self._section):
            self._odd["packet of an interface that was not described"] += 1
            return None
        if captured > end - data or captured > MAX_FRAME_BYTES:
            self._odd["packet longer than its block"] += 1
            return None
        number = self._section[interface]
        multiply, divide, offset_ns = self._resolution[interface]
        time_ns = ((high << 32) | low) * multiply // divide + offset_ns
        if kind == _ENHANCED and end - data - captured >= 12:
            drops = blocks.number(blocks.options(buffer, data + (captured + 3 & ~3), end, order), 4, order) or 0
        if drops and not (kind == _PACKET and drops == 0xFFFF):  # 0xFFFF there means "not known"
            self.lost[number] += drops
        return number, self._sound_time(time_ns), data, captured, max(length, captured)

    def _interface(self, at: int, end: int) -> None:
        link, snap, options = UNKNOWN_LINK, 0, dict[int, bytes]()
        if end - at >= 8:
            link, _, snap = struct.unpack_from(self._order + "HHI", self.buffer, at)
            options = blocks.options(self.buffer, at + 8, end, self._order)
        else:
            self._odd["interface block shorter than its own header"] += 1
        name = blocks.text(options, 2) or f"interface {len(self._section)}"
        number = self._earlier.get((name, link), len(self.described))
        if number == len(self.described):
            self._add_point(Point(number, name, blocks.text(options, 3), blocks.text(options, 1), link, snap))
        self._resolution.append(blocks.resolution(options, self._order))
        self._section.append(number)

    def _statistics(self, at: int, end: int) -> None:
        """Counters run from a capture's beginning: those with another one are another capture's, rotated files share it."""
        order = self._order
        interface = struct.unpack_from(order + "I", self.buffer, at)[0] if end - at >= 12 else MAX_POINTS
        if interface >= len(self._section):
            self._odd["statistics of an interface that was not described"] += 1
            return
        options = blocks.options(self.buffer, at + 12, end, order)
        began = options.get(2) or f"section {self._sections}"
        dropped = _sum([blocks.number(options, 5, order), blocks.number(options, 7, order)])
        self.statistics[self._section[interface], began] = Statistics(
            blocks.number(options, 4, order), dropped, blocks.number(options, 8, order), blocks.text(options, 1)
        )


def _sum(counts: Iterable[int | None]) -> int | None:
    """Of those that are known; None where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
