"""A page loaded in one mode at each point of a sweep: its time predicted by a formula and read from the client's packets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from appbed import impairment, models
from appbed.analysis import Connection, HttpExchange
from appbed.evidence import Event, Evidence, Recorder, within
from appbed.lab import Lab
from appbed.models import Exchange, Path, wire_time_s
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.scenarios.web_parts.site import REPLICAS, SITE, Page
from appbed.verdict import Finding, Outcome, Verdict, finding, judged, timed

ACCESS = "gateway@access"
OBJECTS = {
    "RTT 20 ms": 10,
    "RTT 100 ms": 10,
    "RTT 200 ms": 10,
    "RTT 100 ms, 2 objects": 2,
    "RTT 100 ms, 5 objects": 5,
}
SWEEP = {name: {ACCESS: {"delay": f"{int(name.split()[1]) / 2:g}ms"}} for name in OBJECTS}
SHORT = ("RTT 100 ms, 5 objects",)
_LOADS = {"RTT 20 ms": 10}
_USUAL_LOADS = 3
"""The quickest of so many loads is judged: other work on the machine only ever adds time, and the shorter a page takes, the less of
that is within the tolerance."""
_SHARE, _LEAST_S = 0.03, 0.003
_BEYOND_S = 0.002  # measured 0.4 to 1 ms, by how busy the machine was


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to load a page. `opens` tells how many connections a page of n objects takes; `at_once` how many of them together."""

    page: Page
    arguments: tuple[str, ...]
    page_s: Callable[[Path, Exchange, Sequence[Exchange]], float]
    opens: Callable[[int], int]
    at_once: int = 1
    server_closes: bool = False


def scenario(about: str, claim: str, mode: Mode) -> Scenario:
    """The scenario of a claim about a mode."""
    return Scenario(
        about=about,
        topology="web",
        predict=lambda conditions: predict(conditions, mode),
        run=lambda lab, record: run(lab, record, mode),
        check=lambda evidence: check(evidence, mode),
        claims=(claim,),
        sweep=SWEEP,
        short=SHORT,
        idle=("client", REPLICAS[0]),
        capture=("client",),
        roles=("client", "web"),
    )


def predict(conditions: Conditions, mode: Mode) -> dict[str, Any]:
    beyond_s = beyond_links_s(conditions)
    at = {}
    for name, point in conditions["sweep"].items():
        as_set, count = path_over(point["links"]), OBJECTS[name]
        path = replace(as_set, round_trip_s=as_set.round_trip_s + beyond_s)
        at[name] = {
            "page_s": mode.page_s(path, mode.page.base(), mode.page.first(count)),
            "handshake_s": models.connect_s(as_set),
            "requests": 1 + count,
            "connections": mode.opens(count),
            "at_once": min(mode.at_once, count),
        }
    return {"points": at, "beyond_links_s": beyond_s}


def path_over(links: Mapping[str, Any]) -> Path:
    """From the client to a server beyond the access link: the links set, and nothing for the rest of the way."""
    link = impairment.resolve(ACCESS, links[ACCESS])
    return Path((link.up.delay_ms + link.down.delay_ms) / 1000, link.up.rate_bit, link.down.rate_bit)


def beyond_links_s(conditions: Conditions) -> float:
    """What a round trip takes beyond the links as set: four bridges, three routers, and a machine that has to wake up for each.

    It is measured by pings before anything is done, and the formulas' RTT is that of the idle way, as the textbook's is. 0 before
    it was measured.
    """
    if "idle" not in conditions:
        return 0.0
    path, frame_bytes = path_over(conditions["links"]), conditions["idle"]["frame_bytes"]
    echo_s = wire_time_s(frame_bytes, path.up_bit) + wire_time_s(frame_bytes, path.down_bit)
    return max(0.0, float(conditions["idle"]["round_trip_s"]) - path.round_trip_s - echo_s)


def run(lab: Lab, record: Recorder, mode: Mode) -> None:
    record.event("origin", sha256=digests(lab, REPLICAS[0], mode.page.files(10)))
    for name in points(lab, record):
        for _ in range(_LOADS.get(name, _USUAL_LOADS)):
            load(lab, record, f"http://{SITE}{mode.page.path}", *mode.arguments, "--at-most", str(OBJECTS[name]))


def load(lab: Lab, record: Recorder, url: str, *arguments: str) -> dict[str, Any]:
    """One page load; what the loader says of it is an event."""
    report: dict[str, Any] = json.loads(lab.exec("client", "/appbed/load", url, *arguments).stdout)
    record.event("load", report=report)
    return report


# ---- judging


def check(evidence: Evidence, mode: Mode) -> Verdict:
    beyond_s = evidence.prediction["expected"]["beyond_links_s"]
    figures = {"round trip beyond the links as set, s": beyond_s}
    found: list[Finding] = [_idle_way(beyond_s)]
    for name, expected in evidence.prediction["expected"]["points"].items():
        loads = [Loaded(evidence, event) for event in _within(evidence, name)]
        found += _judged_point(name, expected, loads, mode, evidence)
        figures |= {f"{name}: page_s": min((each.page_s for each in loads), default=0.0)}
    return judged(found, figures)


