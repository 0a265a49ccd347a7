"""The bytes one side of a TCP connection sent, in order, with the time each was seen; the bytes stay in the capture."""

from __future__ import annotations

from array import array
from bisect import bisect_right

from appbed.analysis.index import Index


class Stream:
    """One direction of a connection; offset 0 is the first byte after the SYN.

    `len()` is the offset after the last byte seen; `gaps` are the ranges the capture does not hold, which makes
    `read` stop early. `segments` counts the packets that carried data, SYN or FIN, and among them `retransmissions`
    those sent again, `copies` those a link delivered twice, `out_of_order` those overtaken; `damaged` ones, whose
    checksum is wrong, are not among them. `round_trips_s` are times from a segment to its acknowledgement as seen at this point.
    """

    __slots__ = (
        "_arrived", "_ends", "_index", "_packets", "_skips", "_starts",
        "copies", "damaged", "finished", "out_of_order", "retransmissions", "round_trips_s", "segments",
    )  # fmt: skip

    def __init__(self, index: Index) -> None:
        self._index = index
        self._starts, self._ends, self._packets, self._skips = array("Q"), array("Q"), array("I"), array("I")
        self._arrived: array[int] | None = None
        self.segments = self.retransmissions = self.out_of_order = self.copies = self.damaged = 0
        self.round_trips_s = array("d")
        self.finished = False

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __repr__(self) -> str:
        return f"Stream({len(self)} bytes, {len(self.gaps)} gaps)"

    @property
    def data(self) -> bytes:
        """All bytes from the first one up to the first gap."""
        return self.read(0, len(self))

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """The ranges (start, stop) inside the stream that the capture does not hold."""
        found, end = [], 0
        for start, stop in zip(self._starts, self._ends, strict=True):
            if start > end:
                found.append((end, start))
            end = stop
        return tuple(found)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, or to the first gap or the end; shorter than asked says so."""
        parts: list[bytes] = []
        row = bisect_right(self._starts, start) - 1
        while 0 <= row < len(self._starts) and self._starts[row] <= start < min(stop, self._ends[row]):
            skip = self._skips[row] + start - self._starts[row]
            end = min(stop, self._ends[row])
            parts.append(self._index.payload(self._packets[row], skip, end - start))
            start, row = end, row + 1
        return b"".join(parts)

    def holds(self, start: int, stop: int) -> bool:
        """Whether the capture holds every byte of the range."""
        row = bisect_right(self._starts, start) - 1
        while 0 <= row < len(self._starts) and self._starts[row] <= start < self._ends[row]:
            start, row = self._ends[row], row + 1
            if start >= stop:
                return True
        return start >= stop

    def packet(self, offset: int) -> int:
        """The number of the packet that first brought this byte, or the nearest byte before it that was seen."""
        row = max(bisect_right(self._starts, offset) - 1, 0)
        return self._packets[row]

    def follower(self, offset: int) -> int | None:
        """The number of the packet that brought what begins after this offset; None where nothing does."""
        row = bisect_right(self._starts, offset)
        return self._packets[row] if row < len(self._packets) else None

    def seen_s(self, offset: int) -> float:
        """When this byte was first seen."""
        return self._index.time_s(self.packet(offset))

    def arrived_s(self, offset: int) -> float:
        """When this byte and all before it had been seen: from then on an application can have read it."""
        if self._arrived is None:
            self._arrived, latest = array("q"), 0
            for packet in self._packets:
                latest = max(latest, self._index.times[packet])
                self._arrived.append(latest)
        return self._arrived[max(bisect_right(self._starts, offset) - 1, 0)] / 1e9

    def add(self, start: int, stop: int, packet: int, skip: int = 0) -> None:
        """Takes the range from a packet's payload (after `skip` bytes); bytes already there stay as they are."""
        if start < 0:
            start, skip = 0, skip - start
        if start >= stop:
            return
        row = len(self._starts)
        if row == 0 or start >= self._ends[-1]:
            self._insert(row, start, stop, packet, skip)
            return
        row = bisect_right(self._starts, start)
        at = max(start, self._ends[row - 1]) if row else start
        while at < stop:
            end = min(stop, self._starts[row]) if row < len(self._starts) else stop
            if at < end:
                self._insert(row, at, end, packet, skip + at - start)
                row += 1
            if row >= len(self._starts):
                return
            at, row = self._ends[row], row + 1

    def _insert(self, row: int, start: int, stop: int, packet: int, skip: int) -> None:
        self._starts.insert(row, start)
        self._ends.insert(row, stop)
        self._packets.insert(row, packet)
        self._skips.insert(row, skip)
