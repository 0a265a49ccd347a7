"""POP3 phases and IMAP states, from scripts of both sides."""

from __future__ import annotations

import pytest
from traffic import SERVER, Talk, pcap

from appbed.analysis import Capture, ImapSession, Pop3Session

LOGIN = (
    ("server", b"+OK ready\r\n"),
    ("client", b"USER bob\r\n"),
    ("server", b"+OK\r\n"),
    ("client", b"PASS hungry\r\n"),
    ("server", b"+OK user successfully logged on\r\n"),
)
QUIT = (("client", b"QUIT\r\n"), ("server", b"+OK bye\r\n"))


def capture(port: int, script: tuple[tuple[str, bytes], ...]) -> Capture:
    talk = Talk(server=(SERVER, port)).open()
    for who, data in script:
        talk.say(who, data)
    return Capture.open(pcap(talk.frames))


def pop3(*script: tuple[str, bytes]) -> Pop3Session:
    (found,) = capture(110, script).pop3()
    return found


def imap(*script: tuple[str, bytes]) -> ImapSession:
    (found,) = capture(143, script).imap()
    return found


def test_download_and_delete() -> None:
    found = pop3(
        *LOGIN,
        ("client", b"LIST\r\n"),
        ("server", b"+OK\r\n1 498\r\n2 912\r\n.\r\n"),
        ("client", b"RETR 1\r\n"),
        ("server", b"+OK\r\nSubject: a\r\n\r\n..dot\r\n.\r\n"),
        ("client", b"DELE 1\r\n"),
        ("server", b"+OK\r\n"),
        ("client", b"RETR 3\r\n"),
        ("server", b"-ERR no such message\r\n"),
        *QUIT,
    )
    assert [command.verb for command in found.commands] == ["USER", "PASS", "LIST", "RETR", "DELE", "RETR", "QUIT"]
    assert [command.ok for command in found.commands] == [True] * 5 + [False, True]
    assert found.phases == ("authorisation", "transaction", "update")
    assert [command.phase for command in found.commands[:3]] == ["authorisation", "authorisation", "transaction"]
    assert found.retrieved == (b"Subject: a\r\n\r\n.dot\r\n",)
    listing = found.commands[2].reply
    assert listing is not None
    assert (listing.content, listing.complete) == (b"1 498\r\n2 912\r\n", True)
    assert (found.deleted, found.updated) == (("1",), True)
    assert found.commands[5].reply is not None
    assert found.commands[5].reply.text == "no such message"


def test_marks_undone_by_reset_or_by_a_lost_connection() -> None:
    marks = (("client", b"DELE 1\r\n"), ("server", b"+OK\r\n"), ("client", b"DELE 2\r\n"), ("server", b"+OK\r\n"))
    reset = (("client", b"RSET\r\n"), ("server", b"+OK\r\n"))
    lost = pop3(*LOGIN, *marks)
    assert (lost.marked, lost.deleted, lost.phases) == (("1", "2"), (), ("authorisation", "transaction"))
    assert pop3(*LOGIN, *marks, *reset, *QUIT).deleted == ()
    assert pop3(*LOGIN, *marks, *reset, *marks[:2], *QUIT).deleted == ("1",)


def test_a_refused_password_enters_no_phase() -> None:
    found = pop3(*LOGIN[:4], ("server", b"-ERR no\r\n"), *QUIT)
    assert (found.phases, found.updated) == (("authorisation",), False)
    assert pop3(*LOGIN).phases == ("authorisation", "transaction")


def test_pop3_authentication_in_steps_and_stls() -> None:
    found = pop3(
        LOGIN[0],
        ("client", b"AUTH PLAIN\r\n"),
        ("server", b"+ \r\n"),
        ("client", b"AGJvYgBo\r\n"),
        ("server", b"+OK\r\n"),
        ("client", b"STAT\r\n"),
        ("server", b"+OK 2 320\r\n"),
    )
    assert [(command.verb, command.phase) for command in found.commands] == [
        ("AUTH", "authorisation"),
        ("STAT", "transaction"),
    ]
    secret = pop3(LOGIN[0], ("client", b"STLS\r\n"), ("server", b"+OK\r\n"), ("client", b"\x16\x03\x01\n\n"))
    assert (secret.tls, len(secret.commands)) == (True, 1)


