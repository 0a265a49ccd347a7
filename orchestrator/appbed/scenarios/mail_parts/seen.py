"""What packets show of mail on its way: dialogues by who opened them and where they led, and the messages they carried."""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from email.message import EmailMessage
from typing import cast

from appbed.analysis import ImapSession, Pop3Session, SmtpDialogue, SmtpMessage
from appbed.evidence import Evidence, within
from appbed.scenarios.mail_parts.post import CREPES
from appbed.scenarios.transport_parts import rules
from appbed.verdict import Finding, finding

SMTP, SUBMISSION, POP3, IMAP = 25, 587, 110, 143
PLAIN = "text/plain"
_QUEUED = re.compile(r"queued as (\S+)")
_BY = re.compile(r"by (\S+) \(Postfix\).* id (\S+)", re.DOTALL)


def equal(what: str, expected: object, seen: object) -> Finding:
    """Exactly what was expected."""
    return finding(what, _shown(expected), _shown(seen), expected == seen)


def _shown(value: object) -> object:
    """Lists as people write them."""
    if not isinstance(value, list | tuple):
        return value
    between = "; " if any(isinstance(each, list | tuple) for each in value) else ", "
    return between.join(str(_shown(each)) for each in value) or "nothing"


def dialogues(
    evidence: Evidence, point: str, client: str, port: int = SMTP, step: str | None = None
) -> list[SmtpDialogue]:
    """Those a host opened to that port, whoever is there; in a step, or all."""
    seen: Sequence[SmtpDialogue] = evidence.capture.smtp(f"host:{point}")
    if step is not None:
        seen = within(seen, evidence.window(step))
    address = evidence.address(client)
    return [each for each in seen if each.client.host == address and each.server.port == port]


def submitted(evidence: Evidence, step: str | None = None) -> list[SmtpDialogue]:
    """By alice's user agent, to her own server."""
    found = dialogues(evidence, "client", "client", SUBMISSION, step)
    return [each for each in found if each.server.host == evidence.address(CREPES)]


def pushed(evidence: Evidence, step: str | None = None) -> list[SmtpDialogue]:
    """What alice's server opened to other servers."""
    return dialogues(evidence, CREPES, CREPES, SMTP, step)


def carried(found: Iterable[SmtpDialogue]) -> list[SmtpMessage]:
    """The messages that were taken."""
    return [message for each in found for message in each.messages if message.accepted]


def spoken(dialogue: SmtpDialogue) -> list[str]:
    """["220", "EHLO 250", ..., "DATA 354", ". 250", "QUIT 221"]: who said what, with the code of the answer."""
    said = [str(dialogue.greeting.code) if dialogue.greeting else "nothing"]
    messages = iter(dialogue.messages)
    for command in dialogue.commands:
        said.append(f"{command.verb or '?'} {command.reply.code if command.reply else 'nothing'}")
        if command.verb == "DATA" and command.reply and command.reply.code == 354:
            message = next(messages, None)
            said.append(f". {message.reply.code if message and message.reply else 'nothing'}")
    return said


def queue_numbers(found: Iterable[SmtpDialogue]) -> list[str]:
    """What the server that took a message calls it in its queue ("250 2.0.0 Ok: queued as ...")."""
    said = [message.reply.lines[-1] for message in carried(found) if message.reply]
    return [match[1] for line in said if (match := _QUEUED.search(line))]


def passed_queues(message: SmtpMessage) -> list[tuple[str, str]]:
    """The servers whose queues a message went through and its number there, the latest first, as it says itself."""
    lines = message.email.get_all("Received", [])
    return [(match[1], match[2]) for line in lines if (match := _BY.search(str(line)))]


def pop3_sessions(evidence: Evidence, point: str, step: str | None = None) -> list[Pop3Session]:
    """Those a client had, as its own interface saw them."""
    seen: Sequence[Pop3Session] = evidence.capture.pop3(f"host:{point}")
    chosen = seen if step is None else within(seen, evidence.window(step))
    return [each for each in chosen if each.client.host == evidence.address(point) and each.server.port == POP3]


def imap_sessions(evidence: Evidence, point: str) -> list[ImapSession]:
    """Those a client had, as its own interface saw them."""
    seen = evidence.capture.imap(f"host:{point}")
    return [each for each in seen if each.client.host == evidence.address(point) and each.server.port == IMAP]


def retrieved(found: Iterable[Pop3Session]) -> list[bytes]:
    return [content for each in found for content in each.retrieved]


def smtp_ruled(what: str, found: Iterable[SmtpDialogue]) -> Finding:
    return _ruled(what, map(rules.smtp, found))


def pop3_ruled(what: str, found: Iterable[Pop3Session]) -> Finding:
    return _ruled(what, map(rules.pop3, found))


def imap_ruled(what: str, found: Iterable[ImapSession]) -> Finding:
    return _ruled(what, map(rules.imap, found))


def _ruled(what: str, broken: Iterable[Iterator[str]]) -> Finding:
    """Every command has a whole answer and comes when the protocol lets it."""
    lines = rules.broken(broken)
    return finding(f"{what}: rules broken", 0, len(lines), not lines, "; ".join(lines[:3]))


def parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)


def leaves(content: bytes) -> list[tuple[str, str]]:
    """Type and SHA-256 of each part that has no parts, decoded; the lines of a plain text end as Python's do."""
    found = []
    for part in parsed(content).walk():
        if not part.is_multipart():
            kind, data = part.get_content_type(), cast(bytes, part.get_payload(decode=True) or b"")
            found.append((kind, digest(data.replace(b"\r\n", b"\n") if kind == PLAIN else data)))
    return found


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
