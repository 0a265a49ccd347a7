"""Writes pcapng (draft-ietf-opsawg-pcapng): one interface block a capture point, times in ns, drops in a statistics block."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

_ETHERNET = 1


@dataclass(frozen=True, slots=True)
class Point:
    """Where frames are read: "host:client:eth0" is what the host lived through, "network:campus" what the wire carried."""

    name: str
    description: str = ""
    comment: str = ""


class Writer:
    """Blocks are collected in memory and written in large pieces; `flush` and `close` write what is left."""

    def __init__(self, file: BinaryIO, application: str) -> None:
        self._file = file
        self._buffer = bytearray()
        self._points = 0
        self.size = 0
        options = _option(4, application.encode())
        self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options + _END)

    def point(self, point: Point, snaplen: int) -> int:
        """Adds a capture point; the number its frames carry."""
        options = _option(2, point.name.encode()) + _option(9, b"\x09")
        if point.description:
            options += _option(3, point.description.encode())
        if point.comment:
            options += _option(1, point.comment.encode())
        self._block(1, struct.pack("<HHI", _ETHERNET, 0, snaplen) + options + _END)
        self._points += 1
        return self._points - 1

    def frame(self, point: int, time_ns: int, data: bytes, length: int) -> None:
        """One frame: `data` is what was kept of its `length` bytes."""
        size = len(data)
        padded = (size + 3) & ~3
        total = 32 + padded
        self._buffer += _ENHANCED.pack(6, total, point, time_ns >> 32, time_ns & 0xFFFFFFFF, size, length)
        self._buffer += data
        self._buffer += bytes(padded - size) + _LENGTH.pack(total)
        if len(self._buffer) > 1 << 20:
            self.flush()

    def statistics(self, point: int, time_ns: int, received: int, dropped: int) -> None:
        """What the kernel counted at a point: frames received and frames it had no room for."""
        body = struct.pack("<III", point, time_ns >> 32, time_ns & 0xFFFFFFFF)
        self._block(5, body + _option(4, struct.pack("<Q", received)) + _option(5, struct.pack("<Q", dropped)) + _END)

    def flush(self) -> None:
        self._file.write(self._buffer)
        self.size += len(self._buffer)
        self._buffer.clear()

    def close(self) -> None:
        self.flush()
        self._file.flush()

    def _block(self, kind: int, body: bytes) -> None:
        total = 12 + len(body)
        self._buffer += struct.pack("<II", kind, total) + body + _LENGTH.pack(total)


_ENHANCED = struct.Struct("<IIIIIII")
_LENGTH = struct.Struct("<I")
_END = struct.pack("<HH", 0, 0)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
