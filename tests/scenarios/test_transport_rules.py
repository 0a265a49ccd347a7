"""What breaks the rules of a protocol is found, and what keeps them is not: conversations of a few messages, made by hand."""

from __future__ import annotations

from types import SimpleNamespace as Fake
from typing import Any

import pytest

from appbed.analysis import PeerMessage
from appbed.analysis.tcp import Endpoint
from appbed.scenarios.transport_parts import rules

HERE, THERE = Endpoint("10.77.7.11", 40_000), Endpoint("10.77.7.10", 6881)
BLOCK = {"piece": 0, "begin": 0, "length": 16_384}


def said(kind: str, sender: Endpoint = HERE, **block: int) -> PeerMessage:
    return PeerMessage(sender, THERE if sender == HERE else HERE, kind, 0.0, 0.0, **block)


HANDSHAKES = [said("handshake"), said("handshake", THERE), said("have none"), said("have all", THERE)]
UNCHOKED = [*HANDSHAKES, said("interested"), said("unchoke", THERE)]
TRANSFER = [*UNCHOKED, said("request", **BLOCK), said("piece", THERE, **BLOCK), said("have", piece=0)]


def between_peers(messages: list[PeerMessage], fault: str = "") -> list[str]:
    session: Any = Fake(client=HERE, server=THERE, messages=tuple(messages), fault=fault)
    return list(rules.bittorrent(session))


def test_a_transfer_between_peers_breaks_nothing() -> None:
    assert between_peers(TRANSFER) == []
    assert between_peers([TRANSFER[0], said("extended"), *TRANSFER[1:]]) == []


@pytest.mark.parametrize(
    ("messages", "because"),
    [
        (TRANSFER[1:], "begins with have none, interested"),
        ([*TRANSFER, said("handshake")], "begins with handshake, have none"),
        ([*TRANSFER, said("bitfield")], "bitfield later than the first message"),
        ([*HANDSHAKES, said("request", **BLOCK)], "request of (0, 0, 16384) while choked"),
        ([*UNCHOKED, said("piece", THERE, **BLOCK)], "(0, 0, 16384) sent without a request"),
        ([*TRANSFER, said("type 99")], "type 99 is no message"),
    ],
)
def test_what_peers_may_not_send_is_found(messages: list[PeerMessage], because: str) -> None:
    assert because in between_peers(messages)


def test_what_cannot_be_followed_is_found() -> None:
    assert between_peers(TRANSFER, "byte 99: a message of 2000000000 bytes") == [
        "byte 99: a message of 2000000000 bytes"
    ]


def command(verb: str, **more: Any) -> Any:
    reply = Fake(code=250, complete=True, ok=True)
    return Fake(**{"verb": verb, "line": verb, "reply": reply, "tag": "A1", "status": "OK", **more})


def by_smtp(*commands: Any, violations: tuple[str, ...] = (), greeting: int = 220) -> list[str]:
    dialogue: Any = Fake(greeting=Fake(code=greeting), commands=commands, violations=violations, messages=())
    return list(rules.smtp(dialogue))


def test_rules_of_smtp() -> None:
    assert by_smtp(command("EHLO"), command("MAIL"), command("QUIT")) == []
    assert by_smtp(command("HELLO")) == ["'HELLO' is no command"]
    assert by_smtp(command("EHLO", reply=None)) == ["EHLO without a reply"]
    assert by_smtp(command("EHLO"), greeting=554) == ["no greeting"]
    assert by_smtp(command("DATA"), violations=("DATA without RCPT",)) == ["DATA without RCPT"]


def by_pop3(*commands: Any) -> list[str]:
    session: Any = Fake(greeting=Fake(ok=True), commands=commands)
    return list(rules.pop3(session))


def test_rules_of_pop3() -> None:
    assert by_pop3(command("USER", phase="authorisation"), command("RETR", phase="transaction")) == []
    assert by_pop3(command("RETR", phase="authorisation")) == ["'RETR' in the authorisation state"]
    cut = command("RETR", phase="transaction", reply=Fake(complete=False))
    assert by_pop3(cut) == ["RETR without a whole reply"]


def by_imap(*commands: Any) -> list[str]:
    session: Any = Fake(commands=commands)
    return list(rules.imap(session))


def test_rules_of_imap() -> None:
    login, fetch = command("LOGIN", state="not authenticated"), command("UID FETCH", state="selected", tag="A2")
    assert by_imap(login, fetch) == []
    assert by_imap(command("FETCH", state="authenticated")) == ["'FETCH' in the authenticated state"]
    assert by_imap(command("NAMESPACE", state="authenticated")) == []
    assert by_imap(command("NAMESPACE", state="not authenticated")) == ["'NAMESPACE' in the not authenticated state"]
    assert by_imap(login, login) == ["a tag used twice"]
    assert by_imap(command("LOGIN", state="not authenticated", status="")) == ["LOGIN without a completion"]
    assert by_imap(command("LOGIN", state="not authenticated", tag="(")) == ["'(' is no tag"]
