"""An alias leads to the canonical name, and that to the addresses (claim D2)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import REPLICAS, SITE
from appbed.scenarios.dns_parts.walk import ask, at_client, equal, records, sound
from appbed.verdict import Verdict, judged

ALIAS = "web.someschool.edu"
STEPS = {"of the local server": "dns", "of the authoritative server": "ns-school"}


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"alias": ALIAS, "canonical": SITE, "hosts": list(REPLICAS)}


def run(lab: Lab, record: Recorder) -> None:
    for step, server in STEPS.items():
        ask(lab, record, step, ALIAS, "A", f"@{lab.topology.host(server).address}")
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = list(sound(evidence, ("client", "ns-school")))
    chain = [(expected["alias"], "CNAME", expected["canonical"])]
    chain += [(expected["canonical"], "A", evidence.address(host)) for host in expected["hosts"]]
    for step, server in STEPS.items():
        replies = [each.response for each in at_client(evidence, step, server) if each.response]
        found.append(equal(f"asked {step}: replies", 1, len(replies)))
        for reply in replies:
            found.append(equal(f"asked {step}: first record", "CNAME", reply.answer[0].type if reply.answer else ""))
            found.append(equal(f"asked {step}: alias, then addresses", sorted(chain), records(reply.answer)))
            more = records((*reply.authority, *reply.additional))
            zone = [
                ("ns1.someschool.edu", "A", evidence.address("ns-school")),
                ("someschool.edu", "NS", "ns1.someschool.edu"),
            ]
            found.append(equal(f"asked {step}: further records", zone if server == "ns-school" else [], more))
    asked = [
        each.name
        for each in evidence.capture.dns("host:ns-school")
        if each.response and each.client.host == evidence.address("dns")
    ]
    # Today's local servers believe of an answer only what was asked for, and ask for the canonical name themselves.
    found.append(equal("the local server asks for", [expected["alias"], expected["canonical"]], asked))
    authoritative = [
        each.response.authoritative
        for each in evidence.capture.dns("host:ns-school")
        if each.response and each.name == expected["alias"]
    ]
    found.append(equal("at the authoritative server: replies with AA", [True, True], authoritative))
    return judged(found)


SCENARIO = Scenario(
    about="Host aliasing: the answer is the canonical name of the alias (CNAME), and the addresses of that (A)",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D2",),
    capture=("client", "ns-school"),
    roles=("client", "resolver", "authoritative"),
    indifferent={"times stretched": "which records an answer has is no time"},
)
