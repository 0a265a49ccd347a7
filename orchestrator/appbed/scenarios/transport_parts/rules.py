"""When an application-layer protocol lets whom send what: what of a conversation breaks its rules, one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from appbed.analysis import ImapSession, PeerSession, Pop3Session, SmtpDialogue

_CODE = range(200, 600)
_SMTP = {"EHLO", "HELO", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "VRFY", "QUIT"}
_POP3 = {
    "authorisation": {"CAPA", "USER", "PASS", "APOP", "AUTH", "QUIT"},
    "transaction": {"CAPA", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "NOOP", "RSET", "QUIT"},
}
_IMAP_ANY = {"CAPABILITY", "NOOP", "LOGOUT", "ID"}
_IMAP_AUTHENTICATED = _IMAP_ANY | {"SELECT", "EXAMINE", "LIST", "LSUB", "STATUS", "CREATE", "DELETE", "APPEND"}
_IMAP_AUTHENTICATED |= {"NAMESPACE", "GETQUOTAROOT"}  # RFC 2342, RFC 9208
_IMAP = {
    "not authenticated": _IMAP_ANY | {"LOGIN", "AUTHENTICATE"},
    "authenticated": _IMAP_AUTHENTICATED,
    "selected": _IMAP_AUTHENTICATED
    | {"FETCH", "STORE", "COPY", "MOVE", "SEARCH", "EXPUNGE", "CLOSE", "UNSELECT", "CHECK"},
}
_TAG = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_FIRST = {"bitfield", "have all", "have none"}
_ANYWHERE = {"extended", "keep-alive"}
_UNKNOWN = re.compile(r"type \d+")


def smtp(dialogue: SmtpDialogue) -> Iterator[str]:
    """RFC 5321, sections 4.1.1 and 4.1.4: every command has a reply, and the order is kept."""
    if dialogue.greeting is None or dialogue.greeting.code != 220:
        yield "no greeting"
    for command in dialogue.commands:
        if command.verb not in _SMTP:
            yield f"{command.line!r:.40} is no command"
        if command.reply is None or command.reply.code not in _CODE:
            yield f"{command.verb} without a reply"
    yield from dialogue.violations
    yield from (f"message of {each.sender} without its end" for each in dialogue.messages if not each.complete)


def pop3(session: Pop3Session) -> Iterator[str]:
    """RFC 1939, sections 3 to 6: which command in which state."""
    if session.greeting is None or not session.greeting.ok:
        yield "no greeting"
    for command in session.commands:
        if command.verb not in _POP3[command.phase]:
            yield f"{command.verb!r:.40} in the {command.phase} state"
        if command.reply is None or not command.reply.complete:
            yield f"{command.verb} without a whole reply"


def imap(session: ImapSession) -> Iterator[str]:
    """RFC 3501, sections 3 and 6: which command in which state, every tag completed, none used twice."""
    tags = [command.tag for command in session.commands]
    if len(set(tags)) < len(tags):
        yield "a tag used twice"
    for command in session.commands:
        if not _TAG.fullmatch(command.tag):
            yield f"{command.tag!r:.20} is no tag"
        if command.verb.removeprefix("UID ") not in _IMAP.get(command.state, set()):
            yield f"{command.verb!r:.40} in the {command.state} state"
        if not command.status:
            yield f"{command.verb} without a completion"


def bittorrent(session: PeerSession) -> Iterator[str]:
    """BEP 3 and 6: the handshake first, then what one has, blocks asked for when unchoked, sent when asked for."""
    if session.fault:
        yield session.fault
    for sender in (session.client, session.server):
        kinds = [message.kind for message in session.messages if message.sender == sender]
        yield from _beginning(kinds)
        yield from (f"{kind} is no message" for kind in kinds if _UNKNOWN.fullmatch(kind))
    yield from _blocks(session)


def _beginning(said: list[str]) -> Iterator[str]:
    """What one has is told right after the handshake; what belongs to no piece may stand in between (BEP 10)."""
    kinds = [kind for kind in said if kind not in _ANYWHERE]
    if kinds[:1] != ["handshake"] or kinds.count("handshake") > 1:
        yield f"begins with {', '.join(kinds[:2]) or 'nothing'}"
    yield from (
        f"{kind} later than the first message" for kind in kinds[2:] if kind in _FIRST and kind not in kinds[1:2]
    )


def _blocks(session: PeerSession) -> Iterator[str]:
    """Each side as the other one knows it: choked at first, what it asked for not yet sent."""
    open_to, asked = set(), set()
    for message in session.messages:
        block = (message.piece, message.begin, message.length)
        if message.kind == "unchoke":
            open_to.add(message.receiver)
        elif message.kind == "request":
            asked.add((message.sender, block))
            if message.sender not in open_to:
                yield f"request of {block} while choked"
        elif message.kind == "piece" and (message.receiver, block) not in asked:
            yield f"{block} sent without a request"


def broken(found: Iterable[Iterator[str]]) -> list[str]:
    """What breaks the rules in any of several conversations."""
    return [line for lines in found for line in lines]
