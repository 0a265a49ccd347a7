"""TCP connections: who opened and closed them, how long the handshake took, what each side sent and sent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from appbed.analysis.checksums import Checksums
from appbed.analysis.index import Index
from appbed.analysis.layers import TCP
from appbed.analysis.sending import is_copy, sent_after
from appbed.analysis.stream import Stream

FIN, SYN, RST, ACK = 1, 2, 4, 16
_UNKNOWN_RTT_NS = 3_000_000
_MAX_JUMP = 1 << 30
"""The largest window (RFC 7323): a segment further ahead is not of this connection."""


class Endpoint(NamedTuple):
    """One end of a conversation: what addresses a process (claim A1)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection as seen at one point; times in seconds since 1970, None for what was not seen.

    The client is who sent the first SYN; without one in the capture, who talks to the lower port. `syn_s` is the SYN
    that was answered, `syn_ack_s` the answer that was acknowledged. `handshake_s` is one round trip, the same at every
    point of the path: from SYN to SYN-ACK and on to the ACK, waiting for a repetition left out. `closed_by` is "client",
    "server" or "" (still open), `closed_how` "fin", "reset" or ""; both tell of the first to close.
    """

    number: int
    point: str
    client: Endpoint
    server: Endpoint
    start_s: float
    end_s: float
    packets: int
    syn_s: float | None
    syn_ack_s: float | None
    ack_s: float | None
    handshake_s: float | None
    closed_by: str
    closed_how: str
    closed_s: float | None
    reset: bool
    from_client: Stream
    from_server: Stream

    @property
    def opened(self) -> bool:
        """Whether the whole handshake was seen."""
        return None not in (self.syn_s, self.syn_ack_s, self.ack_s)

    @property
    def retransmissions(self) -> int:
        """Segments sent again, in both directions."""
        return self.from_client.retransmissions + self.from_server.retransmissions

    @property
    def out_of_order(self) -> int:
        """Segments overtaken by later ones, in both directions."""
        return self.from_client.out_of_order + self.from_server.out_of_order

    @property
    def copies(self) -> int:
        """Segments that a link delivered more than once, in both directions."""
        return self.from_client.copies + self.from_server.copies

    @property
    def damaged(self) -> int:
        """Segments with a wrong checksum, in both directions; they are counted and otherwise ignored."""
        return self.from_client.damaged + self.from_server.damaged


def connections(index: Index, names: tuple[str, ...]) -> tuple[Connection, ...]:
    """All connections of a capture, point by point apart, in the order of their first packets.

    `names` are the points' names, by number.
    """
    checksums = Checksums(index)
    open_now: dict[tuple[int, int, int], tuple[_Conversation, int]] = {}
    found: list[_Conversation] = []
    for number in index.order:
        if index.kinds[number] != TCP or not index.payloads_at[number]:
            continue
        source = index.sources[number] << 16 | index.source_ports[number]
        destination = index.destinations[number] << 16 | index.destination_ports[number]
        point = index.points[number]
        key = (point, source, destination)
        known = open_now.get(key)
        if known is None or (index.flags[number] & SYN and known[0].is_over_for(number, known[1])):
            if not checksums.sound(number):
                continue
            conversation = _Conversation(index, checksums, number)
            found.append(conversation)
            open_now[point, destination, source] = (conversation, 1)
            known = open_now[key] = (conversation, 0)
        known[0].take(number, known[1])
    return tuple(conversation.finish(number, names) for number, conversation in enumerate(found, 1))


class _Side:
    """What one side has sent so far."""

    __slots__ = ("bare", "base", "next", "stream", "timed", "window")

    def __init__(self, index: Index) -> None:
        self.stream = Stream(index)
        self.base: int | None = None
        self.next: int | None = None
        self.bare: dict[int, int] = {}
        self.window = 1
        self.timed: tuple[int, int] | None = None

    def offset(self, seq: int) -> int:
        """The stream offset a sequence number stands for: the one nearest to the end of what was sent."""
        base, near = self.base or 0, self.next or 0
        ahead = (seq - base - near) & 0xFFFF_FFFF
        return near + (ahead - (1 << 32) if ahead >= 1 << 31 else ahead)


class _Conversation:
    """A connection while its packets are read; side 0 sent the first of them."""

    def __init__(self, index: Index, checksums: Checksums, first: int) -> None:
        self._index, self._checksums = index, checksums
        self._first = self._last = first
        self._sides = (_Side(index), _Side(index))
        self._packets = 0
        self._syn_ns = self._answered_ns = self._syn_ack_ns = self._ack_ns = 0
        self._closed: tuple[int, str, int] | None = None
        self._reset = False
        flags, ports = index.flags[first], (index.source_ports[first], index.destination_ports[first])
        if flags & SYN:
            self._client = 1 if flags & ACK else 0
        else:
            self._client = 1 if ports[0] < ports[1] else 0

    def is_over_for(self, number: int, side: int) -> bool:
        """Whether this SYN begins another connection between the same ports rather than repeat ours."""
        base = self._sides[side].base
        return base is not None and (self._index.seqs[number] + 1) & 0xFFFF_FFFF != base

    def take(self, number: int, who: int) -> None:
        """One more packet of the connection, sent by side `who`."""
        index, side, other = self._index, self._sides[who], self._sides[1 - who]
        flags, length, now = index.flags[number], index.payloads[number], index.times[number]
        if (length or flags & (SYN | FIN | RST)) and not self._checksums.sound(number):
            side.stream.damaged += 1
            return
        self._packets += 1
        self._last = number
        if flags & RST:
            self._reset = True
            self._closed = self._closed or (who, "reset", now)
            return
        if side.base is None:
            side.base = index.seqs[number] + bool(flags & SYN)
        if flags & ACK:
            if other.base is None:
                other.base = index.acks[number]
            self._acknowledged(other, index.acks[number], now)
        self._handshake(flags, who, now)
        if length or flags & (SYN | FIN):
            self._segment(number, side, other, flags, length, now)
        if flags & FIN:
            side.stream.finished = True
            self._closed = self._closed or (who, "fin", now)
        side.window = index.windows[number]

    def _handshake(self, flags: int, who: int, now: int) -> None:
        if flags & SYN and not flags & ACK:
            if not self._syn_ack_ns:
                self._syn_ns = now
        elif flags & SYN:
            self._answered_ns = self._answered_ns or now
            if not self._ack_ns:
                self._syn_ack_ns = now
        elif self._syn_ack_ns and not self._ack_ns and who == self._client:
            self._ack_ns = now

    def _segment(self, number: int, side: _Side, other: _Side, flags: int, length: int, now: int) -> None:
        syn, stream = bool(flags & SYN), side.stream
        offset = side.offset(self._index.seqs[number] + syn)
        start, stop = offset - syn, offset + length + bool(flags & FIN)
        if start - (side.next or 0) > _MAX_JUMP:
            return
        if side.next is None or start >= side.next:
            stream.segments += 1
            if not (length == 1 == stop - start and start == side.next and other.window == 0):  # a window probe
                side.next = stop
                side.timed = side.timed or (stop, now)
        elif length <= 1 and start == side.next - 1 and not flags & (SYN | FIN):
            return  # keep-alive (RFC 9293 section 3.8.4)
        else:
            stream.segments += 1
            side.timed = None
            self._count_again(number, side, start, offset, length)
            if stop > side.next:
                side.next = stop
        if not length:
            side.bare.setdefault(start, number)
        stream.add(offset, offset + self._index.payload_captured(number), number)

    def _count_again(self, number: int, side: _Side, start: int, offset: int, length: int) -> None:
        """Counts a segment that brings nothing beyond the newest: sent again, copied on its way, or overtaken."""
        stream, index = side.stream, self._index
        if length == 0 or stream.holds(offset, offset + length):
            first = stream.packet(offset) if length else side.bare.get(start, number)
            if first != number and is_copy(index, number, first):
                stream.copies += 1
            else:
                stream.retransmissions += 1
        elif self._overtaken(number, stream.follower(offset)):
            stream.out_of_order += 1
        else:
            stream.retransmissions += 1

    def _overtaken(self, number: int, follower: int | None) -> bool:
        """Whether what fills a hole was sent before what opened it.

        Where the packets do not tell, by their times: a sender learns of a hole half a round trip after it opened at
        the receiver at the earliest, and its answer takes another half; seen at the sender, a hole is as old as the
        round trip when it is filled again.
        """
        if follower is None:
            return False
        after = sent_after(self._index, number, follower)
        if after is not None:
            return not after
        round_trip_ns = self._round_trip_ns() or _UNKNOWN_RTT_NS
        return self._index.times[number] - self._index.times[follower] < round_trip_ns

    def _round_trip_ns(self) -> int:
        """From SYN to SYN-ACK and from the last SYN-ACK to the ACK; 0 while not both ends of the first are known."""
        if not self._syn_ns or not self._answered_ns:
            return 0
        onward_ns = self._ack_ns - self._syn_ack_ns if self._ack_ns else 0
        return self._answered_ns - self._syn_ns + onward_ns

    def _acknowledged(self, side: _Side, ack: int, now: int) -> None:
        if side.timed is not None and side.offset(ack) >= side.timed[0]:
            side.stream.round_trips_s.append((now - side.timed[1]) / 1e9)
            side.timed = None

    def finish(self, number: int, names: tuple[str, ...]) -> Connection:
        """The connection as a record."""
        index, first = self._index, self._first
        ends = (
            Endpoint(index.name(index.sources[first]), index.source_ports[first]),
            Endpoint(index.name(index.destinations[first]), index.destination_ports[first]),
        )
        who, how, closed_ns = self._closed or (-1, "", 0)
        return Connection(
            number=number,
            point=names[index.points[first]],
            client=ends[self._client],
            server=ends[1 - self._client],
            start_s=index.time_s(first),
            end_s=index.time_s(self._last),
            packets=self._packets,
            syn_s=_seconds(self._syn_ns),
            syn_ack_s=_seconds(self._syn_ack_ns),
            ack_s=_seconds(self._ack_ns),
            handshake_s=self._round_trip_ns() / 1e9 if self._round_trip_ns() else None,
            closed_by="" if who < 0 else "client" if who == self._client else "server",
            closed_how=how,
            closed_s=_seconds(closed_ns),
            reset=self._reset,
            from_client=self._sides[self._client].stream,
            from_server=self._sides[1 - self._client].stream,
        )


def _seconds(time_ns: int) -> float | None:
    return time_ns / 1e9 if time_ns else None
