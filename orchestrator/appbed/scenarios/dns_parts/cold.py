"""A name nobody remembers, looked up several times under one or more conditions: counts and order exact, the time by round trips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from appbed import models
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, points
from appbed.scenarios.dns_parts.hierarchy import ACCESS, round_trip_s
from appbed.scenarios.dns_parts.walk import Walk, ask, at_servers, told, walk
from appbed.verdict import Finding, finding, timed

SWEEP = {
    "5 times": {"isp@core": {"loss": "0%"}},
    "50 times": {"isp@core": {"loss": "0%"}},
    "50 times, 2 % loss": {"isp@core": {"loss": "2%"}},
}
SHORT = ("5 times",)
_TIME = 0.05
"""Measured time over the sum of the round trips: what servers and machine need besides is some milliseconds of 450."""


@dataclass(frozen=True, slots=True)
class Cold:
    """A name, the zones that are asked on its way, and the hosts whose addresses are the answer."""

    name: str
    zones: tuple[str, ...]
    hosts: tuple[str, ...]

    def predict(self, conditions: Conditions) -> dict[str, Any]:
        return {
            point: {
                "messages": models.dns_messages(len(self.zones)),
                "zones": list(self.zones),
                "hosts": list(self.hosts),
                "time_s": models.dns_time_s([round_trip_s(given["links"][ACCESS])] * len(self.zones)),
                "times": int(point.split()[0]),
                "lossy": "loss" in point,
            }
            for point, given in conditions["sweep"].items()
        }

    def run(self, lab: Lab, record: Recorder) -> None:
        for point in points(lab, record):
            for number in range(int(point.split()[0])):
                record.step(f"{point}: {number}: forget")
                lab.reset("dns")
                ask(lab, record, f"{point}: {number}", self.name)
                record.step(f"{point}: {number}: asked")

    def check(self, evidence: Evidence, captured: Sequence[str]) -> Iterator[Finding]:
        """At every point: messages, order, addresses, what the servers themselves saw, and the time."""
        for point, expected in evidence.prediction["expected"].items():
            steps = [f"{point}: {number}" for number in range(expected["times"])]
            walks = [walk(evidence, step) for step in steps]
            yield from counted(point, expected, walks)
            yield from self._answers(evidence, point, expected, steps, walks)
            yield forgotten(evidence, point, [f"{step}: forget" for step in steps], lossy=expected["lossy"])
            at = [at_servers(evidence, step, captured) for step in steps]
            wanted = dict(Counter(expected["zones"]))
            right = sum({zone: count for zone, count in each.items() if count} == wanted for each in at)
            yield finding(f"{point}: the same at the servers", len(steps), right, right == len(steps))
            yield in_time(evidence, point, expected["time_s"], walks)

    def _answers(
        self, evidence: Evidence, point: str, expected: Mapping[str, Any], steps: Sequence[str], walks: Sequence[Walk]
    ) -> Iterator[Finding]:
        """As the local server gave them, and as they came to the client."""
        addresses = {evidence.address(host) for host in expected["hosts"]}
        given = sum(each.addresses() == addresses for each in walks)
        yield finding(f"{point}: answers with the right addresses", len(walks), given, given == len(walks))
        got = sum(told(evidence, step, self.name) == addresses for step in steps)
        yield finding(f"{point}: the same at the client", len(walks), got, got == len(walks))


def in_time(evidence: Evidence, point: str, predicted_s: float, walks: Sequence[Walk]) -> Finding:
    """The median of those walks in which nothing had to be sent again."""
    quick = [each.duration_s for each in walks if not each.again and each.duration_s is not None]
    seen_s = median(quick) if quick else 0.0
    busy = evidence.conditions["processor_busy"]
    return timed(f"{point}: time, median", predicted_s, seen_s, _TIME * predicted_s, busy, quick)


def forgotten(evidence: Evidence, point: str, steps: Sequence[str], *, lossy: bool) -> Finding:
    """In each of these steps the local server forgot all, and asked nothing but what it has to ask before any question."""
    own = sum(_primed(walk(evidence, step), lossy) for step in steps)
    return finding(f"{point}: forgotten all but the root's own names", len(steps), own, own == len(steps))


def _primed(seen: Walk, lossy: bool) -> bool:
    """After a reset the resolver asks a root server for the root's own names, once for itself and once for who asked."""
    names = [(each.name, each.type) for each in seen.onward]
    return names == [(".", "NS")] and (seen.again == 1 or (lossy and seen.again > 1))


def counted(point: str, expected: Mapping[str, Any], walks: Sequence[Walk]) -> Iterator[Finding]:
    """Each walk has as many messages as predicted, and asks the zones in the order predicted."""
    counts = Counter(each.messages for each in walks)
    again = sum(each.again for each in walks)
    wanted = f"{expected['messages']}, {expected['times']} times"
    seen = ", ".join(f"{messages}, {times} times" for messages, times in sorted(counts.items()))
    exact = counts == {expected["messages"]: expected["times"]}
    yield finding(f"{point}: messages", wanted, f"{seen or 'none'}{f' ({again} sent again)' if again else ''}", exact)
    if not expected["lossy"]:
        yield finding(f"{point}: queries sent again", 0, again, again == 0)
    orders = Counter(", ".join(each.zones) or "nobody" for each in walks)
    order = ", ".join(expected["zones"]) or "nobody"
    yield finding(
        f"{point}: asked by the local server",
        order,
        "; ".join(orders),
        orders == {order: expected["times"]},
    )
