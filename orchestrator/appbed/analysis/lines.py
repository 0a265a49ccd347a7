"""Reads a stream line by line, with the place of each: what SMTP, POP3 and IMAP have in common."""

from __future__ import annotations

from typing import NamedTuple

from appbed.analysis.stream import Stream

MAX_LINE_BYTES = 1 << 20
_STEP_BYTES = 4_096


class Line(NamedTuple):
    """A line without its CRLF (or LF), and its place in the stream, line end included."""

    data: bytes
    start: int
    stop: int

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


class Lines:
    """A reader that walks along a stream; `at` is where it stands."""

    def __init__(self, stream: Stream, at: int = 0) -> None:
        self.stream = stream
        self.at = at
        self._held, self._held_from = b"", 0

    def line(self) -> Line | None:
        """The next line; None at the end, at a gap, or where a line is not finished."""
        size = _STEP_BYTES
        while True:
            held = self._peek(size)
            end = held.find(b"\n")
            if end >= 0:
                start, self.at = self.at, self.at + end + 1
                return Line(held[: end - 1] if held[end - 1 : end] == b"\r" else held[:end], start, self.at)
            if len(held) < size or size >= MAX_LINE_BYTES:
                return None
            size *= 4

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end or a gap."""
        data = self.stream.read(self.at, self.at + count)
        self.at += len(data)
        return data

    def until_dot(self) -> tuple[bytes, bool]:
        """The lines up to a single dot, doubled dots undone (RFC 5321 section 4.5.2), and whether that dot came."""
        lines: list[bytes] = []
        while (line := self.line()) is not None:
            if line.data == b".":
                return b"".join(lines), True
            lines.append((line.data[1:] if line.data.startswith(b".") else line.data) + b"\r\n")
        return b"".join(lines), False

    def _peek(self, size: int) -> bytes:
        """Up to `size` bytes from here on, kept so that short lines do not each go back to the capture."""
        offset = self.at - self._held_from
        if not 0 <= offset <= len(self._held) or len(self._held) - offset < size:
            self._held, self._held_from = self.stream.read(self.at, self.at + max(size, 4 * _STEP_BYTES)), self.at
            offset = 0
        return self._held[offset : offset + size]
