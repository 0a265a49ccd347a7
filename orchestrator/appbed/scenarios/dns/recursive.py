"""The same name through a recursive chain: eight messages again, each server asking the next (claim D8)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from appbed import models
from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import REPLICAS, SITE
from appbed.scenarios.dns_parts.walk import ask, equal, sound
from appbed.verdict import Verdict, finding, judged

CHAIN = ("client", "dns", "root-a", "tld-edu", "ns-school")


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"messages": models.dns_messages(len(CHAIN) - 2), "chain": list(CHAIN), "hosts": list(REPLICAS)}


def run(lab: Lab, record: Recorder) -> None:
    ask(lab, record, "asked", SITE)
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = list(sound(evidence, CHAIN))
    links = []
    messages = 0
    for asking, asked in pairwise(expected["chain"]):
        seen = _between(evidence, asking, asked)
        messages += 2 * len(seen)
        found.append(equal(f"{asking} asks {asked}", 1, len(seen)))
        links += seen[:1]
    every = [
        each
        for host in expected["chain"][1:]
        for each in within(evidence.capture.dns(f"host:{host}"), evidence.window("asked"))
        if each.server.host == evidence.address(host)
    ]
    found.append(equal("messages", expected["messages"], messages))
    found.append(equal("questions that anybody asked", messages // 2, len(every)))
    recursive = sum(bool(each.queries[0].recursion_desired) for each in links)
    found.append(equal("questions with the wish for recursion", len(expected["chain"]) - 1, recursive))
    nested = all(outer.start_s <= inner.start_s and inner.end_s <= outer.end_s for outer, inner in pairwise(links))
    found.append(finding("each asks the next before it answers", True, nested, nested))
    addresses = {evidence.address(host) for host in expected["hosts"]}
    for each, (asking, asked) in zip(links, pairwise(expected["chain"]), strict=False):
        got = {record.value for record in each.responses[0].answer if record.type == "A"}
        found.append(equal(f"{asked} answers {asking} with the addresses", addresses, got))
    return judged(found)


def _between(evidence: Evidence, asking: str, asked: str) -> list[DnsTransaction]:
    """What one host asked another and had answered."""
    seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{asking}"), evidence.window("asked"))
    ends = evidence.address(asking), evidence.address(asked)
    return [each for each in seen if (each.client.host, each.server.host) == ends and each.queries and each.responses]


SCENARIO = Scenario(
    about="Asked recursively, a name nobody remembers takes eight messages too: each server asks the next and passes the answer back",
    topology="dns-recursive",
    predict=predict,
    run=run,
    check=check,
    claims=("D8",),
    capture=CHAIN,
    roles=("client", "resolver", "root", "tld", "authoritative"),
    indifferent={"times stretched": "who asks whom, and what is nested in what, is the same at half the speed"},
)
