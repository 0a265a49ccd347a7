"""No promise about time: the one-way delay of a small flow rises with the traffic of others, from d to d + Q/R (claim A5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from appbed import impairment, models
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.transport_parts import flows, transfers
from appbed.scenarios.transport_parts.flows import LINK, Flow, Flown
from appbed.verdict import Finding, Verdict, finding, judged, timed

RATE_BIT = 4e6
_SECONDS, _SMALL_BYTES = 3.0, 142
_FILE = "a file transfer, queue 100 ms"
# Traffic of others, as a share of the link's rate, and the queue before the link.
OTHERS: dict[str, tuple[float, int]] = {
    "idle": (0.0, 100),
    "others 0.5 R": (0.5, 100),
    "others 1.5 R, queue 50 ms": (1.5, 50),
    "others 1.5 R, queue 100 ms": (1.5, 100),
    "others 1.5 R, queue 200 ms": (1.5, 200),
    _FILE: (0.0, 100),
}
SMALL = {name: Flow(9201 + at, 50 * 8 * _SMALL_BYTES, _SECONDS, _SMALL_BYTES) for at, name in enumerate(OTHERS)}
LARGE = {
    name: Flow(9301 + at, share * RATE_BIT, _SECONDS) for at, (name, (share, _)) in enumerate(OTHERS.items()) if share
}
SWEEP = {
    name: {LINK: {"down": {"delay": "20ms", "rate": "4mbit", "queue": f"{queue_ms}ms"}}}
    for name, (_, queue_ms) in OTHERS.items()
}
_SHARE, _LEAST_S = 0.05, 0.004
"""Of the delay, and two frames of the others, which are not cut for a small one that comes in between."""
_PEAK_SHARE = 0.1
"""TCP fills the queue, loses, halves its window and fills again: a sawtooth, whose highest tenth is that near to its peak."""
_FILLING_S = 0.5
"""Until a queue of 200 ms is full, when half of R is too much, and a little for the machine."""


def predict(conditions: Conditions) -> dict[str, Any]:
    at = {}
    for name, point in conditions["sweep"].items():
        link = impairment.resolve(LINK, point["links"][LINK]).down
        rate, (share, _) = link.rate_bit or 1, OTHERS[name]
        full_s = models.queueing_delay_s((link.queue.ms or 0) / 1000 * rate, rate)
        free_s = link.delay_ms / 1000 + models.wire_time_s(_SMALL_BYTES, rate)
        crowded = share > 1 or name == _FILE
        at[name] = {"delay_s": free_s + (full_s if crowded else 0.0), "sent": SMALL[name].datagrams}
    return {"points": at}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=transfers.digest(lab))
    for name in points(lab, record):
        together = [SMALL[name], *([LARGE[name]] if name in LARGE else [])]
        with ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(transfers.fetch, lab, flows.RECEIVER) if name == _FILE else None
            flows.send(lab, together)
            if fetching:
                fetching.result()


def check(evidence: Evidence) -> Verdict:
    figures: dict[str, float] = {}
    found: list[Finding] = []
    for name, expected in evidence.prediction["expected"]["points"].items():
        flown = Flown(evidence, SMALL[name])
        found += _point(name, expected, flown, evidence)
        figures[f"{name}: delay_median_s"] = median(flown.delays_s or [0.0])
        if name in LARGE:
            found.append(_others(name, Flown(evidence, LARGE[name])))
        if name == _FILE:
            found.append(transfers.same(evidence, flows.RECEIVER, name, f"{name}: bytes equal to the origin's"))
    return judged(found, figures)


def _point(name: str, expected: Mapping[str, float], flown: Flown, evidence: Evidence) -> Iterator[Finding]:
    """The median, once the queue is as full as it gets; a file transfer fills it again and again: the highest tenth."""
    yield finding(f"{name}: datagrams sent", expected["sent"], flown.sent, flown.sent == expected["sent"])
    predicted_s, busy = expected["delay_s"], evidence.conditions["processor_busy"]
    begun_s, ended_s = _crowded(name, flown, evidence)
    delays_s = sorted(
        each.delay_s for each in flown.passages if each.delay_s is not None and begun_s <= each.sent_s <= ended_s
    )
    if not delays_s:
        yield finding(f"{name}: datagrams that arrived", "some", 0, False)
    elif name == _FILE:
        seen_s = delays_s[len(delays_s) * 9 // 10]
        yield timed(f"{name}: highest tenth of delays", predicted_s, seen_s, _PEAK_SHARE * predicted_s, busy)
    else:
        tolerance_s = max(_SHARE * predicted_s, _LEAST_S)
        yield timed(f"{name}: one-way delay", predicted_s, median(delays_s), tolerance_s, busy, delays_s)
    if name not in LARGE and name != _FILE:
        yield finding(f"{name}: datagrams lost", 0, flown.lost, flown.lost == 0)


def _crowded(name: str, flown: Flown, evidence: Evidence) -> tuple[float, float]:
    """When the others are at their work and the queue has had time to fill."""
    if name == _FILE:
        seen = transfers.exchanges(evidence, flows.RECEIVER, name)
        return min((each.start_s for each in seen), default=0.0), max((each.end_s for each in seen), default=0.0)
    first_s = flown.passages[0].sent_s if flown.passages else 0.0
    return first_s + _FILLING_S, first_s + _SECONDS


def _others(name: str, flown: Flown) -> Finding:
    """The traffic of the others was there."""
    wanted = LARGE[name].datagrams
    return finding(f"{name}: datagrams of the others", wanted, flown.sent, flown.sent == wanted)


SCENARIO = Scenario(
    about="One-way delay of a small flow: d on an idle link, d + Q/R when others fill the queue",
    topology="access-link",
    predict=predict,
    run=run,
    check=check,
    claims=("A5",),
    links=transfers.NEAR,
    sweep=SWEEP,
    short=("idle", "others 1.5 R, queue 100 ms", _FILE),
    capture=(flows.SENDER, flows.RECEIVER),
    roles=("client", "web"),
)
