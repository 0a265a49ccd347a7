"""The tour of mail (2.3): from alice@crepes.fr to bob@hamburger.edu, in Korean, with an attachment; read three ways."""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any

from appbed.analysis import SmtpDialogue
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.verdict import Finding, finding

SENDER, RECIPIENT = "alice@crepes.fr", "bob@hamburger.edu"
TEXT = "안녕, Bob!\n\n크레페와 햄버거를 같이 먹자.\n\n— Alice\n"
ATTACHMENT = random.Random(2).randbytes(20_000)


def predict(conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dialogue": ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"],
        "mx_queries": 1,
        "connections_between_servers": 1,
        "text_sha256": _digest(TEXT.encode()),
        "attachment_sha256": _digest(ATTACHMENT),
    }


def run(lab: Lab, record: Recorder) -> None:
    record.step("mail", sender=SENDER, recipient=RECIPIENT)
    send(lab, message(SENDER, RECIPIENT), "mail-crepes", "mail.crepes.fr")
    lab.until(lambda: bool(mailbox(lab, "mail-hamburger", "bob")), f"the message is in {RECIPIENT}'s mailbox")
    record.event("mailbox", messages=mailbox(lab, "mail-hamburger", "bob"))
    password = lab.exec("mail-hamburger", "/appbed/password", "bob").stdout.strip()
    get = ("curl", "--silent", "--show-error", "--max-time", "20", "--user", f"{RECIPIENT}:{password}")
    record.step("pop3")
    lab.exec("client-2", *get, "pop3://mail.hamburger.edu/1")
    record.step("imap")
    lab.exec("client-2", *get, "imap://mail.hamburger.edu/INBOX;MAILINDEX=1")
    record.step("webmail")
    lab.exec("client-2", "/appbed/read-webmail", "http://webmail.hamburger.edu", "bob", password)
    record.event("read")


def message(sender: str, recipient: str) -> EmailMessage:
    """A text in Korean and 20 kB of an attachment."""
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = sender, recipient, "크레페"
    made.set_content(TEXT)
    made.add_attachment(ATTACHMENT, maintype="application", subtype="octet-stream", filename="crepes.bin")
    return made


def send(lab: Lab, made: EmailMessage, host: str, server: str) -> None:
    """Submitted by the user agent on `client` to the sender's own server, which is `host`."""
    sender = str(made["From"])
    password = lab.exec(host, "/appbed/password", sender.partition("@")[0]).stdout.strip()
    login = ("--auth", "PLAIN", "--auth-user", sender, "--auth-password", password)
    envelope = ("--from", sender, "--to", str(made["To"]), "--data", "-")
    lab.exec(
        "client",
        "swaks",
        "--helo",
        f"[{lab.topology.host('client').address}]",
        "--server",
        f"{server}:587",
        *login,
        *envelope,
        stdin=made.as_string(),
    )


def mailbox(lab: Lab, host: str, user: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(lab.exec(host, "/appbed/mailbox", user).stdout)
    return messages


# ---- judging


def check(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    window = evidence.window("mail")
    yield from _dialogue(evidence, expected, window)
    for way, content in _ways(evidence).items():
        yield _same(way, content, expected)
    yield _webmail(evidence, expected)


def _dialogue(evidence: Evidence, expected: dict[str, Any], window: tuple[float, float]) -> Iterator[Finding]:
    crepes, hamburger = evidence.address("mail-crepes"), evidence.address("mail-hamburger")
    asked = [
        each for each in within(evidence.capture.dns("host:mail-crepes"), window)
        if each.client.host == crepes and each.type == "MX" and each.name == "hamburger.edu" and each.responses
    ]  # fmt: skip
    yield finding("mail: MX lookups answered", expected["mx_queries"], len(asked), len(asked) == expected["mx_queries"])
    seen: list[SmtpDialogue] = within(evidence.capture.smtp("host:mail-crepes"), window)
    pushed = [each for each in seen if each.client.host == crepes and each.server.host == hamburger]
    wanted = expected["connections_between_servers"]
    yield finding("mail: connections between the servers", wanted, len(pushed), len(pushed) == wanted)
    verbs = list(pushed[0].verbs) if pushed else []
    yield finding("mail: commands", " ".join(expected["dialogue"]), " ".join(verbs), verbs == expected["dialogue"])
    received = within(evidence.capture.smtp("host:mail-hamburger"), window)
    taken = sum(each.accepted for dialogue in received if dialogue.client.host == crepes for each in dialogue.messages)
    yield finding("mail: messages the receiver's server took", 1, taken, taken == 1)
    seven = [each.is_seven_bit for dialogue in pushed for each in dialogue.messages]
    yield finding(
        "mail: octets above 127 on the wire",
        "none",
        "none" if all(seven) and seven else "some",
        all(seven) and bool(seven),
    )


def _ways(evidence: Evidence) -> dict[str, bytes]:
    """The message as it came to the reader, by POP3 and by IMAP."""
    pop3 = [
        content
        for each in within(evidence.capture.pop3("host:client-2"), evidence.window("pop3"))
        for content in each.retrieved
    ]
    imap = [
        response.data[response.data.index(b"\n") + 1 :]
        for session in within(evidence.capture.imap("host:client-2"), evidence.window("imap"))
        for command in session.of("FETCH")
        for response in command.responses
        if b"BODY[" in response.data
    ]
    return {"by POP3": pop3[0] if pop3 else b"", "by IMAP": imap[0].removesuffix(b")") if imap else b""}


def _same(way: str, content: bytes, expected: dict[str, Any]) -> Finding:
    read = email.message_from_bytes(content, policy=email.policy.default)
    digests = {}
    for part in read.walk():
        if part.get_content_type() == "text/plain":
            digests["text"] = _digest(part.get_content().replace("\r\n", "\n").encode())
        elif part.get_filename():
            digests["attachment"] = _digest(part.get_content())
    same = [name for name in ("text", "attachment") if digests.get(name) == expected[f"{name}_sha256"]]
    return finding(
        f"mail: read {way} (SHA-256)", "text, attachment", ", ".join(same) or "nothing equal", len(same) == 2
    )


def _webmail(evidence: Evidence, expected: dict[str, Any]) -> Finding:
    """The page shows the text, and the attachment's bytes are the ones sent."""
    seen = within(evidence.capture.http("host:client-2"), evidence.window("webmail"))
    bodies = [each.response.body for each in seen if each.response and each.response.status == 200]
    shown = any(line.encode() in body for body in bodies for line in TEXT.splitlines() if "크레페" in line)
    attached = any(_digest(body) == expected["attachment_sha256"] for body in bodies)
    same = [name for name, is_there in (("text", shown), ("attachment", attached)) if is_there]
    return finding("mail: read in webmail", "text, attachment", ", ".join(same) or "nothing equal", len(same) == 2)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
