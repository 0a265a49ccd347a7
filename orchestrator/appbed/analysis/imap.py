"""IMAP sessions: tagged commands with all that answered them, in the states of RFC 3501."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from appbed.analysis.lines import Line, Lines
from appbed.analysis.session import Session
from appbed.analysis.tcp import Connection

NOT_AUTHENTICATED, AUTHENTICATED, SELECTED, LOGOUT = "not authenticated", "authenticated", "selected", "logout"
_LITERAL = re.compile(rb"\{(\d{1,12})\+?\}\Z")
_TAGGED = re.compile(rb"([A-Za-z0-9._$-]+) (OK|NO|BAD)\b *(.*)", re.IGNORECASE | re.DOTALL)
_GREETING = re.compile(rb"\* (OK|PREAUTH|BYE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImapResponse:
    """An untagged response ("* 3 EXISTS") with its literals in place, without the "* "."""

    data: bytes
    start_s: float
    end_s: float

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ImapCommand:
    """A command, the state it was given in, the untagged responses up to its completion, and that completion.

    `verb` is in capitals, with its UID ("UID FETCH"); `arguments` are as sent, literals in place. `status` is "OK",
    "NO", "BAD" or "" where no completion was seen; `end_s` is the completion's time.
    """

    tag: str
    verb: str
    arguments: bytes = field(repr=False)
    state: str
    responses: tuple[ImapResponse, ...] = field(repr=False)
    status: str
    text: str
    start_s: float
    end_s: float

    @property
    def ok(self) -> bool:
        return self.status == "OK"


@dataclass(frozen=True, slots=True)
class ImapSession(Session):
    """All of one IMAP connection, up to STARTTLS where it comes (`tls`); `unsolicited` belong to no command."""

    greeting: ImapResponse
    commands: tuple[ImapCommand, ...]
    unsolicited: tuple[ImapResponse, ...]
    tls: bool

    @property
    def states(self) -> tuple[str, ...]:
        """The states in the order they were entered, each once."""
        states = [NOT_AUTHENTICATED if self.greeting.text.upper().startswith("OK") else AUTHENTICATED]
        for command in self.commands:
            after = _state_after(command)
            if after and after not in states:
                states.append(after)
        return tuple(states)

    def of(self, verb: str) -> tuple[ImapCommand, ...]:
        """The commands of one verb, with and without UID."""
        return tuple(command for command in self.commands if command.verb.removeprefix("UID ") == verb.upper())


@dataclass(frozen=True, slots=True)
class _Completion:
    """What the server said up to the completion of one tag."""

    status: str = ""
    text: str = ""
    end_s: float | None = None
    responses: tuple[ImapResponse, ...] = ()
    continuations: int = 0


def is_imap(connection: Connection) -> bool:
    """Whether the server greets as IMAP servers do."""
    return bool(_GREETING.match(connection.from_server.read(0, 16)))


def sessions(connections: Iterable[Connection]) -> tuple[ImapSession, ...]:
    """The sessions of all connections that speak IMAP."""
    found = []
    for connection in connections:
        answered = Lines(connection.from_server)
        greeting = _logical_line(answered) if is_imap(connection) else None
        if greeting is not None:
            found.append(_session(connection, _response(answered, greeting), answered))
    return tuple(found)


def _session(connection: Connection, greeting: ImapResponse, answered: Lines) -> ImapSession:
    completions, unsolicited = _completions(answered)
    state = NOT_AUTHENTICATED if greeting.text.upper().startswith("OK") else AUTHENTICATED
    said, commands, tls = Lines(connection.from_client), list[ImapCommand](), False
    while not tls and (line := _logical_line(said)) is not None:
        command, continuations = _command(line, said, completions, state)
        commands.append(command)
        state = _state_after(command) or state
        tls = command.verb == "STARTTLS" and command.ok
        following = {"AUTHENTICATE": continuations, "IDLE": min(continuations, 1)}.get(command.verb, 0)
        for _ in range(following):  # the answers to "+ ...", or the DONE that ends IDLE
            said.line()
    return ImapSession(connection, greeting, tuple(commands), unsolicited, tls)


def _command(line: Line, said: Lines, completions: dict[str, list[_Completion]], state: str) -> tuple[ImapCommand, int]:
    """The command on a line, put together with what answered it, and how many times it was told to go on."""
    tag, _, rest = line.data.partition(b" ")
    verb, _, arguments = rest.partition(b" ")
    if verb.upper() == b"UID":
        second, _, arguments = arguments.partition(b" ")
        verb += b" " + second
    answers = completions.get(tag.decode("latin-1"), [])
    completion = answers.pop(0) if answers else _Completion()
    start_s, end_s = said.stream.seen_s(line.start), said.stream.arrived_s(line.stop - 1)
    command = ImapCommand(
        tag.decode("latin-1"), verb.decode("latin-1").upper(), arguments, state, completion.responses,
        completion.status, completion.text, start_s, end_s if completion.end_s is None else completion.end_s,
    )  # fmt: skip
    return command, completion.continuations


def _completions(answered: Lines) -> tuple[dict[str, list[_Completion]], tuple[ImapResponse, ...]]:
    """The server's side by tag, and the untagged responses after the last completion."""
    found: dict[str, list[_Completion]] = {}
    untagged: list[ImapResponse] = []
    continuations = 0
    while (line := _logical_line(answered)) is not None:
        if line.data.startswith(b"* "):
            untagged.append(_response(answered, line))
        elif line.data.startswith(b"+"):
            continuations += 1
        elif match := _TAGGED.match(line.data):
            tag, status, text = (part.decode("utf-8", "replace") for part in match.groups())
            end_s = answered.stream.arrived_s(line.stop - 1)
            completion = _Completion(status.upper(), text.strip(), end_s, tuple(untagged), continuations)
            found.setdefault(tag, []).append(completion)
            untagged, continuations = [], 0
        else:
            break  # no IMAP any more: TLS after STARTTLS, or nonsense
    return found, tuple(untagged)


def _response(answered: Lines, line: Line) -> ImapResponse:
    stream = answered.stream
    return ImapResponse(line.data[2:], stream.seen_s(line.start), stream.arrived_s(line.stop - 1))


def _logical_line(lines: Lines) -> Line | None:
    """A line and, where it ends in {n}, the n bytes after it and the line that goes on (RFC 3501 section 4.3)."""
    line = lines.line()
    if line is None:
        return None
    parts, tail, stop = [line.data], line.data, line.stop
    while match := _LITERAL.search(tail):
        parts += [b"\r\n", lines.take(int(match[1]))]
        following = lines.line()
        if following is None:
            break
        parts.append(following.data)
        tail, stop = following.data, following.stop
    return Line(b"".join(parts), line.start, stop)


def _state_after(command: ImapCommand) -> str:
    """The state a command leads to, "" where it leaves it as it is."""
    if not command.ok:
        return AUTHENTICATED if command.verb in ("SELECT", "EXAMINE") and command.state == SELECTED else ""
    return {
        "LOGIN": AUTHENTICATED,
        "AUTHENTICATE": AUTHENTICATED,
        "SELECT": SELECTED,
        "EXAMINE": SELECTED,
        "CLOSE": AUTHENTICATED,
        "UNSELECT": AUTHENTICATED,
        "LOGOUT": LOGOUT,
    }.get(command.verb, "")