def _within(evidence: Evidence, step: str) -> list[Event]:
    begin, end = evidence.window(step)
    return [event for event in evidence.of("load") if begin <= event.time_s <= end]


class Loaded:
    """One page load as the client's packets show it; the loader's report only tells which connections were its own."""

    def __init__(self, evidence: Evidence, event: Event) -> None:
        self.report = event.data["report"]
        ports = {connection.get("local_port") for connection in self.report["connections_opened"]}
        client = evidence.address("client")
        begin_s = min((connection["opened_s"] for connection in self.report["connections_opened"]), default=0.0)
        window = (
            begin_s - 1,
            event.time_s + 1,
        )  # two clocks of one machine: generous, since ports are not used again so soon
        self.connections: list[Connection] = [
            each
            for each in within(evidence.capture.connections("host:client"), window)
            if each.client.host == client and each.client.port in ports
        ]
        numbers = {each.number for each in self.connections}
        self.exchanges: list[HttpExchange] = [
            each for each in evidence.capture.http("host:client") if each.connection.number in numbers
        ]

    @property
    def answers(self) -> list[HttpExchange]:
        """Whole ones, by HTTP's grammar."""
        return [
            each
            for each in self.exchanges
            if (said := each.response) and said.status == 200 and said.complete and not said.fault
        ]

    @property
    def page_s(self) -> float:
        """From the first SYN to the last byte of an answer."""
        if not self.answers:
            return 0.0
        return max(each.end_s for each in self.answers) - min(each.start_s for each in self.connections)

    @property
    def handshakes_s(self) -> list[float]:
        return [each.handshake_s for each in self.connections if each.handshake_s is not None]

    @property
    def most_at_once(self) -> int:
        """Connections with a request under way at the same time."""
        moments = [(each.start_s, 1) for each in self.exchanges] + [(each.end_s, -1) for each in self.exchanges]
        most = now = 0
        for _, change in sorted(moments):
            now += change
            most = max(most, now)
        return most


def _judged_point(
    name: str, expected: Mapping[str, Any], loads: list[Loaded], mode: Mode, evidence: Evidence
) -> Iterator[Finding]:
    if len(loads) != (wanted := _LOADS.get(name, _USUAL_LOADS)):
        yield finding(f"{name}: page loads", wanted, len(loads), False)
        return
    if handshakes_s := [time for each in loads for time in each.handshakes_s]:  # else no link is to blame
        yield link_as_set(name, expected["handshake_s"], handshakes_s)
    wrong = next((each.report["because"] for each in loads if not each.report["complete"]), "")
    yield _each(f"{name}: whole answers", expected["requests"], [len(each.answers) for each in loads], wrong)
    yield same_bytes(f"{name}: objects equal to the origin's", evidence, [a for each in loads for a in each.answers])
    yield _each(f"{name}: connections", expected["connections"], [len(each.connections) for each in loads])
    if mode.server_closes:
        closed = [sum(connection.closed_by == "server" for connection in each.connections) for each in loads]
        yield _each(f"{name}: closed by the server", expected["connections"], closed)
    if mode.at_once > 1:
        yield _each(f"{name}: requests under way at once", expected["at_once"], [each.most_at_once for each in loads])
    if any(len(each.answers) != expected["requests"] for each in loads):
        return  # what is no whole page has no page time
    predicted_s, all_s = expected["page_s"], [each.page_s for each in loads]
    tolerance_s, busy = max(_SHARE * predicted_s, _LEAST_S), evidence.conditions["processor_busy"]
    yield timed(f"{name}: page time", predicted_s, min(all_s), tolerance_s, busy, all_s)


def _idle_way(beyond_s: float) -> Finding:
    """The formulas may not be given whatever was measured: a way this slow beside its links is not the lab's."""
    outcome = Outcome.PASSED if beyond_s <= _BEYOND_S else Outcome.INCONCLUSIVE
    because = "" if outcome is Outcome.PASSED else f"an idle round trip took {beyond_s * 1000:.1f} ms beyond the links"
    most = f"at most {_BEYOND_S * 1000:.0f} ms"
    return Finding("idle round trip beyond the links", most, f"{beyond_s * 1000:.2f} ms", outcome, because)


def _each(what: str, expected: int, seen: list[int], because: str = "") -> Finding:
    """The same number in every load."""
    shown = expected if all(each == expected for each in seen) else ", ".join(map(str, seen))
    return finding(what, expected, shown, all(each == expected for each in seen), because)


def link_as_set(name: str, expected_s: float, handshakes_s: list[float]) -> Finding:
    """Handshakes are the kernels' work and so the network's time: if they are not as set, no server can be blamed."""
    seen_s = median(handshakes_s) if handshakes_s else 0.0
    agrees = -0.0005 <= seen_s - expected_s <= max(0.1 * expected_s, 0.004)
    outcome = Outcome.PASSED if agrees else Outcome.INCONCLUSIVE
    expected, seen = f"{expected_s * 1000:.1f} ms", f"{seen_s * 1000:.1f} ms"
    because = "" if agrees else f"the links were set for {expected} and handshakes took {seen}"
    return Finding(f"{name}: handshake", expected, seen, outcome, because)
