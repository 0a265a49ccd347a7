"""Writes pcapng (draft-ietf-opsawg-pcapng): one interface block a capture point, times in ns, drops in a statistics block."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

_ETHERNET = 1
_PACKET = 6
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Point:
    """Where frames are read: "host:client:eth0" is what the host lived through, "network:campus" what the wire carried."""

    name: str
    description: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened at a point since `start_ns`, when the capture began: frames the kernel saw, had no room for, handed over."""

    start_ns: int
    received: int
    dropped: int
    delivered: int


class Writer:
    """Blocks are collected in memory and written in large pieces; `flush` and `close` write what is left.

    `frames` counts by point what the file holds or will hold. When a write fails, the file ends with the last block that fitted.
    """

    def __init__(self, file: BinaryIO, application: str) -> None:
        self._file = file
        self._buffer = bytearray()
        self.frames: list[int] = []
        self.size = 0
        options = _option(4, application.encode())
        self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options + _END)

    @property
    def length(self) -> int:
        """Bytes of the file once all is written."""
        return self.size + len(self._buffer)

    def point(self, point: Point, snaplen: int) -> int:
        """Adds a capture point; the number its frames carry."""
        options = _option(2, point.name.encode()) + _option(9, b"\x09")
        if point.description:
            options += _option(3, point.description.encode())
        if point.comment:
            options += _option(1, point.comment.encode())
        self._block(1, struct.pack("<HHI", _ETHERNET, 0, snaplen) + options + _END)
        self.frames.append(0)
        return len(self.frames) - 1

    def frame(self, point: int, time_ns: int, data: bytes | bytearray | memoryview, length: int) -> None:
        """One frame: `data` is what was kept of its `length` bytes."""
        size = len(data)
        padded = (size + 3) & ~3
        total = 32 + padded
        self._buffer += _ENHANCED.pack(_PACKET, total, point, time_ns >> 32, time_ns & 0xFFFFFFFF, size, length)
        self._buffer += data
        self._buffer += bytes(padded - size) + _LENGTH.pack(total)
        self.frames[point] += 1
        if len(self._buffer) > _PIECE:
            self.flush()

    def statistics(self, point: int, time_ns: int, counts: Counts, comment: str = "") -> None:
        """What was counted at a point up to now; `comment` is what a reader must know."""
        body = struct.pack("<III", point, time_ns >> 32, time_ns & 0xFFFFFFFF)
        body += _option(1, comment.encode()) if comment else b""
        body += _option(2, struct.pack("<II", counts.start_ns >> 32, counts.start_ns & 0xFFFFFFFF))
        for code, count in ((4, counts.received), (5, counts.dropped), (8, counts.delivered)):
            body += _option(code, struct.pack("<Q", count))
        self._block(5, body + _END)

    def flush(self) -> None:
        """OSError when the disk is full: what did not fit is forgotten, and the file is sound without it."""
        written = 0
        try:
            with memoryview(self._buffer) as waiting:
                while written < len(waiting):
                    written += self._file.write(waiting[written:])
        except OSError:
            written = self._whole(written)
            self._file.truncate(self.size + written)
            self._file.seek(self.size + written)
            raise
        finally:
            self.size += written
            self._buffer = bytearray()  # not cleared: an error's traceback may still hold a view of it

    def close(self) -> None:
        self.flush()
        self._file.flush()

    def _whole(self, written: int) -> int:
        """The end of the last block that was written whole; the frames behind it count no more."""
        at = whole = 0
        while at < len(self._buffer):
            kind, total, point = struct.unpack_from("<III", self._buffer, at)
            at += total
            if at <= written:
                whole = at
            elif kind == _PACKET:
                self.frames[point] -= 1
        return whole

    def _block(self, kind: int, body: bytes) -> None:
        total = 12 + len(body)
        self._buffer += struct.pack("<II", kind, total) + body + _LENGTH.pack(total)


_ENHANCED = struct.Struct("<IIIIIII")
_LENGTH = struct.Struct("<I")
_END = struct.pack("<HH", 0, 0)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
