"""What we count in real captures is what tshark counts, point by point; where tshark guesses, what was really sent."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import story
from traffic import pcap

from appbed.analysis import Capture
from appbed.analysis.bittorrent import KINDS

CAPTURES = Path(__file__).parent / "captures"
POINTS = ("host:client", "host:server")
SEEN = [(name, point) for name in ("bad", "loss", "mix", "swarm") for point in POINTS]
SEEN += [("story", f"host:{host}") for host in ("client", "resolver", "mail1")]
TOUR = Path(__file__).parents[1] / "evidence" / "tour" / "capture.pcapng.xz"
TOUR_HOSTS = ("client", "client-2", "dns", "proxy", "gateway", "mail-crepes", "mail-hamburger", "registrar")
SEEN += [("tour", place) for place in (*(f"host:{host}" for host in TOUR_HOSTS), "network:access")]

needs_tshark = pytest.mark.skipif(
    shutil.which("tshark") is None,
    reason="tshark is not installed: install it to compare (Debian: apt-get install tshark)",
)


@pytest.fixture(scope="module")
def captures() -> dict[str, Capture]:
    """The checked-in captures, the story, and what a lab captured on the tour."""
    found = {file.stem: Capture.open(file) for file in CAPTURES.glob("*.pcapng")}
    tour = Capture.open(lzma.decompress(TOUR.read_bytes()))
    return {**found, "story": Capture.open(story.captured()), "tour": tour}


@dataclass(frozen=True)
class Both:
    """One point of a capture as we read it and as tshark does, packet by packet; a field has several values or none."""

    name: str
    ours: Capture
    theirs: list[dict[str, list[str]]]

    def values(self, field: str) -> list[str]:
        return [value for packet in self.theirs for value in packet[field]]

    def packets(self, field: str) -> list[dict[str, list[str]]]:
        return [packet for packet in self.theirs if packet[field]]


FIELDS = (
    "frame.number", "udp.srcport", "tcp.stream", "tcp.ack", "tcp.checksum.status", "tcp.analysis.retransmission",
    "tcp.analysis.out_of_order", "dns.id", "dns.flags.response", "dns.flags.rcode", "dns.flags.truncated", "dns.qry.name",
    "dns.count.answers", "dns.a", "dns.ns", "dns.retransmit_request", "dns.response_to", "http.request.method",
    "http.request.uri", "http.request.version", "http.response.code", "http.response.phrase", "smtp.req.command",
    "smtp.response.code", "bittorrent.msg.type", "dns.count.prerequisites",
)  # fmt: skip
PREFERENCES = ("tcp.check_checksum:TRUE", "tcp.reassemble_out_of_order:TRUE")


def tshark(file: Path) -> list[dict[str, list[str]]]:
    argv = ["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "separator=|", "-E", "aggregator=;"]
    argv += [part for preference in PREFERENCES for part in ("-o", preference)]
    argv += [part for field in FIELDS for part in ("-e", field)]
    lines = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    rows = ([value.split(";") if value else [] for value in line.split("|")] for line in lines)
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


@pytest.fixture(scope="module", params=SEEN, ids="-".join)
def both(
    request: pytest.FixtureRequest, captures: dict[str, Capture], tmp_path_factory: pytest.TempPathFactory
) -> Both:
    """One point alone: tshark would take the other point's packets for repetitions."""
    name, point = request.param
    whole, file = captures[name], tmp_path_factory.mktemp("point") / "point.pcap"
    data = pcap([(whole.index.times[p.number - 1], p.frame) for p in whole.packets(point)], nanoseconds=True)
    file.write_bytes(data)
    return Both(name, Capture.open(data), tshark(file))


@needs_tshark
def test_dns_messages_and_transactions(both: Both) -> None:
    theirs = [
        (
            *packet["dns.id"],
            *packet["dns.flags.response"],
            *("." if name == "<Root>" else name for name in packet["dns.qry.name"]),
            *packet["dns.count.answers"],
            *packet["dns.count.prerequisites"],  # an update's, in the same place
        )
        for packet in both.packets("dns.id")
    ]
    found = both.ours.dns_messages()
    ours = [(f"0x{m.id:04x}", str(int(m.is_response)), m.question.name, str(m.counts[1])) for m in found if m.question]
    assert ours == theirs
    over_udp = [packet["frame.number"] for packet in both.packets("dns.id") if packet["udp.srcport"]]
    assert [[str(message.packet)] for message in found if message.transport == "udp"] == over_udp
    again = sum(transaction.retransmissions for transaction in both.ours.dns())
    assert again == len(both.values("dns.retransmit_request"))
    answered = [transaction for transaction in both.ours.dns() if transaction.queries and transaction.responses]
    assert len(answered) == len(both.values("dns.response_to"))


@needs_tshark
def test_dns_values(both: Both) -> None:
    theirs = [
        (packet["dns.flags.rcode"], packet["dns.a"], packet["dns.ns"], packet["dns.flags.truncated"])
        for packet in both.packets("dns.id")
        if packet["dns.flags.response"] == ["1"]
    ]
    ours = [
        (
            [str(message.flags & 15)],
            [r.value for r in (*message.answer, *message.authority, *message.additional) if r.type == "A"],
            [r.value for r in (*message.answer, *message.authority) if r.type == "NS"],
            [str(int(message.truncated))],
        )
        for message in both.ours.dns_messages()
        if message.is_response
    ]
    assert ours == theirs


