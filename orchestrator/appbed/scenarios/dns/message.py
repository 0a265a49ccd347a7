"""A DNS message: 12 bytes of header with identifier, flags and four counts, then four sections; read byte by byte (claim D13)."""

from __future__ import annotations

import struct
from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import REPLICAS, SITE
from appbed.scenarios.dns_parts.walk import ask, at_client, equal, sound
from appbed.verdict import Verdict, judged

STEP, HEADER_BYTES, _POINTER = "question", 12, 0xC0
_QR, _AA, _RD, _RA = 0x8000, 0x0400, 0x0100, 0x0080
SECTIONS = ("question", "answer", "authority", "additional")


def predict(conditions: Conditions) -> dict[str, Any]:
    """The counts are those of the zone: three addresses, one name server, and its address."""
    return {
        "query": {"flags": {"QR": False, "RD": True}, "counts": [1, 0, 0, 0]},
        "reply": {"flags": {"QR": True, "AA": True, "RD": True, "RA": False}, "counts": [1, 3, 1, 1]},
        "hosts": list(REPLICAS),
    }


def run(lab: Lab, record: Recorder) -> None:
    ask(lab, record, STEP, SITE, "A", f"@{lab.topology.host('ns-school').address}")
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = list(sound(evidence, ("client",)))
    seen = at_client(evidence, STEP, "ns-school")
    wires = [message.wire for each in seen for message in (*each.queries, *each.responses)]
    found.append(equal("messages", 2, len(wires)))
    for what, wire in zip(("query", "reply"), wires, strict=False):
        flags, *counts = struct.unpack(">5H", wire[2:HEADER_BYTES])
        bits = {"QR": bool(flags & _QR), "AA": bool(flags & _AA), "RD": bool(flags & _RD), "RA": bool(flags & _RA)}
        wanted = expected[what]["flags"]
        found.append(equal(f"{what}: flags", wanted, {name: bits[name] for name in wanted}))
        found.append(equal(f"{what}: counts of {', '.join(SECTIONS)}", expected[what]["counts"], counts))
        found.append(equal(f"{what}: bytes, all of them in the four sections", len(wire), _end(wire, counts)))
    if len(wires) == 2:
        found.append(equal("the reply's identifier is the query's", wires[0][:2].hex(), wires[1][:2].hex()))
        asked = slice(HEADER_BYTES, len(wires[0]))
        found.append(equal("the reply repeats the question", wires[0][asked].hex(), wires[1][asked].hex()))
        addresses = sorted(evidence.address(host) for host in expected["hosts"])
        found.append(equal("addresses, from the bytes", addresses, sorted(_addresses(wires[1])[:3])))
        server = [evidence.address("ns-school")]
        found.append(equal("address of the server, from the bytes", server, _addresses(wires[1])[3:]))
    return judged(found)


def _end(wire: bytes, counts: list[int]) -> int:
    """Where the last section ends, walked through as RFC 1035 (section 4.1) has it."""
    at = HEADER_BYTES
    for _ in range(counts[0]):
        at = _after_name(wire, at) + 4  # type and class
    for _ in range(sum(counts[1:])):
        at = _after_name(wire, at) + 8  # type, class, TTL
        at += 2 + int.from_bytes(wire[at : at + 2], "big")
    return at


def _after_name(wire: bytes, at: int) -> int:
    """Labels up to the empty one, or to a pointer (section 4.1.4)."""
    while wire[at]:
        if wire[at] >= _POINTER:
            return at + 2
        at += 1 + wire[at]
    return at + 1


def _addresses(wire: bytes) -> list[str]:
    """The data of the records of type A, in their order."""
    questions, *others = struct.unpack(">4H", wire[4:HEADER_BYTES])
    at = _end(wire, [questions, 0, 0, 0])
    found = []
    for _ in range(sum(others)):
        at = _after_name(wire, at)
        kind, _, _, size = struct.unpack(">HHIH", wire[at : at + 10])
        if kind == 1:
            found.append(".".join(map(str, wire[at + 10 : at + 10 + size])))
        at += 10 + size
    return found


SCENARIO = Scenario(
    about="A DNS message is a header of 12 bytes and four sections; a reply has its query's identifier and question",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D13",),
    capture=("client",),
    roles=("client", "authoritative"),
    indifferent={"times stretched": "what a message consists of is no time"},
)