IMAP_LOGIN = (
    ("server", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
    ("client", b"a1 LOGIN bob hungry\r\n"),
    ("server", b"a1 OK logged in\r\n"),
)


def test_states_and_responses() -> None:
    found = imap(
        *IMAP_LOGIN,
        ("client", b"a2 SELECT INBOX\r\n"),
        ("server", b"* 2 EXISTS\r\n* FLAGS (\\Seen)\r\na2 OK [READ-WRITE] done\r\n"),
        ("client", b"a3 uid fetch 1 BODY[1]\r\n"),
        ("server", b"* 1 FETCH (UID 1 BODY[1] {12}\r\na3 OK (no)\r\n)\r\na3 OK fetched\r\n"),
        ("client", b"a4 UID MOVE 1 Archive\r\n"),
        ("server", b"a4 NO there is no such folder\r\n"),
        ("client", b"a5 CLOSE\r\na6 LOGOUT\r\n"),
        ("server", b"a5 OK\r\n* BYE\r\na6 OK bye\r\n"),
    )
    assert [(command.verb, command.status) for command in found.commands] == [
        ("LOGIN", "OK"),
        ("SELECT", "OK"),
        ("UID FETCH", "OK"),
        ("UID MOVE", "NO"),
        ("CLOSE", "OK"),
        ("LOGOUT", "OK"),
    ]
    assert found.states == ("not authenticated", "authenticated", "selected", "logout")
    assert [command.state for command in found.commands] == [
        "not authenticated",
        "authenticated",
        "selected",
        "selected",
        "selected",
        "authenticated",
    ]
    assert [response.text for response in found.commands[1].responses] == ["2 EXISTS", "FLAGS (\\Seen)"]
    (fetched,) = found.of("fetch")
    assert (fetched.arguments, fetched.text) == (b"1 BODY[1]", "fetched")
    assert fetched.responses[0].data == b"1 FETCH (UID 1 BODY[1] {12}\r\na3 OK (no)\r\n)"
    assert [response.text for response in found.commands[-1].responses] == ["BYE"]


@pytest.mark.parametrize("plus", [b"", b"+"])
def test_literals_of_the_client(plus: bytes) -> None:
    found = imap(
        *IMAP_LOGIN,
        ("client", b"a2 APPEND INBOX {12%s}\r\n" % plus),
        *((("server", b"+ go on\r\n"),) if not plus else ()),
        ("client", b"a9 LOGOUT\r\nx\r\na3 NOOP\r\n"),
        ("server", b"a2 OK\r\na3 OK\r\n"),
    )
    assert [command.verb for command in found.commands] == ["LOGIN", "APPEND", "NOOP"]
    assert found.commands[1].arguments.endswith(b"}\r\na9 LOGOUT\r\nx")


def test_authenticate_idle_and_preauth() -> None:
    found = imap(
        IMAP_LOGIN[0],
        ("client", b"a1 AUTHENTICATE PLAIN\r\n"),
        ("server", b"+ \r\n"),
        ("client", b"AGJvYgBo\r\n"),
        ("server", b"a1 OK\r\n"),
        ("client", b"a2 IDLE\r\n"),
        ("server", b"+ idling\r\n* 3 EXISTS\r\n"),
        ("client", b"DONE\r\n"),
        ("server", b"a2 OK\r\n* 4 EXISTS\r\n"),
    )
    assert [command.verb for command in found.commands] == ["AUTHENTICATE", "IDLE"]
    assert [response.text for response in found.commands[1].responses] == ["3 EXISTS"]
    assert [response.text for response in found.unsolicited] == ["4 EXISTS"]
    assert imap(("server", b"* PREAUTH hello\r\n"), ("client", b"a NOOP\r\n")).states == ("authenticated",)


def test_starttls_ends_what_can_be_read() -> None:
    found = imap(
        IMAP_LOGIN[0],
        ("client", b"a1 STARTTLS\r\n"),
        ("server", b"a1 OK\r\n"),
        ("client", b"\x16\x03\x01\r\nb LOGOUT\r\n"),
        ("server", b"\x16\x03\x03\r\nb OK\r\n"),
    )
    assert (found.tls, [command.verb for command in found.commands]) == (True, ["STARTTLS"])