@needs_tshark
def test_http_requests_and_responses(both: Both) -> None:
    fields = ("http.request.method", "http.request.uri", "http.request.version")
    theirs = [tuple(packet[field][0] for field in fields) for packet in both.packets(fields[0])]
    assert [(e.request.method, e.request.target, e.request.version) for e in both.ours.http()] == theirs
    answers = zip(both.values("http.response.code"), both.values("http.response.phrase"), strict=True)
    found = sorted((e.response for e in both.ours.http() if e.response is not None), key=lambda each: each.end_s)
    assert [(str(response.status), response.reason) for response in found] == list(answers)


@needs_tshark
def test_smtp_commands_and_replies(both: Both) -> None:
    dialogues = both.ours.smtp()
    ours = [[command.verb for command in dialogue.commands] for dialogue in dialogues]
    theirs: dict[str, list[str]] = {}
    for packet in both.packets("smtp.req.command"):
        theirs.setdefault(packet["tcp.stream"][0], []).extend(verb.upper() for verb in packet["smtp.req.command"])
    assert ours == list(theirs.values())
    replies = [
        reply
        for dialogue in dialogues
        for reply in (dialogue.greeting, *(c.reply for c in dialogue.commands), *(m.reply for m in dialogue.messages))
        if reply is not None
    ]
    # tshark counts a reply once for each segment it came in; these acknowledge the same bytes
    answered = {
        (*packet["tcp.stream"], *packet["tcp.ack"], packet["smtp.response.code"][0])
        for packet in both.packets("smtp.response.code")
    }
    assert Counter(str(reply.code) for reply in replies) == Counter(code for *_, code in answered)


@needs_tshark
def test_tcp_connections(both: Both) -> None:
    assert len(both.ours.connections()) == len(set(both.values("tcp.stream")))
    assert sum(c.damaged + c.packets for c in both.ours.connections()) == len(both.packets("tcp.stream"))


@needs_tshark
def test_tcp_retransmissions(both: Both) -> None:
    """tshark guesses by the clock which of those that bring nothing new were sent again and which were overtaken.

    All of them together must be ours; where no link overtakes, all are retransmissions.
    """
    sound = [packet for packet in both.theirs if packet["tcp.checksum.status"] != ["0"]]
    theirs = [p for p in sound if p["tcp.analysis.retransmission"] or p["tcp.analysis.out_of_order"]]
    found = both.ours.connections()
    assert sum(c.retransmissions + c.out_of_order + c.copies for c in found) == len(theirs)
    if both.name != "bad":
        assert sum(c.retransmissions for c in found) == len(theirs)


@needs_tshark
def test_damaged_segments(both: Both) -> None:
    assert sum(connection.damaged for connection in both.ours.connections()) == both.values(
        "tcp.checksum.status"
    ).count("0")


@needs_tshark
def test_bittorrent_messages(both: Both) -> None:
    theirs = Counter(int(kind) for kind in both.values("bittorrent.msg.type"))
    ours = Counter(message.kind for session in both.ours.bittorrent() for message in session.messages)
    for number, kind in KINDS.items():
        assert ours[kind] == theirs[number], kind


def test_a_sender_knows_what_it_sent_twice(captures: dict[str, Capture]) -> None:
    """At the sender, every segment of a stream beyond the first for its bytes is a retransmission, and nothing else is."""
    for name in ("bad", "loss"):
        (connection,) = captures[name].connections("host:server")
        starts: list[int] = []
        for packet in captures[name].packets("host:server"):
            if packet.source == connection.server and (packet.payload_bytes or set(packet.tcp_flags) & set("SF")):
                starts.append(packet.seq)
        assert connection.from_server.retransmissions == len(starts) - len(set(starts))
        assert connection.from_server.out_of_order == connection.from_server.copies == 0


def test_real_streams_survive_a_bad_link_whole(captures: dict[str, Capture]) -> None:
    for name in ("bad", "loss", "mix"):
        capture = captures[name]
        bodies = [
            [e.response.body for e in capture.http(point) if e.response is not None and e.response.complete]
            for point in POINTS
        ]
        assert bodies[0] == bodies[1]
        assert len(bodies[0]) == len(capture.http("host:client"))
        assert capture.faults == ()


def test_one_way_delays_of_a_real_cable(captures: dict[str, Capture]) -> None:
    for passages in (captures["loss"].passages(*POINTS), captures["loss"].passages(*reversed(POINTS))):
        delays = [passage.delay_s for passage in passages if passage.delay_s is not None]
        assert 0 < len(delays) < len(passages)
        assert 0.010 <= min(delays) <= max(delays) < 0.1


def test_what_the_lab_captured_has_what_is_compared(captures: dict[str, Capture]) -> None:
    """A capture without mail would compare nothing with nothing."""
    tour = captures["tour"]
    assert len(tour.dns("host:dns")) > 40
    assert len(tour.http("host:proxy")) > 50
    assert sum(len(dialogue.commands) for dialogue in tour.smtp("host:mail-crepes")) > 15
    assert sum(connection.retransmissions for connection in tour.connections("network:access")) >= 3
