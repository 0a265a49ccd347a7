"""SMTP connections are persistent: messages queued for one server share a connection where it is kept (claim M4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from appbed import impairment, models
from appbed.analysis import SmtpDialogue
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.models import Path
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import CREPES, HAMBURGER
from appbed.scenarios.mail_parts.seen import equal
from appbed.scenarios.web_parts.loading import link_as_set
from appbed.verdict import Finding, Verdict, judged, timed

LINK = f"{HAMBURGER}@core"
COUNT = 6
_TOLERANCE = 0.1
"""Servers and machine need some 30 ms a message, of 1000 and more. The quickest is judged: other work on the machine only adds."""


def predict(conditions: Conditions) -> dict[str, Any]:
    link = impairment.resolve(LINK, conditions["links"][LINK])
    round_trip_s = (link.up.delay_ms + link.down.delay_ms) / 1000
    ways = {
        "a connection each": {"connections": COUNT, "transactions": [1] * COUNT, "reused": False},
        "one connection": {"connections": 1, "transactions": [COUNT], "reused": True},
    }
    for way in ways.values():
        trips = [models.smtp_round_trips(count, reused=bool(way["reused"])) for count in (COUNT - 1, COUNT)]
        way["each_s"] = round_trip_s * (trips[1] - trips[0])
    return {"ways": ways, "handshake_s": models.connect_s(Path(round_trip_s))}


def run(lab: Lab, record: Recorder) -> None:
    """They are handed over faster than they can be passed on, so all but the first wait in the queue."""
    contents = [str(post.note(f"crepes {number}")) for number in range(COUNT)]
    for number, (way, setting) in enumerate((("a connection each", "off"), ("one connection", "on")), start=1):
        lab.exec(CREPES, "/appbed/set", f"SMTP_REUSE={setting}")
        record.step(way)
        post.submit_lines(lab, *contents)
        post.until_bob_has(lab, number * COUNT)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found: list[Finding] = []
    for way, wanted in expected["ways"].items():
        found += _way(evidence, way, wanted)
    shaken = [each.connection.handshake_s for each in seen.pushed(evidence) if each.connection.handshake_s]
    found.append(link_as_set("between the servers", expected["handshake_s"], shaken))
    return judged(found)


def _way(evidence: Evidence, way: str, wanted: Mapping[str, Any]) -> Iterator[Finding]:
    handed, pushed = seen.submitted(evidence, way), seen.pushed(evidence, way)
    yield seen.smtp_ruled(f"{way}: SMTP", [*handed, *pushed])
    yield equal(f"{way}: messages handed over", COUNT, len(seen.carried(handed)))
    receivers = [evidence.address(HAMBURGER)] * wanted["connections"]
    yield equal(f"{way}: connections", receivers, [each.server.host for each in pushed])
    yield equal(f"{way}: transactions", wanted["transactions"], [len(seen.carried([each])) for each in pushed])
    opened = sum(each.connection.opened for each in pushed)
    yield equal(f"{way}: handshakes", wanted["connections"], opened)
    waited = _waited(handed, pushed)
    yield equal(f"{way}: messages that waited for others", COUNT - 1, waited)
    ends = [message.reply.end_s for message in seen.carried(pushed) if message.reply]
    quickest_s = min((later - before for before, later in pairwise(ends)), default=0.0)
    busy = evidence.conditions["processor_busy"]
    yield timed(
        f"{way}: from one message to the next", wanted["each_s"], quickest_s, _TOLERANCE * wanted["each_s"], busy
    )


def _waited(handed: list[SmtpDialogue], pushed: list[SmtpDialogue]) -> int:
    """Messages that were in the queue before the one before them was taken by the receiver's server."""
    queued = sorted(message.reply.start_s for message in seen.carried(handed) if message.reply)
    passed = sorted(message.reply.end_s for message in seen.carried(pushed) if message.reply)
    return sum(later < before for later, before in zip(queued[1:], passed, strict=False))


SCENARIO = Scenario(
    about="Six messages queued for one server: six handshakes, or one where the connection is kept for the next message",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M4",),
    links={LINK: {"delay": "100ms"}},
    capture=("client", CREPES),
    roles=("client", "mail"),
)
