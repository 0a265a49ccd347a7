"""From the user agent to the sender's queue, and by SMTP straight into the receiver's mailbox (claim M1)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any

from appbed import impairment, models
from appbed.analysis import DnsTransaction, SmtpDialogue
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.models import Path
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import BOB, CREPES, HAMBURGER, SERVER_NAMES
from appbed.scenarios.mail_parts.seen import equal
from appbed.scenarios.web_parts.loading import link_as_set
from appbed.verdict import Finding, Verdict, judged, timed

LINK = f"{HAMBURGER}@core"
SWEEP = {
    "RTT 100 ms": {LINK: {"delay": "50ms"}},
    "RTT 200 ms": {LINK: {"delay": "100ms"}},
    "RTT 200 ms, 2 Mbit/s, 50 kB": {LINK: {"delay": "100ms", "rate": "2mbit"}},
}
SHORT = ("RTT 200 ms", "RTT 200 ms, 2 Mbit/s, 50 kB")
_TIMES = 4
"""The quickest of so many is judged: other work on the machine only ever adds time."""
_TOLERANCE = 0.1
_ATTACHED = random.Random(3).randbytes(36_100)
_ADDED_BYTES = 330
"""Received, Date and Message-Id, which the sender's server adds; two milliseconds at 2 Mbit/s."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "queries": [f"MX {BOB.partition('@')[2]}", f"A {SERVER_NAMES[HAMBURGER]}"],
        "connections": 1,
        "points": {name: _point(name, point["links"]) for name, point in conditions["sweep"].items()},
    }


def _point(name: str, links: Mapping[str, Any]) -> dict[str, float]:
    link = impairment.resolve(LINK, links[LINK])
    path = Path((link.up.delay_ms + link.down.delay_ms) / 1000, link.down.rate_bit, link.up.rate_bit)
    size = len(_message(name, 0).as_bytes()) + _ADDED_BYTES
    return {"delivery_s": models.smtp_delivery_s(path, size), "handshake_s": models.connect_s(path)}


def _message(point: str, number: int) -> EmailMessage:
    made = post.note(f"crepes {number} ({point})")
    if "kB" in point:
        made.add_attachment(_ATTACHED, maintype="application", subtype="octet-stream", filename="crepes.bin")
    return made


def run(lab: Lab, record: Recorder) -> None:
    sent = 0
    for point in points(lab, record):
        for number in range(_TIMES):
            record.step(f"{point}: {number}")
            post.submit(lab, _message(point, number))
            sent += 1
            post.until_bob_has(lab, sent)
    record.event("mailbox", messages=post.mailbox(lab, HAMBURGER, "bob"), waiting=post.queue(lab))


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found: list[Finding] = []
    for point, wanted in expected["points"].items():
        steps = [f"{point}: {number}" for number in range(_TIMES)]
        for step in steps:
            found += _way(evidence, expected, step)
        found += _times(evidence, point, wanted, steps)
    return judged([*found, *_arrived(evidence)])


def _way(evidence: Evidence, expected: Mapping[str, Any], step: str) -> Iterator[Finding]:
    """One connection to her own server, the question where mail goes, one connection to the receiver's server."""
    handed, pushed = seen.submitted(evidence, step), seen.pushed(evidence, step)
    yield equal(f"{step}: connections to the sender's server", expected["connections"], len(handed))
    yield equal(f"{step}: names asked for", expected["queries"], _asked(evidence, step))
    receiver = evidence.address(HAMBURGER)
    yield equal(f"{step}: the sender's server opens to", [receiver], [each.server.host for each in pushed])
    arrived = within(evidence.capture.smtp(f"host:{HAMBURGER}"), evidence.window(step))
    senders = [evidence.address(CREPES)]
    yield equal(f"{step}: to the receiver's server came", senders, [each.client.host for each in arrived])
    yield seen.smtp_ruled(f"{step}: SMTP", [*handed, *pushed, *arrived])
    numbers = [(SERVER_NAMES[CREPES], number) for number in seen.queue_numbers(handed)]
    passed = [at for message in seen.carried(arrived) for at in seen.passed_queues(message)]
    yield equal(f"{step}: went through the queue", numbers or "one", passed)


def _asked(evidence: Evidence, step: str) -> list[str]:
    """By the sender's server, of its local DNS server, and answered."""
    seen_there: list[DnsTransaction] = within(evidence.capture.dns(f"host:{CREPES}"), evidence.window(step))
    ends = evidence.address(CREPES), evidence.address("dns-hosting")
    return [
        f"{each.type} {each.name}"
        for each in seen_there
        if (each.client.host, each.server.host) == ends and each.response
    ]


def _times(evidence: Evidence, point: str, wanted: Mapping[str, float], steps: list[str]) -> Iterator[Finding]:
    """From the SYN to the reply that takes the message, at the sender's server."""
    receiver = evidence.address(HAMBURGER)
    found: list[SmtpDialogue] = [
        each for step in steps for each in seen.pushed(evidence, step) if each.server.host == receiver
    ]
    if not found:
        return  # what did not go there has no time, and says nothing about that link
    shaken = [each.connection.handshake_s for each in found if each.connection.handshake_s is not None]
    yield link_as_set(point, wanted["handshake_s"], shaken)
    times = [each.messages[0].reply.end_s - each.start_s for each in found if each.messages and each.messages[0].reply]
    busy = evidence.conditions["processor_busy"]
    quickest = min(times, default=0.0)
    predicted_s = wanted["delivery_s"]
    yield timed(f"{point}: delivery", predicted_s, quickest, _TOLERANCE * predicted_s, busy)


def _arrived(evidence: Evidence) -> Iterator[Finding]:
    """What lies in bob's mailbox is what the receiver's server took, in order; nothing waits any more."""
    told = evidence.of("mailbox")[0].data
    taken = seen.carried(seen.dialogues(evidence, HAMBURGER, CREPES))
    wanted = [str(message.email["Message-ID"]) for message in taken]
    yield equal("messages in the mailbox", wanted or "some", [each["message_id"] for each in told["messages"]])
    yield equal("messages in the sender's queue", [], told["waiting"])


SCENARIO = Scenario(
    about="A message goes from the user agent into the sender's queue, and by one connection into the receiver's mailbox",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M1",),
    sweep=SWEEP,
    short=SHORT,
    capture=("client", CREPES, HAMBURGER),
    roles=("client", "resolver", "mail"),
)
