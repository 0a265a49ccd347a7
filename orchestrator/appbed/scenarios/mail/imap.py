"""IMAP keeps folders, messages and their state at the server; parts of a message are fetched alone (claim M10)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from appbed.analysis import ImapCommand, ImapSession
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import HAMBURGER, SERVER_NAMES
from appbed.scenarios.mail_parts.seen import equal
from appbed.verdict import Finding, Verdict, finding, judged

FOLDER = "Trips"
SUBJECTS = ("crepes", "a trip", "and fries")
MOVED = 2
"""The message with the large part: what the second client fetches of it is the small one."""
_LARGE = random.Random(5).randbytes(60_000)
FIRST = (
    "SELECT INBOX",
    f"CREATE {FOLDER}",
    "STORE 1 +FLAGS (\\Flagged)",
    f"MOVE {MOVED} {FOLDER}",
    "FETCH 1 BODY[1]",
)
SECOND = (
    'LIST "" *',
    "SELECT INBOX",
    "FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
    f"SELECT {FOLDER}",
    "FETCH 1 BODY[1]",
)
_SUBJECT = re.compile(rb"Subject: ([^\r\n]*)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")


def predict(conditions: Conditions) -> dict[str, Any]:
    left = [subject for number, subject in enumerate(SUBJECTS, start=1) if number != MOVED]
    return {
        "folder": FOLDER,
        "subjects": left,
        "flags": [["\\Flagged", "\\Seen"], []],
        "moved": 1,
        "text_sha256": seen.digest(post.HELLO.encode()),
        "share": 0.05,
    }


def run(lab: Lab, record: Recorder) -> None:
    record.step("mail")
    contents = []
    for number, subject in enumerate(SUBJECTS, start=1):
        made = post.note(subject)
        if number == MOVED:
            made.add_attachment(_LARGE, maintype="application", subtype="octet-stream", filename="photos.bin")
        contents.append(str(made))
    lines = [line for content in contents for line in post.transaction(content)]
    hello = f"EHLO {post.hello(lab, 'client')}"
    post.talk(lab, "client", "smtp", SERVER_NAMES[HAMBURGER], seen.SMTP, [hello, *lines, "QUIT"])
    post.until_bob_has(lab, len(SUBJECTS))
    for host, commands in (("client", FIRST), ("client-2", SECOND)):
        record.step(f"at {host}")
        post.imap(lab, host, commands)
        post.until_silent(lab, (host,), seen.IMAP)
    record.event("mailbox", messages=post.mailbox(lab, HAMBURGER, "bob"))


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    sent = seen.dialogues(evidence, "client", "client")
    first, second = (seen.imap_sessions(evidence, host) for host in ("client", "client-2"))
    found = [
        seen.smtp_ruled("SMTP", sent),
        seen.imap_ruled("IMAP", [*first, *second]),
        equal("messages delivered", len(SUBJECTS), len(seen.carried(sent))),
        equal("sessions", [1, 1], [len(first), len(second)]),
    ]
    for who, sessions, commands in (("first", first, FIRST), ("second", second, SECOND)):
        wanted = ["LOGIN", *(command.split()[0] for command in commands), "LOGOUT"]
        for each in sessions:
            done = [command.verb for command in each.commands if command.ok]
            found.append(equal(f"{who} client: commands done", wanted, done))
    for each in second:
        found += _seen_there(each, expected)
        found += _part(each, expected, [message.content for message in seen.carried(sent)])
    return judged([*found, *_kept(evidence, expected)])


def _seen_there(session: ImapSession, expected: dict[str, Any]) -> Iterator[Finding]:
    """What the first client did is there for the second: the folder, the message in it, and the flags."""
    listed = b"\n".join(response.data for each in session.of("LIST") for response in each.responses)
    yield equal(
        "second client: the folder", True, bool(re.search(rb'"?%s"?(\r|$)' % expected["folder"].encode(), listed, re.M))
    )
    exists = [
        response.text
        for each in session.of("SELECT")
        for response in each.responses
        if response.text.endswith("EXISTS")
    ]
    wanted = [f"{len(expected['subjects'])} EXISTS", f"{expected['moved']} EXISTS"]
    yield equal("second client: messages in INBOX and in the folder", wanted, exists)
    fetched = [
        response.data for each in _fetches(session)[:1] for response in each.responses if b"FETCH" in response.data
    ]
    subjects = [match[1].decode() for data in fetched if (match := _SUBJECT.search(data))]
    yield equal("second client: subjects in INBOX", expected["subjects"], subjects)
    flags = [sorted(match[1].decode().split()) for data in fetched if (match := _FLAGS.search(data))]
    yield equal("second client: flags set by the first", expected["flags"], [_lasting(each) for each in flags])


def _lasting(flags: Sequence[str]) -> list[str]:
    """\\Recent tells of the session and not of the message."""
    return [flag for flag in flags if flag != "\\Recent"]


def _fetches(session: ImapSession) -> tuple[ImapCommand, ...]:
    return session.of("FETCH")


def _part(session: ImapSession, expected: dict[str, Any], sent: list[bytes]) -> Iterator[Finding]:
    """One part of a message crosses the network, and not the message."""
    whole = max((len(content) for content in sent), default=0)
    data = [
        response.data for each in _fetches(session)[1:] for response in each.responses if b"BODY[1]" in response.data
    ]
    parts = [each[each.index(b"\r\n") + 2 :].removesuffix(b")") for each in data]
    yield equal("second client: the part (SHA-256)", [expected["text_sha256"]], [seen.digest(part) for part in parts])
    heard = len(session.connection.from_server)
    share = expected["share"]
    what = f"bytes the session took, of the message's {whole}"
    yield finding(what, f"less than {share:.0%}", heard, 0 < heard < share * whole)


def _kept(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """In the server's own files."""
    messages = evidence.of("mailbox")[0].data["messages"]
    inbox = [each["subject"] for each in messages if each["folder"] == "INBOX"]
    moved = [each["subject"] for each in messages if each["folder"] == expected["folder"]]
    yield equal("at the server: INBOX", expected["subjects"], inbox)
    yield equal("at the server: the folder", [SUBJECTS[MOVED - 1]], moved)


SCENARIO = Scenario(
    about="Folders, flags and messages stay at the server: what one client does with IMAP the other sees; a part alone",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M10",),
    capture=("client", "client-2"),
    roles=("client", "mail"),
    indifferent={"times stretched": "what the server keeps is no time"},
)
