"""A protocol defines types of messages, their syntax, and when to send what: six protocols parsed and followed (claim A8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.transport_parts import conversations, rules
from appbed.scenarios.web_parts.asking import grammar, responses
from appbed.verdict import Finding, Verdict, finding, judged

TYPES = {
    "HTTP": ["GET", "200"],
    "DNS": ["query", "response"],
    "SMTP, from its writer": ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"],
    "SMTP, between servers": ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"],
    "POP3": ["CAPA", "AUTH", "RETR", "QUIT"],
    "IMAP": ["CAPABILITY", "AUTHENTICATE", "SELECT", "FETCH", "LOGOUT"],
    "BitTorrent": ["handshake", "interested", "unchoke", "request", "piece", "have"],
}
"""Those that must be seen; BitTorrent has more, which depend on who was quicker."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"types": TYPES, "broken": 0}


def check(evidence: Evidence) -> Verdict:
    found: list[Finding] = []
    for kind in (_http, _dns, _smtp, _pop3, _imap, _bittorrent):
        found += kind(evidence, evidence.prediction["expected"]["types"])
    return judged(found)


def _types(what: str, expected: dict[str, list[str]], seen: Sequence[str]) -> Finding:
    """Every type expected is there, each in the order in which it first came."""
    wanted, told = expected[what], [each for each in dict.fromkeys(seen) if each in expected[what]]
    return finding(f"{what}: types", " ".join(wanted), " ".join(told) or "none", set(told) == set(wanted))


def _rules(what: str, found: Iterable[Iterator[str]]) -> Finding:
    lines = rules.broken(found)
    return finding(f"{what}: rules broken", 0, len(lines), not lines, "; ".join(lines[:3]))


def _ours(evidence: Evidence, what: str, records: Iterable[Any]) -> list[Any]:
    """Those of a conversation that was meant: of its client, with its server, at its port."""
    opening = conversations.OPENINGS[what]
    servers = {evidence.address(server) for server in opening.servers}
    client = evidence.address(opening.client)
    return [
        each
        for each in records
        if each.client.host == client and each.server.host in servers and each.server.port == opening.port
    ]


def _http(evidence: Evidence, expected: dict[str, list[str]]) -> Iterator[Finding]:
    seen: list[HttpExchange] = _ours(evidence, "web", evidence.capture.http("host:client"))
    types = [name for each in seen for name in (each.request.method, str(each.status))]
    yield _types("HTTP", expected, types)
    yield grammar("HTTP: requests that parse", [each.request for each in seen], "request")
    yield grammar("HTTP: responses that parse", responses(seen), "response")
    whole = sum(bool(each.response and each.response.complete and each.end_s > each.start_s) for each in seen)
    yield finding("HTTP: requests answered", len(seen), whole, bool(seen) and whole == len(seen))


def _dns(evidence: Evidence, expected: dict[str, list[str]]) -> Iterator[Finding]:
    client, server = evidence.address("client"), evidence.address("dns")
    seen = [
        each
        for each in evidence.capture.dns("host:client")
        if each.client.host == client and (each.server.host, each.server.port) == (server, 53)
    ]
    messages = [message for each in seen for message in each.messages]
    yield _types("DNS", expected, ["response" if each.is_response else "query" for each in messages])
    sound = sum(not each.fault for each in messages)
    yield finding("DNS: messages that parse", len(messages), sound, bool(messages) and sound == len(messages))
    answered = sum(bool(each.queries and each.responses) and each.messages[0] in each.queries for each in seen)
    yield finding(
        "DNS: queries answered, each by its identifier", len(seen), answered, bool(seen) and answered == len(seen)
    )


def _smtp(evidence: Evidence, expected: dict[str, list[str]]) -> Iterator[Finding]:
    for way, point in (("from its writer", "client"), ("between servers", "mail-crepes")):
        seen = _ours(evidence, f"mail, {way}", evidence.capture.smtp(f"host:{point}"))
        what = f"SMTP, {way}"
        yield _types(what, expected, [verb for each in seen for verb in each.verbs])
        yield _rules(what, map(rules.smtp, seen))


def _pop3(evidence: Evidence, expected: dict[str, list[str]]) -> Iterator[Finding]:
    seen = _ours(evidence, "POP3", evidence.capture.pop3("host:client-2"))
    yield _types("POP3", expected, [command.verb for each in seen for command in each.commands])
    yield _rules("POP3", map(rules.pop3, seen))


def _imap(evidence: Evidence, expected: dict[str, list[str]]) -> Iterator[Finding]:
    seen = _ours(evidence, "IMAP", evidence.capture.imap("host:client-2"))
    yield _types("IMAP", expected, [command.verb for each in seen for command in each.commands])
    yield _rules("IMAP", map(rules.imap, seen))


def _bittorrent(evidence: Evidence, expected: dict[str, list[str]]) -> Iterator[Finding]:
    """Of the peer in the middle; one that names itself to itself hangs up at once."""
    here = evidence.address("peer-1")
    seen = [
        each
        for each in evidence.capture.bittorrent("host:peer-1")
        if here in (each.client.host, each.server.host) and each.client.host != each.server.host
    ]
    asked = [message.receiver.host for each in seen for message in each.of("request") if message.sender.host == here]
    yield _types("BitTorrent", expected, [message.kind for each in seen for message in each.messages])
    seed = evidence.address("seed")
    yield finding(
        "BitTorrent: asked by peer-1", "seed", "seed" if set(asked) == {seed} else asked, set(asked) == {seed}
    )
    yield _rules("BitTorrent", map(rules.bittorrent, seen))


SCENARIO = Scenario(
    about="Messages of HTTP, DNS, SMTP, POP3, IMAP and BitTorrent: types, syntax, and when who sends what",
    topology="internet",
    predict=predict,
    run=conversations.run,
    check=check,
    claims=("A8",),
    capture=conversations.POINTS,
    roles=conversations.ROLES,
    indifferent={
        "times stretched": "what may follow what is an order and no time",
        "one reply changed": "the last byte of a picture belongs to no message's syntax",
    },
)
