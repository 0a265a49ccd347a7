"""Packets as records, made from the index when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from appbed.analysis.index import Index
from appbed.analysis.layers import KIND_NAMES, TCP
from appbed.analysis.tcp import Endpoint


@dataclass(frozen=True, slots=True)
class Packet:
    """One captured packet; `number` counts from 1 in the order of the file, as Wireshark does.

    `protocol` is "tcp", "udp", "icmp", "icmpv6", "arp", "fragment", "unread" or the number of another. `length` is
    the frame's on the wire, `captured` what the capture kept of it, `payload_bytes` the transport payload's on the
    wire. ICMP puts its type and code where ports are. `tcp_flags` reads "SA" for SYN and ACK.
    """

    number: int
    time_s: float
    point: str
    protocol: str
    source: Endpoint
    destination: Endpoint
    length: int
    captured: int
    payload_bytes: int
    seq: int
    ack: int
    tcp_flags: str
    window: int
    _index: Index = field(repr=False, compare=False)

    @property
    def start_s(self) -> float:
        return self.time_s

    @property
    def end_s(self) -> float:
        return self.time_s

    @property
    def frame(self) -> bytes:
        """The captured bytes, link header included."""
        return self._index.frame(self.number - 1)

    @property
    def payload(self) -> bytes:
        """The captured bytes of the transport payload."""
        return self._index.payload(self.number - 1)


class Packets(Sequence[Packet]):
    """Packets in order of time; each is made when asked for, so a large capture costs nothing to hold."""

    def __init__(self, index: Index, names: tuple[str, ...], numbers: Sequence[int]) -> None:
        self._index, self._names, self._numbers = index, names, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> Packet: ...
    @overload
    def __getitem__(self, at: slice) -> Packets: ...
    def __getitem__(self, at: int | slice) -> Packet | Packets:
        if isinstance(at, slice):
            return Packets(self._index, self._names, self._numbers[at])
        return self._packet(self._numbers[at])

    def __iter__(self) -> Iterator[Packet]:
        return map(self._packet, self._numbers)

    def _packet(self, number: int) -> Packet:
        index = self._index
        kind, flags = index.kinds[number], index.flags[number]
        return Packet(
            number + 1,
            index.time_s(number),
            self._names[index.points[number]],
            KIND_NAMES.get(kind) or str(kind),
            Endpoint(index.name(index.sources[number]), index.source_ports[number]),
            Endpoint(index.name(index.destinations[number]), index.destination_ports[number]),
            index.lengths[number],
            index.captured[number],
            index.payloads[number],
            index.seqs[number],
            index.acks[number],
            "".join(name for bit, name in enumerate("FSRPAUEC") if flags >> bit & 1) if kind == TCP else "",
            index.windows[number],
            index,
        )
