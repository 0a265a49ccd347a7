"""Answers are remembered for their time to live: two messages and a falling TTL, and afterwards asked again (claim D9)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from appbed import models
from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import SERVERS
from appbed.scenarios.dns_parts.walk import ask, dig, equal, sound, walk
from appbed.verdict import Finding, Verdict, finding, judged

TTL_S = 10
NAME = "one.brief.someschool.edu"
"""Names below `brief` are told for ten seconds (images/nameserver)."""
WATCHED_S = TTL_S + 3
_WHOLE_S = 1.0
"""A resolver counts the time to live in whole seconds."""


def predict(conditions: Conditions) -> dict[str, Any]:
    way = ("root", "edu", "someschool.edu")
    return {
        "cold": {"messages": models.dns_messages(len(way)), "zones": list(way)},
        "again": {"messages": models.dns_messages(0), "zones": []},
        "ttl_s": TTL_S,
        "asked_again": ["someschool.edu"],
        "address_of": "www-1",
    }


def run(lab: Lab, record: Recorder) -> None:
    for step in ("cold", "again"):
        ask(lab, record, step, NAME)
    record.step("watched")
    began = lab.agent.ask("status")["now"]

    def over() -> bool:
        dig(lab, NAME)
        return float(lab.agent.ask("status")["now"]) - float(began) > WATCHED_S

    lab.until(over, f"{NAME} has been asked for during {WATCHED_S} s", timeout_s=3 * WATCHED_S)
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = list(sound(evidence, ("client", "dns", "ns-school")))
    for step in ("cold", "again"):
        seen = walk(evidence, step)
        found.append(equal(f"{step}: messages", expected[step]["messages"], seen.messages))
        found.append(equal(f"{step}: asked by the local server", expected[step]["zones"], list(seen.zones)))
    found += _falling(evidence, expected)
    found.append(_renewed(evidence, expected))
    return judged(found)


def _seen(evidence: Evidence, point: str, client: str) -> list[DnsTransaction]:
    """What a host asked about the name from the first question on, at a point."""
    window = (evidence.window("cold")[0], evidence.window("watched")[1])
    seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{point}"), window)
    address = evidence.address(client)
    return [each for each in seen if each.client.host == address and each.name == NAME and each.responses]


def _falling(evidence: Evidence, expected: dict[str, Any]) -> list[Finding]:
    """Each answer's TTL is what is left of the one the authoritative server gave."""
    told = [each.end_s for each in _seen(evidence, "dns", "dns") if each.server.host in _addresses(evidence)]
    wrong, ttls, right_address = [], [], True
    answered = _seen(evidence, "client", "client")
    for each in answered:
        since_s = each.end_s - max((at for at in told if at <= each.end_s), default=0.0)
        for record in each.responses[0].answer:
            ttls.append(record.ttl_s)
            right_address &= record.value == evidence.address(expected["address_of"])
            if abs(expected["ttl_s"] - since_s - record.ttl_s) > _WHOLE_S + 0.1:
                wrong.append(f"{record.ttl_s} s after {since_s:.1f} s")
    falls = f"{ttls[0]} s and falling" if ttls and not wrong else "; ".join(wrong[:3]) or "no answer"
    return [
        finding("TTL in the answers", f"{expected['ttl_s']} s and falling", falls, bool(ttls) and not wrong),
        finding("seconds of it left, least", "0 or 1", min(ttls, default=-1), min(ttls, default=-1) in (0, 1)),
        equal("every answer is the server's address", True, right_address and len(ttls) == len(answered)),
    ]


def _addresses(evidence: Evidence) -> set[str]:
    return {evidence.address(host) for host in SERVERS["someschool.edu"]}


def _renewed(evidence: Evidence, expected: dict[str, Any]) -> Finding:
    """The authoritative server is asked again when the TTL is over, and not before; nobody else is."""
    asked = _seen(evidence, "ns-school", "dns")
    gaps = [later.start_s - earlier.end_s for earlier, later in pairwise(asked)]
    others = walk(evidence, "watched").zones
    right = len(gaps) == 1 and expected["ttl_s"] - _WHOLE_S <= gaps[0] <= expected["ttl_s"] + 2 * _WHOLE_S
    seen = ", ".join(f"{gap:.1f} s" for gap in gaps) or "never"
    agrees = right and list(others) == expected["asked_again"]
    return finding("asked of the authoritative server again, after", f"{expected['ttl_s']} s, once", seen, agrees)


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
