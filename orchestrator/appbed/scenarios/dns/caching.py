"""Answers are remembered for their time to live: two messages and a falling TTL, and afterwards asked again (claim D9)."""

from __future__ import annotations

from typing import Any

from appbed.analysis.dns_message import DnsMessage
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.lifetime import Lifetime
from appbed.scenarios.dns_parts.walk import sound
from appbed.verdict import Verdict, judged

TTL_S = 10
WATCHED = Lifetime("one.brief.someschool.edu", "someschool.edu", TTL_S, lambda message: message.answer)
"""Names below `brief` are told for ten seconds (images/nameserver)."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {**WATCHED.predict(), "address_of": "www-1"}


def run(lab: Lab, record: Recorder) -> None:
    WATCHED.run(lab, record)


def check(evidence: Evidence) -> Verdict:
    return judged([*sound(evidence, ("client", "dns", "ns-school")), *WATCHED.check(evidence, _right)])


def _right(evidence: Evidence, answer: DnsMessage) -> bool:
    address = evidence.address(evidence.prediction["expected"]["address_of"])
    return [record.value for record in answer.answer] == [address]


SCENARIO = Scenario(
    about="An answer is remembered for its time to live: two messages and a falling TTL, then the server is asked again",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D9",),
    capture=("client", "dns", "ns-school"),
    roles=("client", "resolver", "authoritative"),
)
