"""An authoritative server answers with A; another names that server (NS) and tells its address (A) (claim D12)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import REPLICAS, SITE
from appbed.scenarios.dns_parts.walk import ask, at_client, equal, records, sound
from appbed.verdict import Verdict, judged

SERVERS = ("ns-school", "tld-edu", "root-a")


def predict(conditions: Conditions) -> dict[str, Any]:
    """Who is asked: is it an authority, and hosts behind the A records of the answer, or a server named with its host."""
    return {
        "ns-school": {"authoritative": True, "answer": list(REPLICAS), "zone": "", "refers_to": "", "host": ""},
        "tld-edu": {
            "authoritative": False,
            "answer": [],
            "zone": "someschool.edu",
            "refers_to": "ns1.someschool.edu",
            "host": "ns-school",
        },
        "root-a": {"authoritative": False, "answer": [], "zone": "edu", "refers_to": "a.nic.edu", "host": "tld-edu"},
    }


def run(lab: Lab, record: Recorder) -> None:
    for server in SERVERS:
        ask(lab, record, server, SITE, "A", "+norecurse", f"@{lab.topology.host(server).address}")
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    found = list(sound(evidence, ("client",)))
    for server, expected in evidence.prediction["expected"].items():
        replies = [each.response for each in at_client(evidence, server, server) if each.response]
        found.append(equal(f"{server}: replies", 1, len(replies)))
        for reply in replies:
            found.append(equal(f"{server}: AA", expected["authoritative"], reply.authoritative))
            answer = sorted((SITE, "A", evidence.address(host)) for host in expected["answer"])
            found.append(equal(f"{server}: answer section", answer, records(reply.answer)))
            if not expected["authoritative"]:
                named = [(expected["zone"], "NS", expected["refers_to"])]
                found.append(equal(f"{server}: authority section", named, records(reply.authority)))
                glue = [(expected["refers_to"], "A", evidence.address(expected["host"]))]
                found.append(equal(f"{server}: additional section", glue, records(reply.additional)))
    return judged(found)


SCENARIO = Scenario(
    about="Who is an authority for a name answers with its addresses (A); who is not names a server that knows more (NS, A)",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D12",),
    capture=("client",),
    roles=("client", "root", "tld", "authoritative"),
)
