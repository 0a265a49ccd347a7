"""Resource records are (name, value, type, TTL): A, NS, CNAME and MX asked for and compared with the zone (claim D11)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import SITE
from appbed.scenarios.dns_parts.walk import ask, at_client, equal, sound
from appbed.verdict import Verdict, finding, judged

# type: the name asked for, its zone, the server that has it, how many records the textbook's example has
ASKED = {
    "A": (SITE, "someschool.edu", "ns-school", 3),
    "NS": ("someschool.edu", "someschool.edu", "ns-school", 1),
    "CNAME": ("web.someschool.edu", "someschool.edu", "ns-school", 1),
    "MX": ("hamburger.edu", "hamburger.edu", "ns-hosting", 1),
}


def predict(conditions: Conditions) -> dict[str, Any]:
    return {kind: {"name": name, "zone": zone, "records": count} for kind, (name, zone, _, count) in ASKED.items()}


def run(lab: Lab, record: Recorder) -> None:
    for kind, (name, zone, server, _) in ASKED.items():
        file = f"/run/named/zones/{zone}.zone"
        record.event("zone", zone=zone, text=lab.exec(server, "named-checkzone", "-q", "-D", zone, file).stdout)
        ask(lab, record, kind, name, kind, f"@{lab.topology.host(server).address}")
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    found = list(sound(evidence, ("client",)))
    zones = {event.data["zone"]: _records(event.data["text"]) for event in evidence.of("zone")}
    for kind, expected in evidence.prediction["expected"].items():
        wanted = sorted(each for each in zones[expected["zone"]] if each[0] == expected["name"] and each[2] == kind)
        found.append(equal(f"{kind}: records in the zone", expected["records"], len(wanted)))
        got = [
            sorted((each.name, each.value, each.type, each.ttl_s) for each in transaction.response.answer)
            for transaction in at_client(evidence, kind, ASKED[kind][2])
            if transaction.response
        ]
        shown = "; ".join(f"{value} ({ttl_s} s)" for answer in got for _, value, _, ttl_s in answer)
        told = "; ".join(f"{value} ({ttl_s} s)" for _, value, _, ttl_s in wanted)
        found.append(finding(f"{kind}: (name, value, type, TTL) of {expected['name']}", told, shown, got == [wanted]))
        found += [
            equal(f"{kind}: asked for", (expected["name"], kind), (each.name, each.type))
            for each in at_client(evidence, kind, ASKED[kind][2])
        ]
        more = [
            (each.name, each.value, each.type, each.ttl_s)
            for transaction in at_client(evidence, kind, ASKED[kind][2])
            if transaction.response
            for each in (*transaction.response.authority, *transaction.response.additional)
        ]
        strange = [each for each in more if each not in zones[expected["zone"]]]
        found.append(equal(f"{kind}: further records that are not in the zone", [], strange))
    return judged(found)


def _records(text: str) -> list[tuple[str, str, str, int]]:
    """(name, value, type, TTL) of a zone as named writes it: NAME TTL IN TYPE VALUE."""
    lines = [line.split(maxsplit=4) for line in text.splitlines() if line.strip()]
    return [(name.rstrip("."), value.rstrip("."), kind, int(ttl)) for name, ttl, _, kind, value in lines]


SCENARIO = Scenario(
    about="Records are (name, value, type, TTL): A, NS, CNAME and MX come from the server as they stand in its zone",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D11",),
    capture=("client",),
    roles=("client", "authoritative"),
)
