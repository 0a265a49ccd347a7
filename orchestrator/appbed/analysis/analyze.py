"""What is in a capture: points, protocols, flows, round trips and losses, as tables for people and for programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from appbed.analysis import bittorrent, dns, http, imap, pop3, smtp, tls
from appbed.analysis.capture import Capture
from appbed.analysis.index import Index
from appbed.analysis.layers import KIND_NAMES, TCP, UDP
from appbed.analysis.tcp import Connection, Endpoint

MAX_POINTS_COMPARED = 12
"""Each is compared with each; beyond this many the table would say nothing to anybody."""

Cell = str | int | float | None

_APPLICATIONS: tuple[tuple[str, Callable[[Connection], bool]], ...] = (
    ("bittorrent", bittorrent.is_bittorrent),
    ("tls", tls.is_tls),
    ("http", http.is_http),
    ("imap", imap.is_imap),
    ("pop3", pop3.is_pop3),
    ("smtp", smtp.is_smtp),
    ("dns", dns.is_dns),
)
"""By their first bytes; DNS over TCP, which has no mark, by its port."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; units are in the columns' names, None is "not known"."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_json(self) -> list[dict[str, Cell]]:
        """One object a row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def text(self, limit: int | None = None) -> str:
        """The table in plain characters, numbers to the right; at most `limit` rows."""
        shown = [[_shown(cell) for cell in row] for row in self.rows[:limit]]
        widths = [max(map(len, column)) for column in zip(self.columns, *shown, strict=True)]
        numeric = [all(isinstance(row[at], int | float | None) for row in self.rows) for at in range(len(self.columns))]

        def line(cells: list[str]) -> str:
            aligned = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
            return "  ".join(aligned).rstrip()

        more = [f"... and {len(self.rows) - len(shown)} more"] if len(shown) < len(self.rows) else []
        return "\n".join([self.title, line(list(self.columns)), *map(line, shown), *more]) + "\n"


@dataclass(frozen=True, slots=True)
class Analysis:
    """The tables of one capture, what could not be read of it, and all a reader must know before believing them (`notes`)."""

    points: Table
    protocols: Table
    flows: Table
    round_trips: Table
    losses: Table
    passages: Table
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.points, self.protocols, self.flows, self.round_trips, self.losses, self.passages)

    def as_json(self) -> dict[str, object]:
        """Everything, ready for json.dumps."""
        return {
            "points": self.points.as_json(),
            "protocols": self.protocols.as_json(),
            "flows": self.flows.as_json(),
            "round_trips": self.round_trips.as_json(),
            "losses": self.losses.as_json(),
            "passages": self.passages.as_json(),
            "faults": list(self.faults),
            "notes": list(self.notes),
        }


def analyze(capture: Capture) -> Analysis:
    """All tables of a capture, wherever it was made."""
    flows = _flows(capture)
    return Analysis(
        points=_points(capture),
        protocols=_protocols(flows),
        flows=Table("Flows, the largest first", _FLOW_COLUMNS, tuple(flow.row() for flow in flows)),
        round_trips=_round_trips(capture),
        losses=_losses(capture),
        passages=_passages(capture),
        faults=capture.faults,
        notes=capture.notes,
    )


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    text = f"{cell:.3f}" if isinstance(cell, float) else str(cell)
    return "".join(char if char.isprintable() else "?" for char in text)


def _points(capture: Capture) -> Table:
    index, counted = capture.index, defaultdict[int, list[int]](lambda: [0, 0])
    for point, length in zip(index.points, index.lengths, strict=True):
        counted[point][0] += 1
        counted[point][1] += length
    rows = ((point.name, point.address, *counted[point.number], point.dropped) for point in capture.points)
    return Table("Points", ("point", "address", "packets", "bytes", "dropped"), tuple(rows))


_FLOW_COLUMNS = (
    "point", "protocol", "client", "server", "packets_out", "bytes_out", "packets_back", "bytes_back",
    "start_s", "duration_s",
)  # fmt: skip


@dataclass(slots=True)
class _Flow:
    """What two ends sent each other; the first to speak is the client unless a connection says otherwise."""

    point: str
    protocol: str
    ends: tuple[str, str]
    first_ns: int
    start_s: float
    last_ns: int
    packets: list[int]
    octets: list[int]

    def row(self) -> tuple[Cell, ...]:
        return (
            self.point, self.protocol, *self.ends, self.packets[0], self.octets[0], self.packets[1], self.octets[1],
            self.start_s, (self.last_ns - self.first_ns) / 1e9,
        )  # fmt: skip


def _flows(capture: Capture) -> list[_Flow]:
    """Flows by point, protocol and ends; `start_s` counts from the capture's first packet."""
    index, names = capture.index, [point.name for point in capture.points]
    applications = _applications(capture)
    servers = {(c.point, "tcp", str(c.server), str(c.client)) for c in capture.connections()}
    found: dict[tuple[int, int, int, int], tuple[_Flow, int]] = {}
    begin_ns = index.times[index.order[0]] if len(index) else 0
    for number in index.order:
        point, kind = index.points[number], index.kinds[number]
        source = index.sources[number] << 16 | index.source_ports[number]
        destination = index.destinations[number] << 16 | index.destination_ports[number]
        known = found.get((point, kind, source, destination))
        if known is None:
            ends = _ends(index, number)
            transport = KIND_NAMES.get(kind) or f"type {kind}"
            who = int((names[point], transport, *ends) in servers)
            ends = (ends[1], ends[0]) if who else ends
            protocol = applications.get((names[point], transport, *ends), transport)
            now = index.times[number]
            flow = _Flow(names[point], protocol, ends, now, (now - begin_ns) / 1e9, now, [0, 0], [0, 0])
            found[point, kind, destination, source] = (flow, 1 - who)
            known = found[point, kind, source, destination] = (flow, who)
        flow, who = known
        flow.packets[who] += 1
        flow.octets[who] += index.lengths[number]
        flow.last_ns = index.times[number]
    flows = {id(flow): flow for flow, _ in found.values()}.values()
    return sorted(flows, key=lambda flow: -sum(flow.octets))


