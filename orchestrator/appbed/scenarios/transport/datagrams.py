"""UDP: no handshake, nothing mended, no congestion control; a flow faster than its link loses 1 - R/s - Q/(sT) (claim A3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from appbed import impairment, models
from appbed.evidence import Evidence, Recorder, within
from appbed.fidelity import bounds
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.transport_parts import flows, transfers
from appbed.scenarios.transport_parts.flows import LINK, Flow, Flown
from appbed.verdict import Finding, Verdict, finding, judged

PICTURE = "/img/03.jpg"
RATE_BIT, QUEUE_PACKETS, FRAME_BYTES = 2e6, 50, 1000
_LIMITED: Mapping[str, Any] = {LINK: {"down": {"rate": "2mbit", "queue": str(QUEUE_PACKETS)}}}
_WEATHER: Mapping[str, Any] = {LINK: {"down": {"delay": "20ms", "loss": "5%", "duplicate": "3%", "reorder": "3%"}}}
SHARES = (0.5, 0.9, 1.1, 1.5, 2.0, 3.0)
FLOWS = {
    "bad link": Flow(9001, 1e6, 4.0, frame_bytes=250),
    **{f"s/R {share:g}": Flow(9002 + at, share * RATE_BIT, 4.0, FRAME_BYTES) for at, share in enumerate(SHARES)},
}
SWEEP = {name: _WEATHER if name == "bad link" else _LIMITED for name in FLOWS}
_ERROR = 1e-4
"""How often a sound link may seem to have lost, doubled or swapped another share than it was set to."""
_PACE = 0.02
"""What a process that was held up for a moment may be off its rate over seconds; one that slows down for losses halves it."""


def predict(conditions: Conditions) -> dict[str, Any]:
    at = {}
    for name, point in conditions["sweep"].items():
        link, flow = impairment.resolve(LINK, point["links"][LINK]).down, FLOWS[name]
        at[name] = {"sent": flow.datagrams, "rate_bit": flow.rate_bit, "answers": 0, **_shares(link, flow)}
    return {"points": at}


def _shares(link: impairment.Impairment, flow: Flow) -> dict[str, float]:
    """A datagram is gone if it was lost and not doubled, and comes twice if both the original and its copy escape."""
    if link.rate_bit:
        queue_bit = 8.0 * flow.frame_bytes * (link.queue.packets or 0)
        return {"lost": models.udp_loss(flow.rate_bit, link.rate_bit, queue_bit, flow.seconds)}
    loss, copied, early = (each / 100 for each in (link.loss_pct, link.duplicate_pct, link.reorder_pct))
    return {"lost": loss * (1 - copied), "copies": copied * (1 - loss) ** 2, "overtaking": early * (1 - loss)}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=transfers.digest(lab, PICTURE))
    for name in points(lab, record):
        flows.send(lab, [FLOWS[name]])
    record.step("TCP beside it")
    transfers.fetch(lab, flows.SENDER, PICTURE)


def check(evidence: Evidence) -> Verdict:
    figures: dict[str, float] = {}
    found: list[Finding] = []
    for name, expected in evidence.prediction["expected"]["points"].items():
        flown = Flown(evidence, FLOWS[name])
        found += _point(name, expected, flown)
        figures[f"{name}: lost"] = flown.lost / flown.sent if flown.sent else 0.0
    found.append(_no_handshake(evidence))
    found.append(_handshake(evidence))
    beside = "TCP beside it"
    found.append(transfers.same(evidence, flows.SENDER, beside, f"{beside}: bytes equal to the origin's", PICTURE))
    return judged(found, figures)


def _point(name: str, expected: Mapping[str, Any], flown: Flown) -> Iterator[Finding]:
    yield finding(f"{name}: datagrams sent", expected["sent"], flown.sent, flown.sent == expected["sent"])
    yield finding(f"{name}: answers to the sender", expected["answers"], flown.answers, flown.answers == 0)
    wanted, rate = expected["rate_bit"], flown.rate_bit
    agrees = abs(rate - wanted) <= _PACE * wanted
    yield finding(f"{name}: rate whatever is lost", f"{wanted / 1e6:g} Mbit/s", f"{rate / 1e6:.3f} Mbit/s", agrees)
    for what in ("lost", "copies", "overtaking"):
        if what in expected:
            yield _share(f"{name}: {what}", expected[what], getattr(flown, what), flown.sent)


def _share(what: str, share: float, count: int, sent: int) -> Finding:
    """As many as `share` of all, within what chance does once in ten thousand times."""
    agrees = sent > 0 and min(bounds.at_most(count, sent, share), bounds.at_least(count, sent, share)) >= _ERROR / 2
    line = finding(what, f"{share:.2%}", f"{count / sent:.2%}" if sent else "nothing sent", agrees)
    fewest, most = bounds.band(
        sent, lambda k: bounds.at_most(k, sent, share), lambda k: bounds.at_least(k, sent, share), _ERROR
    )
    allowed = (fewest / max(1, sent), most / max(1, sent))
    return replace(line, predicted=share, measured=count / max(1, sent), allowed=allowed)


def _no_handshake(evidence: Evidence) -> Finding:
    """The first packet of all flows is a datagram with data."""
    client, there = evidence.address(flows.SENDER), evidence.address(flows.RECEIVER)
    between = [
        each
        for each in evidence.capture.packets(f"host:{flows.SENDER}")
        if {each.source.host, each.destination.host} == {client, there} and each.protocol != "arp"
    ]
    first = between[0] if between else None
    told = f"{first.protocol}, {first.payload_bytes} bytes of data" if first else "nothing"
    wanted = f"udp, {FLOWS['bad link'].frame_bytes - 42} bytes of data"
    return finding("first packet between the two", wanted, told, told == wanted)


def _handshake(evidence: Evidence) -> Finding:
    """What the same host sends first when it speaks TCP."""
    seen = within(evidence.capture.packets(f"host:{flows.SENDER}"), evidence.window("TCP beside it"))
    flags = [each.tcp_flags for each in seen if each.protocol == "tcp"][:3]
    return finding("first packets of TCP", "S, SA, A", ", ".join(flags), flags == ["S", "SA", "A"])


SCENARIO = Scenario(
    about="UDP: no handshake, losses and swaps as the link makes them, and 1 - R/s - Q/(sT) lost where s > R",
    topology="access-link",
    predict=predict,
    run=run,
    check=check,
    claims=("A3",),
    links=transfers.NEAR,
    sweep=SWEEP,
    short=("bad link", "s/R 0.9", "s/R 2"),
    capture=(flows.SENDER, flows.RECEIVER),
    roles=("client", "web"),
)
