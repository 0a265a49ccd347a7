"""Puts fragmented IP packets together again, in bounded memory."""

from __future__ import annotations

from appbed.analysis.layers import FragmentOf

MAX_PACKET_BYTES = 65_535
MAX_PENDING = 64
TIMEOUT_NS = 30_000_000_000
"""An unfinished packet is given up after this long (RFC 1122 section 3.3.2 asks for 60 to 120 s at a host)."""


class Defragmenter:
    """Collects fragments until a packet is whole; gives up the oldest one beyond MAX_PENDING.

    `unfinished` counts the packets begun and not (yet) completed. The first fragment to bring a byte wins.
    """

    def __init__(self) -> None:
        self._pending: dict[tuple[object, ...], _Pieces] = {}
        self._given_up = 0

    @property
    def unfinished(self) -> int:
        return self._given_up + len(self._pending)

    def add(self, point: int, time_ns: int, fragment: FragmentOf, payload: bytes) -> bytes | None:
        """The whole packet's payload, transport header first, if this fragment was the last one missing."""
        key = (point, fragment.packet)
        pieces = self._pending.get(key)
        if pieces is None or abs(time_ns - pieces.begun_ns) > TIMEOUT_NS:
            self._given_up += pieces is not None
            pieces = self._pending[key] = _Pieces(time_ns)
        if fragment.start + len(payload) <= MAX_PACKET_BYTES:
            pieces.add(fragment.start, payload, fragment.more)
        whole = pieces.whole()
        if whole is not None:
            del self._pending[key]
        elif len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
            self._given_up += 1
        return whole


class _Pieces:
    """The fragments of one packet so far."""

    def __init__(self, begun_ns: int) -> None:
        self.begun_ns = begun_ns
        self._starts: dict[int, bytes] = {}
        self._length: int | None = None

    def add(self, start: int, payload: bytes, more: bool) -> None:
        if len(payload) > len(self._starts.get(start, b"")):
            self._starts[start] = payload
        if not more:
            self._length = start + len(payload)

    def whole(self) -> bytes | None:
        if self._length is None:
            return None
        data = bytearray()
        for start, payload in sorted(self._starts.items()):
            if start > len(data):
                return None
            data += payload[len(data) - start :]
        return bytes(data[: self._length]) if len(data) >= self._length else None
