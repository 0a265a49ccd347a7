"""The receiver's server is down: the message waits in the queue, is tried again, and is given up in the end (claim M3)."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

from appbed import models
from appbed.analysis import Connection, SmtpDialogue
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import ALICE, BOB, CREPES, HAMBURGER
from appbed.scenarios.mail_parts.seen import equal
from appbed.verdict import Finding, Verdict, finding, judged

BACKOFF_S, LIFETIME_S = (2.0, 6.0), 6.0
"""Set here. By default 2 to 4 s and 30 s, and in Postfix 300 to 4000 s and five days. A server that is started again right after the
second try failed is back long before the next one, so none is under way when it comes back. (For the least back-off the queue manager
takes nothing at all to that server: were both the same, a message whose time has come could just miss the end of that.)"""
QUEUE_RUN_S, TRY_S = 2.0, 3.0
"""QUEUE_RUN_DELAY and smtp_connect_timeout of images/mail."""
_TRIES = 2
_BEGINS_S = 0.3
"""For the queue manager to find the message, ask for names and have somebody connect."""
_WHOLE_S = 1.0
"""A Date header has whole seconds."""
WAITS, GIVEN_UP = "the one that waits", "the one that is given up"


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "gap_s": [BACKOFF_S[0], TRY_S + models.retry_s(BACKOFF_S[1], QUEUE_RUN_S) + _BEGINS_S],
        "after_return_s": models.retry_s(BACKOFF_S[1], QUEUE_RUN_S),
        "bounce_s": [LIFETIME_S, models.bounce_s(LIFETIME_S, BACKOFF_S[1], QUEUE_RUN_S, TRY_S)],
        "tries": _TRIES,
        "try_s": TRY_S,
    }


def run(lab: Lab, record: Recorder) -> None:
    least, most = BACKOFF_S
    lab.exec(CREPES, "/appbed/set", f"MINIMAL_BACKOFF={least:.0f}s", f"MAXIMAL_BACKOFF={most:.0f}s")
    record.step("down")
    with lab.faults.stop(HAMBURGER):
        post.submit(lab, post.note(WAITS))
        _until_tried(lab, _TRIES)
        record.event("queue", messages=post.queue(lab))
    record.step("back")
    post.until_bob_has(lab, 1)
    record.event("mailbox", messages=post.mailbox(lab, HAMBURGER, "bob"))
    record.step("down for good")
    lab.exec(CREPES, "/appbed/set", f"QUEUE_LIFETIME={LIFETIME_S:.0f}s")
    with lab.faults.stop(HAMBURGER):
        post.submit(lab, post.note(GIVEN_UP))
        lab.until(lambda: bool(post.mailbox(lab, CREPES, "alice")), "a bounce is in alice's mailbox", timeout_s=40)
        record.event("queue", messages=post.queue(lab))
        record.step("read")
        post.pop3(lab, "client", ("RETR 1", "QUIT"), server=CREPES, user="alice")
    record.step("mended")


def _until_tried(lab: Lab, times: int) -> None:
    """A try has just failed, so the next one is a back-off away: the server comes back between two tries."""

    def failed() -> int:
        return lab.logs(CREPES).count("status=deferred")

    before = failed()
    lab.until(lambda: failed() >= before + times, f"the sender's server has tried {times} times", timeout_s=40)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    handed = seen.submitted(evidence)
    found = [
        seen.smtp_ruled("SMTP", handed),
        equal("messages handed over", [WAITS, GIVEN_UP], _subjects(handed)),
        *_waits(evidence, expected),
        *_returns(evidence, expected),
        *_bounces(evidence, expected, handed),
    ]
    return judged(found)


def _subjects(found: list[SmtpDialogue]) -> list[str]:
    return [str(message.email["Subject"]) for message in seen.carried(found)]


def _tries(evidence: Evidence, step: str) -> list[Connection]:
    """Connections that the sender's server tried to open and that nobody answered, as its own interface saw it."""
    ends = evidence.address(CREPES), evidence.address(HAMBURGER)
    opened: list[Connection] = within(evidence.capture.connections(f"host:{CREPES}"), evidence.window(step))
    return [
        each
        for each in opened
        if (each.client.host, each.server.host) == ends and each.server.port == seen.SMTP and each.syn_ack_s is None
    ]


