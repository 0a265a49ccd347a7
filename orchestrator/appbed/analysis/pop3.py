"""POP3 sessions: commands with their replies, in the phases of RFC 1939: authorisation, transaction, update."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from appbed.analysis.lines import Line, Lines
from appbed.analysis.session import Session
from appbed.analysis.tcp import Connection

PORT = 110
AUTHORISATION, TRANSACTION, UPDATE = "authorisation", "transaction", "update"
_OPENING = re.compile(rb"(CAPA|USER|APOP|AUTH|STLS|QUIT)\b", re.IGNORECASE)
_MULTI_LINE = ("RETR", "TOP", "CAPA")
_MULTI_LINE_WITHOUT_ARGUMENT = ("LIST", "UIDL")


@dataclass(frozen=True, slots=True)
class Pop3Reply:
    """ "+OK text" or "-ERR text"; `content` is what follows in a multi-line reply, doubled dots undone."""

    ok: bool
    text: str
    content: bytes = field(repr=False)
    complete: bool
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Pop3Command:
    """A command, the phase it was given in, and its reply."""

    verb: str
    argument: str
    phase: str
    start_s: float
    end_s: float
    reply: Pop3Reply | None

    @property
    def ok(self) -> bool:
        return self.reply is not None and self.reply.ok


@dataclass(frozen=True, slots=True)
class Pop3Session(Session):
    """All of one POP3 connection, up to STLS where it comes (`tls`)."""

    greeting: Pop3Reply | None
    commands: tuple[Pop3Command, ...]
    tls: bool

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases in the order they were entered; update only follows a QUIT in the transaction phase."""
        phases = dict.fromkeys(command.phase for command in self.commands) or {AUTHORISATION: None}
        last = self.commands[-1] if self.commands else None
        if last is not None and last.ok and last.phase == AUTHORISATION and last.verb in ("PASS", "APOP", "AUTH"):
            phases[TRANSACTION] = None
        if self.updated:
            phases[UPDATE] = None
        return tuple(phases)

    @property
    def updated(self) -> bool:
        """Whether the session ended with a QUIT that makes the deletions real (claim M9)."""
        return any(command.verb == "QUIT" and command.phase == TRANSACTION and command.ok for command in self.commands)

    @property
    def marked(self) -> tuple[str, ...]:
        """The message numbers marked as deleted at the end, those that RSET took back left out."""
        marked: dict[str, None] = {}
        for command in self.commands:
            if command.verb == "DELE" and command.ok:
                marked[command.argument.strip()] = None
            elif command.verb == "RSET" and command.ok:
                marked.clear()
        return tuple(marked)

    @property
    def deleted(self) -> tuple[str, ...]:
        """The message numbers the server has deleted: the marked ones, once the update phase was reached."""
        return self.marked if self.updated else ()

    @property
    def retrieved(self) -> tuple[bytes, ...]:
        """The messages sent in answer to RETR."""
        return tuple(c.reply.content for c in self.commands if c.verb == "RETR" and c.reply is not None and c.reply.ok)


def is_pop3(connection: Connection) -> bool:
    """Whether the server greets with +OK and the client answers as POP3 clients do, or the port says so."""
    if connection.from_server.read(0, 3) != b"+OK":
        return False
    return connection.server.port == PORT or bool(_OPENING.match(connection.from_client.read(0, 8)))


def sessions(connections: Iterable[Connection]) -> tuple[Pop3Session, ...]:
    """The sessions of all connections that speak POP3."""
    return tuple(_session(connection) for connection in connections if is_pop3(connection))


def _session(connection: Connection) -> Pop3Session:
    said, answered = Lines(connection.from_client), Lines(connection.from_server)
    greeting, phase, tls = _reply(answered, False), AUTHORISATION, False
    commands: list[Pop3Command] = []
    while not tls and (line := said.line()) is not None:
        command = _command(line, phase, said, answered)
        commands.append(command)
        if command.ok and command.verb in ("PASS", "APOP", "AUTH"):
            phase = TRANSACTION
        tls = command.ok and command.verb == "STLS"
    return Pop3Session(connection, greeting, tuple(commands), tls)


def _command(line: Line, phase: str, said: Lines, answered: Lines) -> Pop3Command:
    verb, _, argument = line.text.partition(" ")
    verb = verb.upper()
    multi_line = verb in _MULTI_LINE or (verb in _MULTI_LINE_WITHOUT_ARGUMENT and not argument.strip())
    reply = _reply(answered, multi_line or (verb == "AUTH" and not argument))
    if verb == "AUTH":  # the server asks with "+ ...", the client answers with a line (RFC 5034)
        while reply is not None and not reply.ok and reply.text.startswith("+ ") and said.line() is not None:
            reply = _reply(answered, False)
    start_s, end_s = said.stream.seen_s(line.start), said.stream.arrived_s(line.stop - 1)
    return Pop3Command(verb, argument, phase, start_s, end_s, reply)


def _reply(answered: Lines, multi_line: bool) -> Pop3Reply | None:
    line = answered.line()
    if line is None:
        return None
    ok = line.data.startswith(b"+OK")
    content, complete = answered.until_dot() if ok and multi_line else (b"", True)
    status, _, text = line.text.partition(" ")
    stream, stop = answered.stream, max(answered.at, line.stop)
    times = (stream.seen_s(line.start), stream.arrived_s(stop - 1))
    return Pop3Reply(ok, text.strip() if status in ("+OK", "-ERR") else line.text, content, complete, *times)
