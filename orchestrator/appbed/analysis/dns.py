"""DNS transactions: queries, the same queries sent again, and their responses, over UDP and TCP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appbed.analysis.checksums import Checksums
from appbed.analysis.dns_message import DnsMessage, Question
from appbed.analysis.dns_plain import HEADER_BYTES
from appbed.analysis.index import Index
from appbed.analysis.layers import UDP
from appbed.analysis.stream import Stream
from appbed.analysis.tcp import Connection, Endpoint

PORT = 53


@dataclass(frozen=True, slots=True)
class DnsTransaction:
    """A query, the same query sent again, and what was answered; times in seconds since 1970.

    `responses` holds more than one message in zone transfers and where a link duplicates. A response whose query is
    not in the capture has no `queries`. `end_s` is the first response's time, or the last query's without one.
    """

    point: str
    client: Endpoint
    server: Endpoint
    transport: str
    queries: tuple[DnsMessage, ...]
    responses: tuple[DnsMessage, ...]
    connection: Connection | None = None

    @property
    def query(self) -> DnsMessage | None:
        return self.queries[0] if self.queries else None

    @property
    def response(self) -> DnsMessage | None:
        return self.responses[0] if self.responses else None

    @property
    def messages(self) -> tuple[DnsMessage, ...]:
        """Queries and responses in order of time."""
        return tuple(sorted((*self.queries, *self.responses), key=lambda message: message.time_s))

    @property
    def id(self) -> int:
        return (*self.queries, *self.responses)[0].id

    @property
    def question(self) -> Question | None:
        return (*self.queries, *self.responses)[0].question

    @property
    def name(self) -> str:
        """The name asked for, "" where the question cannot be read."""
        return self.question.name if self.question else ""

    @property
    def type(self) -> str:
        return self.question.type if self.question else ""

    @property
    def rcode(self) -> str:
        """The response's code, "" without one."""
        return self.responses[0].rcode if self.responses else ""

    @property
    def retransmissions(self) -> int:
        return max(len(self.queries) - 1, 0)

    @property
    def start_s(self) -> float:
        return (*self.queries, *self.responses)[0].time_s

    @property
    def end_s(self) -> float:
        return self.responses[0].time_s if self.responses else self.queries[-1].time_s

    @property
    def duration_s(self) -> float | None:
        """From the first query to the first response, None while there is not both."""
        return self.end_s - self.start_s if self.queries and self.responses else None


def messages(index: Index, names: tuple[str, ...], connections: Iterable[Connection]) -> list[DnsMessage]:
    """Every DNS message of a capture, by time: UDP and TCP port 53."""
    found = [message for connection in connections if is_dns(connection) for message in _over_tcp(index, connection)]
    checksums = Checksums(index)
    for number in index.order:
        ports = (index.source_ports[number], index.destination_ports[number])
        if index.kinds[number] != UDP or PORT not in ports or index.payload_captured(number) < HEADER_BYTES:
            continue
        if checksums.sound(number):
            source = Endpoint(index.name(index.sources[number]), ports[0])
            destination = Endpoint(index.name(index.destinations[number]), ports[1])
            point, time_s, wire = names[index.points[number]], index.time_s(number), index.payload(number)
            found.append(DnsMessage(point, time_s, source, destination, "udp", number + 1, wire))
    return sorted(found, key=lambda message: message.time_s)


def is_dns(connection: Connection) -> bool:
    return PORT in (connection.server.port, connection.client.port)


def transactions(found: Iterable[DnsMessage], connections: Iterable[Connection] = ()) -> tuple[DnsTransaction, ...]:
    """Messages put together by point, addresses, identifier and question, in the order of the first of each."""
    by_ends = {(c.point, c.client, c.server): c for c in connections if is_dns(c)}
    latest: dict[tuple[str, Endpoint, Endpoint, str, int], tuple[list[DnsMessage], list[DnsMessage]]] = {}
    all_of_them = []
    for message in found:
        client, server = message.source, message.destination
        if message.is_response:
            client, server = server, client
        key = (message.point, client, server, message.transport, message.id)
        queries, responses = latest.get(key, ([], []))
        same = _same_question((*queries, *responses), message)
        if not same or (responses and not message.is_response):
            queries, responses = latest[key] = ([], [])
            all_of_them.append((key, queries, responses))
        (responses if message.is_response else queries).append(message)
    return tuple(
        DnsTransaction(*key[:4], tuple(queries), tuple(responses), by_ends.get(key[:3]))
        for key, queries, responses in all_of_them
    )


def _same_question(earlier: tuple[DnsMessage, ...], message: DnsMessage) -> bool:
    """Whether a message belongs to these; a response may leave the question out (FORMERR, later AXFR messages)."""
    if not earlier:
        return False
    asked, here = earlier[0].question, message.question
    if asked is None or here is None:
        return asked == here or message.is_response
    return asked.type == here.type and asked.name.lower() == here.name.lower()


def _over_tcp(index: Index, connection: Connection) -> Iterator[DnsMessage]:
    client, server = connection.client, connection.server
    for stream, source, destination in (
        (connection.from_client, client, server),
        (connection.from_server, server, client),
    ):
        for start, wire in _framed(stream):
            last = start + len(wire) - 1
            packet = stream.packet(last) + 1
            yield DnsMessage(connection.point, stream.arrived_s(last), source, destination, "tcp", packet, wire)


def _framed(stream: Stream) -> Iterator[tuple[int, bytes]]:
    """Messages behind their two-byte lengths (RFC 1035 section 4.2.2), as far as they are whole."""
    at = 0
    while len(prefix := stream.read(at, at + 2)) == 2:
        size = int.from_bytes(prefix, "big")
        wire = stream.read(at + 2, at + 2 + size)
        if len(wire) < size or size < HEADER_BYTES:
            return
        yield at + 2, wire
        at += 2 + size
