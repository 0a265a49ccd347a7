"""TCP: a connection before any data, both directions at once, and no byte lost, doubled or out of order (claim A2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed.analysis import Connection
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.transport_parts import transfers
from appbed.verdict import Finding, Verdict, finding, judged

LINK = "client@campus"
WEATHER = {"delay": "5ms", "loss": "2%", "duplicate": "2%", "reorder": "2%", "corrupt": "2%"}
_UPLOAD_BYTES = 48_000
"""Less than the server's socket takes while its process is still busy with the download, so both go at once."""
# What the link did to the 725 segments of 1 MiB; that it spared them all has a probability below 10^-6 for each.
WOUNDS = ("lost or damaged on the way", "out of order", "delivered twice", "damaged")


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"connections": 1, "download_bytes": transfers.MIB, "upload_bytes": _UPLOAD_BYTES, "missing_bytes": 0}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=transfers.digest(lab))
    record.step("transfer")
    transfers.both_ways(lab, _UPLOAD_BYTES)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    lines = _lines(evidence, "client")
    found = [finding("connections", expected["connections"], len(lines), len(lines) == expected["connections"])]
    for line in lines:
        found += _set_up(line)
        found += _both_directions(evidence, expected)
    found.append(transfers.same(evidence, "client", "transfer", "bytes equal to the origin's, in their order"))
    found += _mended(evidence)
    return judged(found)


def _lines(evidence: Evidence, point: str) -> list[Connection]:
    here = evidence.address("client")
    seen: list[Connection] = within(evidence.capture.connections(f"host:{point}"), evidence.window("transfer"))
    return [each for each in seen if each.client.host == here and each.server.port == 80]


def _set_up(line: Connection) -> Iterator[Finding]:
    """The handshake of three comes first."""
    first_s = min(line.from_client.seen_s(0), line.from_server.seen_s(0))
    before = line.opened and line.ack_s is not None and line.ack_s <= first_s
    yield finding("handshake", "before the first byte", "before the first byte" if before else "not before", before)


def _both_directions(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """What the client sent while it received."""
    client = evidence.address("client")
    down = [each.time_s for each in _payloads(evidence) if each.source.host != client]
    up = [each for each in _payloads(evidence) if each.source.host == client]
    meanwhile = sum(each.payload_bytes for each in up if down and down[0] < each.time_s < down[-1])
    least = expected["upload_bytes"] // 4  # the first window is on its way before the first answer is
    yield finding("bytes up while bytes came down", f"at least {least}", meanwhile, meanwhile >= least)


def _payloads(evidence: Evidence) -> list[Any]:
    seen = within(evidence.capture.packets("host:client"), evidence.window("transfer"))
    return [each for each in seen if each.protocol == "tcp" and each.payload_bytes]


def _mended(evidence: Evidence) -> Iterator[Finding]:
    """The link was as bad as set, and retransmissions at the sender made up for it."""
    here, there = _lines(evidence, "client"), _lines(evidence, transfers.SERVER)
    ways = evidence.capture.passages(f"host:{transfers.SERVER}", "host:client")
    wounds = (
        sum(each.lost for each in ways),
        sum(each.from_server.out_of_order for each in here),
        sum(each.from_server.copies for each in here),
        sum(each.from_server.damaged for each in here),
    )
    for what, count in zip(WOUNDS, wounds, strict=True):
        yield finding(f"segments {what}", "at least 1", count, count >= 1)
    again = sum(each.from_server.retransmissions for each in there)
    missing = _missing(evidence)
    yield finding("segments sent again by the server", f"at least {missing}", again, again >= max(1, missing))


def _missing(evidence: Evidence) -> int:
    """Data segments of the server that did not arrive whole."""
    server, numbers = evidence.address(transfers.SERVER), set()
    for packet in evidence.capture.packets(f"host:{transfers.SERVER}"):
        if packet.protocol == "tcp" and packet.source.host == server and packet.payload_bytes:
            numbers.add(packet.number)
    ways = evidence.capture.passages(f"host:{transfers.SERVER}", "host:client")
    return sum(each.lost and each.packet in numbers for each in ways)


SCENARIO = Scenario(
    about="TCP over a bad link: a handshake first, both directions at once, every byte once and in order",
    topology="access-link",
    predict=predict,
    run=run,
    check=check,
    claims=("A2",),
    links={LINK: WEATHER, **transfers.NEAR},
    capture=("client", transfers.SERVER),
    roles=("client", "web"),
    indifferent={"times stretched": "order and bytes are what TCP promises, not times"},
)
