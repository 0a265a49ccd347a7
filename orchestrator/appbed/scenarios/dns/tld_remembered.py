"""TLD servers' addresses are remembered, so the root is rarely asked: six messages for a second name of a TLD (claim D10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from appbed import models
from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import REPLICAS, SERVERS, SITE, at_core
from appbed.scenarios.dns_parts.walk import ask, at_servers, sound, told, walk
from appbed.verdict import Verdict, finding, judged

CAPTURED = ("client", "dns", "root-a", "root-b", "tld-edu", "ns-school", "ns-hosting")
# step: name, and the zones whose servers are asked
STEPS = {
    "first name": (SITE, ("root", "edu", "someschool.edu")),
    "second name": ("webmail.hamburger.edu", ("edu", "hosting")),
}
WEBMAIL = 53
"""Where images/nameserver says that webmail.hamburger.edu is, in the network of servers."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        step: {"messages": models.dns_messages(len(zones)), "zones": list(zones), "at_root": zones.count("root")}
        for step, (_, zones) in STEPS.items()
    }


def run(lab: Lab, record: Recorder) -> None:
    for step, (name, _) in STEPS.items():
        ask(lab, record, step, name)
    for root in SERVERS["root"]:
        ask(lab, record, f"{root} is asked", "edu", "NS", "+norecurse", f"@{lab.topology.host(root).address}")
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    found = list(sound(evidence, ("client", "dns", "tld-edu", "ns-school", "ns-hosting")))
    for step, expected in evidence.prediction["expected"].items():
        name, _ = STEPS[step]
        seen = walk(evidence, step)
        found.append(
            finding(f"{step}: messages", expected["messages"], seen.messages, seen.messages == expected["messages"])
        )
        zones = list(seen.zones)
        found.append(
            finding(f"{step}: asked", ", ".join(expected["zones"]), ", ".join(zones), zones == expected["zones"])
        )
        at = at_servers(evidence, step, CAPTURED)
        found.append(
            finding(
                f"{step}: questions at the root", expected["at_root"], at["root"], at["root"] == expected["at_root"]
            )
        )
        same = sorted(zone for zone, count in at.items() for _ in range(count)) == sorted(expected["zones"])
        found.append(finding(f"{step}: the same at the servers", True, same, same))
        right = [evidence.address(host) for host in REPLICAS] if name == SITE else [at_core(evidence, WEBMAIL)]
        given = seen.addresses() & told(evidence, step, name)
        found.append(finding(f"{step}: addresses", ", ".join(right), ", ".join(sorted(given)), given == set(right)))
    for root in SERVERS["root"]:  # which it would have been, had anybody asked
        seen_there: list[DnsTransaction] = within(
            evidence.capture.dns(f"host:{root}"), evidence.window(f"{root} is asked")
        )
        refers = {
            record.value
            for each in seen_there
            if each.response
            for record in (*each.response.authority, *each.response.additional)
        }
        wanted = {"a.nic.edu", evidence.address("tld-edu")}
        found.append(finding(f"{root} refers who asks it", _listed(wanted), _listed(refers), refers == wanted))
    return judged(found)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


SCENARIO = Scenario(
    about="The local server remembers the TLD's servers: a second name of the same TLD takes six messages, none at the root",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D10",),
    capture=CAPTURED,
    roles=("client", "resolver", "root", "tld", "authoritative"),
)
