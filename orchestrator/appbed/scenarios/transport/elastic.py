"""Elastic applications use the rate there is; a flow that needs r bit/s is intact up to R and broken beyond (claim A4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from appbed import impairment, models
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.models import Path
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.transport_parts import flows, transfers
from appbed.scenarios.transport_parts.flows import LINK, Flow, Flown
from appbed.verdict import Finding, Verdict, finding, judged, timed

_QUEUE = "1000"  # the window of a whole transfer fits: nothing is lost, as in the formula
_FLOW_BIT = 2e6
FILES = {f"file, R {rate} Mbit/s": rate for rate in (1, 2, 5, 10)}
FLOWS = {
    f"flow, r/R {share:g}": Flow(9101 + at, share * _FLOW_BIT, 3.0) for at, share in enumerate((0.5, 0.8, 1.25, 2.0))
}
SWEEP: dict[str, dict[str, Mapping[str, Any]]] = {
    **{name: {LINK: {"down": {"rate": f"{rate}mbit", "queue": _QUEUE}}} for name, rate in FILES.items()},
    **{name: {LINK: {"down": {"rate": "2mbit", "queue": "50"}}} for name in FLOWS},
}
_TRANSFERS = 2
"""The quickest of so many is judged: other work on the machine only ever adds time."""
_SHARE = 0.05
_HEAD_BYTES = 280  # of an answer


def predict(conditions: Conditions) -> dict[str, Any]:
    at: dict[str, dict[str, float]] = {}
    for name, point in conditions["sweep"].items():
        down = impairment.resolve(LINK, point["links"][LINK]).down
        if name in FILES:
            access = impairment.resolve(transfers.ACCESS, point["links"][transfers.ACCESS])
            path = Path((access.up.delay_ms + access.down.delay_ms) / 1000, None, down.rate_bit)
            at[name] = {
                "transfer_s": models.transfer_s(path, _HEAD_BYTES + transfers.MIB),
                "textbook_s": 8 * transfers.MIB / (down.rate_bit or 1),
            }
        else:
            flow = FLOWS[name]
            queue_bit = 8.0 * flow.frame_bytes * (down.queue.packets or 0)
            lost = models.udp_loss(flow.rate_bit, down.rate_bit or 1, queue_bit, flow.seconds)
            at[name] = {"sent": flow.datagrams, "lost": lost}
    return {"points": at}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=transfers.digest(lab))
    for name in points(lab, record):
        if name in FLOWS:
            flows.send(lab, [FLOWS[name]])
        else:
            for _ in range(_TRANSFERS):
                transfers.fetch(lab, flows.RECEIVER)


def check(evidence: Evidence) -> Verdict:
    figures: dict[str, float] = {}
    found: list[Finding] = []
    for name, expected in evidence.prediction["expected"]["points"].items():
        if name in FLOWS:
            found += _flow(name, expected, Flown(evidence, FLOWS[name]))
        else:
            found += _file(name, expected, evidence)
            figures[f"{name}: textbook_s"] = expected["textbook_s"]
    return judged(found, figures)


def _file(name: str, expected: Mapping[str, float], evidence: Evidence) -> Iterator[Finding]:
    """From the request to the last byte of the file."""
    seen = transfers.exchanges(evidence, flows.RECEIVER, name)
    yield transfers.same(evidence, flows.RECEIVER, name, f"{name}: bytes equal to the origin's")
    whole = [each for each in seen if each.response and each.response.complete]
    yield finding(f"{name}: transfers", _TRANSFERS, len(whole), len(whole) == len(seen) == _TRANSFERS)
    if whole:
        predicted_s, all_s = expected["transfer_s"], [each.end_s - each.start_s for each in whole]
        busy = evidence.conditions["processor_busy"]
        yield timed(f"{name}: transfer time", predicted_s, min(all_s), _SHARE * predicted_s, busy, all_s)


def _flow(name: str, expected: Mapping[str, float], flown: Flown) -> Iterator[Finding]:
    """Intact is: nothing lost. Broken is: what the link cannot carry is lost, give or take a datagram in ten."""
    yield finding(f"{name}: datagrams sent", expected["sent"], flown.sent, flown.sent == expected["sent"])
    lost = flown.lost / flown.sent if flown.sent else 1.0
    intact = expected["lost"] == 0
    agrees = lost == 0 if intact else abs(lost - expected["lost"]) <= 0.1 * expected["lost"] + 2 / max(1, flown.sent)
    wanted = "intact" if intact else f"broken: {expected['lost']:.1%} lost"
    yield finding(f"{name}", wanted, "intact" if lost == 0 else f"broken: {lost:.1%} lost", agrees)


SCENARIO = Scenario(
    about="A file takes O/R, whatever R is; a flow of r bit/s is intact up to R and broken beyond",
    topology="access-link",
    predict=predict,
    run=run,
    check=check,
    claims=("A4",),
    links=transfers.NEAR,
    sweep=SWEEP,
    short=("file, R 10 Mbit/s", "flow, r/R 0.8", "flow, r/R 1.25"),
    capture=(flows.SENDER, flows.RECEIVER),
    roles=("client", "web"),
)
