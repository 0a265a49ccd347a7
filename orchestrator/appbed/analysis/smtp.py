"""SMTP dialogues: commands with their replies, and the messages they carried; parsed here, messages by `email`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy

from appbed.analysis.lines import Line, Lines
from appbed.analysis.session import Session
from appbed.analysis.stream import Stream
from appbed.analysis.tcp import Connection

PORTS = (25, 587)
_OPENING = re.compile(rb"(EHLO|HELO|LHLO|MAIL|NOOP|RSET|QUIT|STARTTLS)\b", re.IGNORECASE)
_PATH = re.compile(r"<([^>]*)>")


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """A reply of one or more lines: "250-..." up to "250 ..."."""

    code: int
    lines: tuple[str, ...]
    start_s: float
    end_s: float

    @property
    def positive(self) -> bool:
        """2xx, or 3xx: go on."""
        return 200 <= self.code < 400


@dataclass(frozen=True, slots=True)
class SmtpCommand:
    """A command line and the reply to it; `verb` in capitals, "" for what is no command."""

    verb: str
    argument: str
    start_s: float
    end_s: float
    reply: SmtpReply | None

    @property
    def line(self) -> str:
        return f"{self.verb} {self.argument}".rstrip()

    @property
    def path(self) -> str:
        """The address of MAIL FROM:<...> or RCPT TO:<...>."""
        match = _PATH.search(self.argument)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class SmtpMessage:
    """A message handed over: envelope, content without the doubled dots, and the reply that took or refused it."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    start_s: float
    end_s: float
    complete: bool
    reply: SmtpReply | None

    @property
    def accepted(self) -> bool:
        return self.reply is not None and self.reply.code == 250

    @property
    def is_seven_bit(self) -> bool:
        """No octet above 127 (RFC 5321 section 2.3.1)."""
        return self.content.isascii()

    @property
    def email(self) -> EmailMessage:
        """Header lines and parts, by the standard library."""
        parsed = message_from_bytes(self.content, _class=EmailMessage, policy=default_policy)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass(frozen=True, slots=True)
class SmtpDialogue(Session):
    """All of one SMTP connection, up to STARTTLS where it comes (`tls`); `messages` count its transactions.

    `violations` name what breaks the order of RFC 5321 section 4.1.4 and was answered as if it did not.
    """

    greeting: SmtpReply | None
    commands: tuple[SmtpCommand, ...]
    messages: tuple[SmtpMessage, ...]
    violations: tuple[str, ...]
    tls: bool

    @property
    def verbs(self) -> tuple[str, ...]:
        """The commands' verbs in order: ("EHLO", "MAIL", "RCPT", "DATA", "QUIT")."""
        return tuple(command.verb for command in self.commands)


def is_smtp(connection: Connection) -> bool:
    """Whether the server greets with a 220 and the client answers as SMTP clients do, or the port says so."""
    if connection.from_server.read(0, 4) not in (b"220 ", b"220-", b"554 ", b"421 "):
        return False
    opening = connection.from_client.read(0, 16)
    return bool(_OPENING.match(opening)) or (connection.server.port in PORTS and not opening)


def dialogues(connections: Iterable[Connection]) -> tuple[SmtpDialogue, ...]:
    """The dialogues of all connections that speak SMTP."""
    return tuple(_Dialogue(connection).read() for connection in connections if is_smtp(connection))


class _Dialogue:
    """Walks along both directions of a connection, reply by command."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._said, self._answered = Lines(connection.from_client), Lines(connection.from_server)
        self._commands: list[SmtpCommand] = []
        self._messages: list[SmtpMessage] = []
        self._violations: list[str] = []
        self._greeted = False
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._chunks: list[tuple[int, bytes]] = []

    def read(self) -> SmtpDialogue:
        greeting, tls = _reply(self._answered), False
        while not tls and (line := self._said.line()) is not None:
            verb, argument = _verb(line)
            chunk = self._said.take(_chunk_bytes(argument)) if verb == "BDAT" else b""
            stream = self._said.stream
            start_s, end_s = stream.seen_s(line.start), stream.arrived_s(self._said.at - 1)
            command = SmtpCommand(verb, argument, start_s, end_s, _reply(self._answered))
            self._commands.append(command)
            self._check_order(command)
            self._follow(command, line, chunk)
            tls = verb == "STARTTLS" and command.reply is not None and command.reply.code == 220
        return SmtpDialogue(
            self._connection, greeting, tuple(self._commands), tuple(self._messages), tuple(self._violations), tls
        )

    def _follow(self, command: SmtpCommand, line: Line, chunk: bytes) -> None:
        """What a command changes once it is granted."""
        reply, verb = command.reply, command.verb
        if verb == "DATA" and (reply is None or reply.code == 354):
            start, (content, complete) = self._said.at, self._said.until_dot()
            if self._said.at > start:
                self._message(start, content, complete, _reply(self._answered))
        elif verb == "BDAT":
            self._chunks.append((line.start, chunk))
            if command.argument.upper().endswith("LAST"):
                content = b"".join(data for _, data in self._chunks)
                self._message(self._chunks[0][0], content, len(chunk) == _chunk_bytes(command.argument), reply)
        elif verb == "AUTH":
            while reply is not None and reply.code == 334 and self._said.line() is not None:
                reply = _reply(self._answered)
        elif reply is not None and reply.positive:
            if verb in ("EHLO", "HELO", "LHLO", "RSET"):
                self._greeted = self._greeted or verb != "RSET"
                self._forget()
            elif verb == "MAIL":
                self._sender = command.path
            elif verb == "RCPT":
                self._recipients.append(command.path)

    def _message(self, start: int, content: bytes, complete: bool, reply: SmtpReply | None) -> None:
        stream = self._said.stream
        start_s, end_s = stream.seen_s(start), stream.arrived_s(self._said.at - 1)
        envelope = (self._sender or "", tuple(self._recipients))
        self._messages.append(SmtpMessage(*envelope, content, start_s, end_s, complete, reply))
        self._forget()

    def _forget(self) -> None:
        self._sender, self._recipients, self._chunks = None, [], []

    def _check_order(self, command: SmtpCommand) -> None:
        """RFC 5321 section 4.1.4, for what was granted: a refusal of a wrong order is right."""
        if command.reply is None or not command.reply.positive:
            return
        missing = {
            "MAIL": "" if self._greeted else "EHLO",
            "RCPT": "" if self._sender is not None else "MAIL",
            "DATA": "" if self._recipients else "RCPT",
        }.get(command.verb, "")
        if missing:
            self._violations.append(f"{command.verb} without {missing}")


def _verb(line: Line) -> tuple[str, str]:
    verb, _, argument = line.text.partition(" ")
    return (verb.upper(), argument) if verb.isascii() and verb.isalnum() else ("", line.text)


def _chunk_bytes(argument: str) -> int:
    """The size in "BDAT 1000 LAST" (RFC 3030)."""
    digits = argument.split(" ")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0


def _reply(answered: Lines) -> SmtpReply | None:
    """The next reply; None where the server said no more."""
    lines: list[str] = []
    start = answered.at
    while (line := answered.line()) is not None:
        lines.append(line.text[4:])
        if line.data[3:4] != b"-":
            code = int(line.data[:3]) if line.data[:3].isdigit() and len(line.data) >= 3 else 0
            stream: Stream = answered.stream
            return SmtpReply(code, tuple(lines), stream.seen_s(start), stream.arrived_s(line.stop - 1))
    return None
