"""A cold name is asked of root, TLD and authoritative server, one after the other: eight messages (claim D6)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.cold import SHORT, SWEEP, Cold
from appbed.scenarios.dns_parts.hierarchy import FAR, REPLICAS, SITE
from appbed.scenarios.dns_parts.walk import ask, sound, walk
from appbed.verdict import Verdict, finding, judged

LOOKUP = Cold(SITE, ("root", "edu", "someschool.edu"), REPLICAS)
CAPTURED = ("client", "dns", "root-a", "root-b", "tld-edu", "ns-school")
TODAY = ("QNAME_MINIMISATION=yes", "IPV6=yes")
"""What local servers do today by default, and the counted ones do not."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return LOOKUP.predict(conditions)


def run(lab: Lab, record: Recorder) -> None:
    LOOKUP.run(lab, record)
    record.step("today: set")
    lab.exec("dns", "/appbed/set", *TODAY)
    ask(lab, record, "today", SITE)
    record.step("today: reset")
    lab.reset("dns")


def check(evidence: Evidence) -> Verdict:
    found = [*sound(evidence, ("client", "dns", "tld-edu", "ns-school")), *LOOKUP.check(evidence, CAPTURED)]
    today = walk(evidence, "today")
    plain = next(iter(evidence.prediction["expected"].values()))["messages"]
    found.append(finding("messages with today's habits", f"more than {plain}", today.messages, today.messages > plain))
    extra = [each.type for each in today.onward]
    found.append(finding("among them, questions for IPv6 addresses", "some", extra.count("AAAA"), "AAAA" in extra))
    return judged(found, {"messages_today": today.messages})


SCENARIO = Scenario(
    about="A name nobody remembers takes eight messages: the local server asks root, TLD and authoritative server in turn",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D6",),
    links=FAR,
    sweep=SWEEP,
    short=SHORT,
    capture=CAPTURED,
    roles=("client", "resolver", "root", "tld", "authoritative"),
)