def _waits(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """In the sender's queue, with the reason; tried again and again, a back-off and at most a queue run apart."""
    (waiting, gone) = (event.data["messages"] for event in evidence.of("queue"))
    told = [(each["queue_name"], each["sender"], each["recipients"][0]["address"]) for each in waiting]
    yield equal("in the sender's queue", [("deferred", ALICE, BOB)], told)
    reasons = [each["recipients"][0].get("delay_reason", "") for each in waiting]
    yield finding(
        "the reason", "connect to ...", "; ".join(reasons), all(each.startswith("connect to") for each in reasons)
    )
    yield equal("in the queue after it was given up", [], gone)
    for step, least in (("down", expected["tries"]), ("down for good", 1)):
        tries = _tries(evidence, step)
        yield finding(f"{step}: tries", f"at least {least}", len(tries), len(tries) >= least)
        low, high = expected["gap_s"]
        gaps = [later.start_s - earlier.start_s for earlier, later in pairwise(tries)]
        shown = ", ".join(f"{gap:.1f} s" for gap in gaps) or "one try"
        yield finding(
            f"{step}: between tries", f"{low:g} to {high:g} s", shown, all(low <= gap <= high for gap in gaps)
        )


def _returns(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """The first try after the server's return delivers."""
    pushed = [each for each in seen.pushed(evidence) if each.greeting]
    yield equal("delivered", [WAITS], _subjects(pushed))
    yield seen.smtp_ruled("between servers: SMTP", pushed)
    back_s, _ = evidence.window("back")
    ends = [message.reply.end_s for message in seen.carried(pushed) if message.reply]
    after_s = max(0.0, max(ends, default=0.0) - back_s)
    limit_s = expected["after_return_s"]
    what = "delivered after the server's return"
    yield finding(what, f"within {limit_s:g} s", f"{after_s:.1f} s", bool(ends) and after_s <= limit_s)
    arrived = [each["subject"] for each in evidence.of("mailbox")[0].data["messages"]]
    yield equal("in bob's mailbox", [WAITS], arrived)


def _bounces(evidence: Evidence, expected: dict[str, Any], handed: list[SmtpDialogue]) -> Iterator[Finding]:
    """What alice finds in her mailbox, and when it was written."""
    sessions = seen.pop3_sessions(evidence, "client")
    yield seen.pop3_ruled("POP3", sessions)
    read = seen.retrieved(sessions)
    yield equal("messages in alice's mailbox", 1, len(read))
    taken = [message.reply.end_s for message in seen.carried(handed) if message.reply]
    low, high = expected["bounce_s"]
    for content in read[:1]:
        message = seen.parsed(content)
        failed = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
        report = "".join(str(line) for part in failed for line in part.get_payload())
        told = f"from {message['From']}, to {message['To']}"
        yield finding(
            "it is a report to alice", f"to {ALICE}", told, str(message["To"]) == ALICE and "MAILER-DAEMON" in told
        )
        yield equal("it names the receiver, and failed", True, BOB in report and "Action: failed" in report)
        yield equal("and brings the message back", True, f"Subject: {GIVEN_UP}".encode() in content)
        written_s = parsedate_to_datetime(str(message["Date"])).timestamp()
        after_s = written_s - max(taken, default=0.0)
        agrees = low - _WHOLE_S <= after_s <= high + _WHOLE_S
        yield finding("given up after", f"{low:g} to {high:g} s", f"{after_s:.0f} s", agrees)
        last_s = max((each.start_s for each in _tries(evidence, "down for good")), default=0.0)
        agrees = abs(written_s - last_s - expected["try_s"]) <= _WHOLE_S
        yield finding(
            "given up when a try ends, after", f"{expected['try_s']:g} s", f"{written_s - last_s:.1f} s", agrees
        )


SCENARIO = Scenario(
    about="While the receiver's server is down a message waits and is tried again; past the queue's lifetime it bounces",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M3",),
    capture=("client", CREPES),
    roles=("client", "mail"),
)