def _ends(index: Index, number: int) -> tuple[str, str]:
    hosts = (index.name(index.sources[number]), index.name(index.destinations[number]))
    if index.kinds[number] in (TCP, UDP):
        ports = (index.source_ports[number], index.destination_ports[number])
        return str(Endpoint(hosts[0], ports[0])), str(Endpoint(hosts[1], ports[1]))
    return hosts


def _applications(capture: Capture) -> dict[tuple[str, str, str, str], str]:
    """The application protocol of each conversation that has a known one."""
    found = {}
    for connection in capture.connections():
        name = next((name for name, speaks in _APPLICATIONS if speaks(connection)), None)
        if name is not None:
            found[connection.point, "tcp", str(connection.client), str(connection.server)] = name
    for message in capture.dns_messages():
        if message.transport == "udp":
            ends = (str(message.source), str(message.destination))
            found[message.point, "udp", *(ends[::-1] if message.is_response else ends)] = "dns"
    for announce in capture.announces():
        if announce.transport == "udp":
            found[announce.point, "udp", str(announce.client), str(announce.server)] = "tracker"
    return found


def _protocols(flows: list[_Flow]) -> Table:
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for flow in flows:
        for at, value in enumerate((1, sum(flow.packets), sum(flow.octets))):
            counted[flow.protocol][at] += value
    by_size = sorted(counted.items(), key=lambda item: -item[1][2])
    rows = tuple((name, count, packets, octets) for name, (count, packets, octets) in by_size)
    return Table("Protocols", ("protocol", "flows", "packets", "bytes"), rows)


def _round_trips(capture: Capture) -> Table:
    """Handshakes, segments until acknowledged, DNS queries and HTTP requests until answered, by point and hosts."""
    samples: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for connection in capture.connections():
        ends = (connection.point, connection.client.host, connection.server.host)
        if connection.handshake_s is not None:
            samples["tcp handshake", *ends].append(connection.handshake_s)
        samples["tcp data", *ends] += [*connection.from_client.round_trips_s, *connection.from_server.round_trips_s]
    for transaction in capture.dns():
        if transaction.duration_s is not None:
            ends = (transaction.point, transaction.client.host, transaction.server.host)
            samples["dns", *ends].append(transaction.duration_s)
    for exchange in capture.http():
        if exchange.response is not None and exchange.request.method:
            ends = (exchange.point, exchange.client.host, exchange.server.host)
            samples["http", *ends].append(exchange.response.start_s - exchange.start_s)
    rows = tuple(
        (*key, len(times), min(times) * 1e3, median(times) * 1e3, max(times) * 1e3)
        for key, times in sorted(samples.items())
        if times
    )
    return Table("Round trips", ("of", "point", "client", "server", "count", "min_ms", "median_ms", "max_ms"), rows)


def _losses(capture: Capture) -> Table:
    """What TCP had to repair, for the connections where it had to."""
    rows = tuple(
        (
            c.point, str(c.client), str(c.server), c.from_client.segments + c.from_server.segments,
            c.retransmissions, c.out_of_order, c.copies, c.damaged,
            sum(stop - start for stream in (c.from_client, c.from_server) for start, stop in stream.gaps),
        )
        for c in capture.connections()
        if c.retransmissions or c.out_of_order or c.copies or c.damaged or c.from_client.gaps or c.from_server.gaps
    )  # fmt: skip
    columns = (
        "point", "client", "server", "segments", "retransmissions", "out_of_order", "copies", "damaged", "bytes_not_captured",
    )  # fmt: skip
    return Table("TCP repairs", columns, rows)


def _passages(capture: Capture) -> Table:
    """Losses and one-way delays between points, in each direction in which anything passed."""
    rows: list[tuple[Cell, ...]] = []
    points = capture.points if 1 < len(capture.points) <= MAX_POINTS_COMPARED else ()
    for start in points:
        for end in points:
            passages = capture.timeline.passages(start, end) if start != end else ()
            delays = [passage.delay_s for passage in passages if passage.delay_s is not None]
            if delays:
                lost, copies = len(passages) - len(delays), sum(passage.copies for passage in passages)
                rows.append(
                    (start.name, end.name, len(passages), lost, copies, min(delays) * 1e3, median(delays) * 1e3)
                )
    columns = ("from", "to", "packets", "lost", "copies", "min_ms", "median_ms")
    return Table("Between points", columns, tuple(rows))
