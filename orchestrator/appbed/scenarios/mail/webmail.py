"""Webmail: between browser and mail server HTTP, between the servers SMTP (claim M11)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import ALICE, BOB, CREPES, HAMBURGER
from appbed.scenarios.mail_parts.seen import equal
from appbed.scenarios.tour_parts import mail
from appbed.verdict import Finding, Verdict, judged

USER = "client-2"
URL = "http://webmail.hamburger.edu"
PAGES = {
    "read": ["GET 200", "POST 302", "GET 200", "GET 200", "GET 200"],
    "write": ["GET 200", "POST 302", "GET 200", "GET 302", "GET 200", "POST 200"],
}
"""The form to log in, the login, the list; the message and its attachment; a form to write, and what was written."""
FORMS = 2
"""Pages of somebody who has not logged in: webmail asks the mail server for nothing then, and for each other page once."""
REPLY = "Yes, and fries with it.\n\nBob\n"
SUBJECT = "Re: crepes"
ON_THE_LINK = ["DNS with dns:53", "HTTP with webmail:80"]
BETWEEN = ["SMTP from mail-crepes to mail-hamburger:25", "SMTP from mail-hamburger to mail-crepes:25"]
BEHIND = ["IMAP from webmail to mail-hamburger:143", "SMTP from webmail to mail-hamburger:587"]


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "on the user's link": ON_THE_LINK,
        "between the mail servers": BETWEEN,
        "between webmail and its mail server": BEHIND,
        "pages": [*PAGES["read"], *PAGES["write"]],
        "sessions": len(PAGES["read"]) + len(PAGES["write"]) - FORMS,
        "attachment_sha256": seen.digest(mail.ATTACHMENT),
        "reply": {"from": BOB, "to": ALICE, "subject": SUBJECT, "text": REPLY},
    }


def run(lab: Lab, record: Recorder) -> None:
    password = post.password(lab, HAMBURGER, "bob")
    record.step("to bob")
    post.submit(lab, mail.message(ALICE, BOB))
    post.until_bob_has(lab, 1)
    record.step("read")
    lab.exec(USER, "/appbed/read-webmail", URL, "bob", password)
    record.step("write")
    lab.exec(USER, "/appbed/write-webmail", URL, "bob", password, ALICE, SUBJECT, stdin=REPLY)
    lab.until(lambda: bool(post.mailbox(lab, CREPES, "alice")), "the reply is in alice's mailbox")
    lab.until(lambda: not post.queue(lab, HAMBURGER), "bob's server has nothing left to send")
    for port in (seen.SMTP, seen.SUBMISSION, seen.IMAP):
        post.until_silent(lab, (CREPES, HAMBURGER), port)
    record.event("mailbox", messages=post.mailbox(lab, CREPES, "alice"))


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = [
        equal("on the user's link", expected["on the user's link"], _on_the_link(evidence)),
        equal("between the mail servers", expected["between the mail servers"], _between(evidence, CREPES, HAMBURGER)),
        equal(
            "between webmail and its mail server",
            expected["between webmail and its mail server"],
            _between(evidence, "webmail", HAMBURGER),
        ),
    ]
    return judged([*found, *_read(evidence, expected), *_written(evidence, expected)])


def _names(evidence: Evidence) -> dict[str, str]:
    return {address: host for host, addresses in evidence.conditions["hosts"].items() for address in addresses}


def _on_the_link(evidence: Evidence) -> list[str]:
    """Each packet of the user's interface is of one of these."""
    names, own = _names(evidence), evidence.address(USER)
    web = {(each.client, each.server) for each in evidence.capture.http(f"host:{USER}")}
    found = set()
    for packet in evidence.capture.packets(f"host:{USER}"):
        ends = (packet.source, packet.destination) if packet.source.host == own else (packet.destination, packet.source)
        there = ends[1]
        if packet.protocol == "arp":
            continue  # below the application layer
        kind = "HTTP" if ends in web else "DNS" if (packet.protocol, there.port) == ("udp", 53) else packet.protocol
        found.add(f"{kind} with {names.get(there.host, there.host)}:{there.port}")
    return sorted(found)


def _between(evidence: Evidence, one: str, other: str) -> list[str]:
    """The connections between two hosts, as one of them saw them, each read by the protocol its bytes have."""
    names, ends = _names(evidence), {evidence.address(one), evidence.address(other)}
    point = f"host:{HAMBURGER}"
    kinds = {each.connection.number: "SMTP" for each in evidence.capture.smtp(point)}
    kinds |= {each.connection.number: "IMAP" for each in evidence.capture.imap(point)}
    return sorted(
        {
            f"{kinds.get(each.number, 'TCP')} from {names[each.client.host]} to {names[each.server.host]}:{each.server.port}"
            for each in evidence.capture.connections(point)
            if {each.client.host, each.server.host} == ends
        }
    )


def _read(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """In pages: the message's text, and its attachment's bytes."""
    asked = evidence.capture.http(f"host:{USER}")
    yield equal("pages", expected["pages"], [f"{each.request.method} {each.status}" for each in asked])
    whole = sum(bool(each.response and each.response.complete) for each in asked)
    yield equal("of them whole", len(expected["pages"]), whole)
    bodies = [each.response.body for each in asked if each.response]
    line = next(line for line in mail.TEXT.splitlines() if "크레페" in line)
    yield equal("the text in a page", True, any(line.encode() in body for body in bodies))
    same = any(seen.digest(body) == expected["attachment_sha256"] for body in bodies)
    yield equal("the attachment is the one sent (SHA-256)", True, same)
    sent = [body for body in bodies if b"sent_successfully" in body]
    yield equal("pages that say it was sent", 1, len(sent))


def _written(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """What bob typed went from webmail to his server, from there to alice's, and lies in her mailbox."""
    for what, client, port in (
        ("to bob's server", "webmail", seen.SUBMISSION),
        ("to alice's server", HAMBURGER, seen.SMTP),
    ):
        dialogues = seen.dialogues(evidence, HAMBURGER, client, port)
        yield seen.smtp_ruled(f"{what}: SMTP", dialogues)
        messages = [message.email for message in seen.carried(dialogues)]
        told = [_told(message.get_body(("plain",)), message) for message in messages]
        yield equal(what, [expected["reply"]], told)
    sessions = evidence.capture.imap(f"host:{HAMBURGER}")
    yield equal("IMAP sessions", expected["sessions"], len(sessions))
    yield seen.imap_ruled("IMAP", sessions)
    copied = sum(command.ok for each in sessions for command in each.of("APPEND"))
    yield equal("copies put among what bob sent", 1, copied)
    subjects = [each["subject"] for each in evidence.of("mailbox")[0].data["messages"]]
    yield equal("in alice's mailbox", [expected["reply"]["subject"]], subjects)


def _told(body: Any, message: Any) -> dict[str, str]:
    """Webmail writes a header's address as it likes: with a name, in brackets or bare."""
    address = {key: re.sub(r".*<([^>]*)>.*", r"\1", str(message[key])) for key in ("From", "To")}
    text = str(body.get_content()).replace("\r\n", "\n").strip() + "\n" if body is not None else ""
    return {"from": address["From"], "to": address["To"], "subject": str(message["Subject"]), "text": text}


SCENARIO = Scenario(
    about="Webmail: on the user's link only HTTP (and names), between the mail servers only SMTP",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M11",),
    capture=(USER, HAMBURGER),
    roles=("client", "resolver", "mail", "webmail"),
    indifferent={"times stretched": "which protocol is spoken where is no time"},
)
