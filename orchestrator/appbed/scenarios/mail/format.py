"""A message is header lines, a blank line and a body; From and To are required, and completed where they lack (claim M8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import ALICE, BOB, CREPES, HAMBURGER, SERVER_NAMES
from appbed.scenarios.mail_parts.seen import equal
from appbed.verdict import Finding, Verdict, judged

# RFC 5322, section 2.2: a name of printable characters without a colon, a colon, and what follows, perhaps on further lines.
_HEADER = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+")
_BODY = "Hi Bob!\n\n.A line that begins with a dot\nSubject: no header any more\n\nAlice\n"
WHOLE = f"From: {ALICE}\nTo: {BOB}\nSubject: crepes\n\n{_BODY}"
NAMELESS = f"To: {BOB}\nSubject: who wrote this?\n\n{_BODY}"
MESSAGES = {
    "whole": {"From": ALICE, "To": BOB, "Date": "there", "Message-ID": "there"},
    "without From, by its writer": {"From": ALICE, "To": BOB, "Date": "there", "Message-ID": "there"},
    "without From, by another server": {"From": "missing", "To": BOB, "Date": "missing", "Message-ID": "missing"},
}
"""Postfix completes what its own users hand over, and leaves as it is what other servers bring (images/mail)."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"messages": MESSAGES, "body": _BODY}


def run(lab: Lab, record: Recorder) -> None:
    record.step("by its writer")
    for number, content in enumerate((WHOLE, NAMELESS), start=1):
        post.submit_lines(lab, content)
        post.until_bob_has(lab, number)
    record.step("by another server")
    lines = [f"EHLO {post.hello(lab, 'client')}", *post.transaction(NAMELESS), "QUIT"]
    post.talk(lab, "client", "smtp", SERVER_NAMES[HAMBURGER], seen.SMTP, lines)
    post.until_bob_has(lab, 3)
    record.step("read")
    post.pop3(lab, "client-2", ("RETR 1", "RETR 2", "RETR 3", "QUIT"))


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    handed = [*seen.submitted(evidence), *seen.dialogues(evidence, "client", "client")]
    pushed, sessions = seen.pushed(evidence), seen.pop3_sessions(evidence, "client-2")
    found = [
        seen.smtp_ruled("SMTP", [*handed, *pushed]),
        seen.pop3_ruled("POP3", sessions),
        equal("messages handed over", len(expected["messages"]), len(seen.carried(handed))),
        equal("messages between servers", 2, len(seen.carried(pushed))),
        equal("messages read", len(expected["messages"]), len(seen.retrieved(sessions))),
    ]
    for (what, wanted), content in zip(expected["messages"].items(), seen.retrieved(sessions), strict=False):
        found += _formed(what, wanted, content, expected["body"])
    return judged(found)


def _formed(what: str, wanted: dict[str, str], content: bytes, body: str) -> Iterator[Finding]:
    """As bob's user agent gets it: all up to the first blank line are header lines, all after it is the body."""
    head, _, rest = content.partition(b"\r\n\r\n")
    parses = _HEADER.fullmatch(head + b"\r\n") is not None
    yield equal(f"{what}: header lines that parse", "all", "all" if parses else "not all")
    same = rest.replace(b"\r\n", b"\n").decode("utf-8", "replace") == body
    yield equal(f"{what}: after the blank line", "the body", "the body" if same else f"{rest[:40]!r}")
    message = seen.parsed(content)
    told = {name: _told(message.get(name), value) for name, value in wanted.items()}
    yield equal(f"{what}: header", wanted, told)


def _told(value: object, wanted: str) -> str:
    return "missing" if value is None else "there" if wanted == "there" else str(value)


SCENARIO = Scenario(
    about="Header lines, a blank line, the body; a missing From is completed by the writer's own server, and by no other",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M8",),
    capture=("client", "client-2", CREPES),
    roles=("client", "mail"),
    indifferent={"times stretched": "how a message is formed is no time"},
)
