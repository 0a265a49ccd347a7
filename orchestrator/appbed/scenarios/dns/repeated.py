"""What is remembered is not asked again: six messages for a second name of a TLD, two for the same name (claims D9, D10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed import models
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.dns_parts.cold import SHORT, SWEEP, counted, forgotten, in_time
from appbed.scenarios.dns_parts.hierarchy import ACCESS, FAR, SITE, at_core, round_trip_s
from appbed.scenarios.dns_parts.walk import ask, equal, sound, told, walk
from appbed.verdict import Finding, Verdict, judged

SECOND, SECOND_AT = "webmail.hamburger.edu", 53
"""And where images/nameserver has it, in the network of servers."""
LOOKUPS = {
    "first name": (SITE, ("root", "edu", "someschool.edu")),
    "second name": (SECOND, ("edu", "hosting")),
    "again": (SECOND, ()),
}
"""One after the other, each time after all was forgotten: the name, and the zones whose servers are asked."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        point: {
            lookup: {
                "messages": models.dns_messages(len(zones)),
                "zones": list(zones),
                "time_s": models.dns_time_s([round_trip_s(given["links"][ACCESS])] * len(zones)),
                "times": int(point.split()[0]),
                "lossy": "loss" in point,
            }
            for lookup, (_, zones) in LOOKUPS.items()
        }
        for point, given in conditions["sweep"].items()
    }


def run(lab: Lab, record: Recorder) -> None:
    for point in points(lab, record):
        for number in range(int(point.split()[0])):
            record.step(f"{point}: {number}: forget")
            lab.reset("dns")
            for lookup, (name, _) in LOOKUPS.items():
                ask(lab, record, _step(point, number, lookup), name)
        record.step(f"{point}: over")


def _step(point: str, number: int, lookup: str) -> str:
    return f"{point}: {number}: {lookup}"


def check(evidence: Evidence) -> Verdict:
    found = list(sound(evidence, ("client", "dns")))
    for point, lookups in evidence.prediction["expected"].items():
        first = lookups["first name"]
        steps = [f"{point}: {number}: forget" for number in range(first["times"])]
        found.append(forgotten(evidence, point, steps, lossy=first["lossy"]))
        for lookup, expected in lookups.items():
            found += _lookup(evidence, point, lookup, expected)
    return judged(found)


def _lookup(evidence: Evidence, point: str, lookup: str, expected: dict[str, Any]) -> Iterator[Finding]:
    steps = [_step(point, number, lookup) for number in range(expected["times"])]
    walks = [walk(evidence, step) for step in steps]
    yield from counted(f"{point}: {lookup}", expected, walks)
    if expected["zones"]:
        yield in_time(evidence, f"{point}: {lookup}", expected["time_s"], walks)
    if lookup != "first name":
        address = at_core(evidence, SECOND_AT)
        right = sum(
            each.addresses() == told(evidence, step, SECOND) == {address}
            for each, step in zip(walks, steps, strict=True)
        )
        yield equal(f"{point}: {lookup}: right address, at the local server and at the client", len(steps), right)


SCENARIO = Scenario(
    about="What the local server remembers nobody is asked for: six messages for a second name of a TLD, two for the same name again",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D9", "D10"),
    links=FAR,
    sweep=SWEEP,
    short=SHORT,
    capture=("client", "dns"),
    roles=("client", "resolver", "root", "tld", "authoritative"),
)
