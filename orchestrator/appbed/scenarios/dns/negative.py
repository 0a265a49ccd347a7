"""That a name does not exist is remembered too, for the time that its zone's SOA record says (claim D9; RFC 2308)."""

from __future__ import annotations

from typing import Any

from appbed.analysis.dns_message import DnsMessage
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.lifetime import Lifetime
from appbed.scenarios.dns_parts.walk import sound
from appbed.verdict import Verdict, judged

NEGATIVE_TTL_S = 10
"""Set for this run; as shipped it is a minute (images/nameserver)."""
WATCHED = Lifetime("nosuch.someschool.edu", "someschool.edu", NEGATIVE_TTL_S, lambda message: message.authority)


def predict(conditions: Conditions) -> dict[str, Any]:
    return {**WATCHED.predict(), "rcode": "NXDOMAIN", "told_by": [WATCHED.zone, "SOA"]}


def run(lab: Lab, record: Recorder) -> None:
    record.step("set")
    lab.exec("ns-school", "/appbed/set", f"NEGATIVE_TTL={NEGATIVE_TTL_S}")
    WATCHED.run(lab, record)
    record.step("reset")
    lab.reset("ns-school")


def check(evidence: Evidence) -> Verdict:
    return judged([*sound(evidence, ("client", "dns", "ns-school")), *WATCHED.check(evidence, _right)])


def _right(evidence: Evidence, answer: DnsMessage) -> bool:
    """There is no such name, and it is the zone's SOA record that says for how long, by its time to live and its last number."""
    expected = evidence.prediction["expected"]
    told = [[record.name, record.type] for record in answer.authority]
    least = [record.value.split()[-1] for record in answer.authority]
    as_told = answer.rcode == expected["rcode"] and not answer.answer
    return as_told and told == [expected["told_by"]] and least == [str(expected["ttl_s"])]


SCENARIO = Scenario(
    about="That a name does not exist is remembered for the time its zone's SOA record says, then the server is asked again",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D9",),
    capture=("client", "dns", "ns-school"),
    roles=("client", "resolver", "authoritative"),
)
