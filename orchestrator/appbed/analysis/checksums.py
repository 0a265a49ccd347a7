"""Tells packets a link damaged from sound ones by their TCP or UDP checksum: no application ever saw the damaged."""

from __future__ import annotations

from appbed.analysis.index import Index
from appbed.analysis.layers import TCP, UDP

_SAMPLE = 64


class Checksums:
    """`sound(packet number)`, with trust in checksums decided for each point by a sample of its packets.

    A checksum that only covers the pseudo header is unfinished, not wrong: the sending card was to complete it. Where
    most of a point's checksums are wrong they say nothing (some cards and rewriting tools) and all packets count as
    sound; so do those of which the capture kept only a part.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._trusted: dict[int, bool] = {}

    def sound(self, number: int) -> bool:
        """False when the packet's checksum shows that it was changed on its way."""
        if _adds_up(self._index, number):
            return True
        point = self._index.points[number]
        if point not in self._trusted:
            self._trusted[point] = self._trust(point)
        return not self._trusted[point]

    def _trust(self, point: int) -> bool:
        index = self._index
        sample = []
        for number in range(len(index)):
            if index.points[number] == point and index.kinds[number] in (TCP, UDP):
                sample.append(_adds_up(index, number))
                if len(sample) == _SAMPLE:
                    break
        return sum(sample) * 2 > len(sample)


def _adds_up(index: Index, number: int) -> bool:
    """Whether all 16-bit words, pseudo header included, sum to 0 modulo 65535 (RFC 1071), or nothing can be said."""
    data = index.transport_bytes(number)
    kind, length = index.kinds[number], index.payloads_at[number] - index.transports[number] + index.payloads[number]
    if len(data) != length:
        return True
    field = data[16:18] if kind == TCP else data[6:8]
    if kind == UDP and field == b"\0\0":
        return True
    ends = index.addresses[index.sources[number]] + index.addresses[index.destinations[number]]
    pseudo = int.from_bytes(ends, "big") + kind + length
    total = pseudo + (int.from_bytes(data, "big") << 8 * (length & 1))
    return total % 65_535 == 0 or (pseudo - int.from_bytes(field, "big")) % 65_535 == 0
