"""What happened, message by message, in the words of a textbook's figure: the material of a ladder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from appbed.analysis.capture import Capture, Conversation
from appbed.analysis.dns_message import DnsMessage
from appbed.analysis.http import HttpExchange
from appbed.analysis.smtp import SmtpCommand
from appbed.analysis.tcp import Connection

_Record = TypeVar("_Record", bound=Conversation)


@dataclass(frozen=True, slots=True)
class Step:
    """One message from a host to another, first seen at a point at a time (seconds since 1970).

    `answers_s` is the time of the message it answers, at the same point, where it closes a round trip.
    """

    point: str
    time_s: float
    source: str
    destination: str
    label: str
    protocol: str
    answers_s: float | None = None


def _chosen(
    capture: Capture, records: Callable[[str | None], tuple[_Record, ...]], point: str | None
) -> tuple[_Record, ...]:
    """The records of one point, or of the best point for each conversation."""
    return capture.once(records(None)) if point is None else records(point)


def dns_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """Queries and responses, with what a response says: an answer, a referral or an error."""
    for transaction in _chosen(capture, capture.dns, point):
        asked_s = transaction.queries[-1].time_s if transaction.queries else None
        for message in transaction.messages:
            answers_s = asked_s if message is transaction.response else None
            ends = (message.source.host, message.destination.host)
            yield Step(message.point, message.time_s, *ends, _dns_label(message), "dns", answers_s)


def _dns_label(message: DnsMessage) -> str:
    question = message.question
    asked = f"{question.type} {question.name}" if question else "?"
    if not message.is_response:
        return {5: f"UPDATE {question.name if question else ''}", 4: f"NOTIFY {asked}"}.get(message.opcode, f"{asked}?")
    if message.rcode != "NOERROR":
        return f"{message.rcode} {question.name if question else ''}".rstrip()
    if message.answer:
        more = f" +{len(message.answer) - 1}" if len(message.answer) > 1 else ""
        asked_for = (record for record in message.answer if question and record.type == question.type)
        shown = next(asked_for, message.answer[-1])
        return f"{shown.type} = {shown.value}{more}"
    referral = next((record for record in message.authority if record.type == "NS"), None)
    if referral is not None:
        return f"ask {referral.value} for {referral.name}"
    return f"no {asked}" if message.opcode == 0 else "done"


def http_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """Requests with method and path, responses with status and size."""
    for exchange in _chosen(capture, capture.http, point):
        yield from _exchange_steps(exchange)


def _exchange_steps(exchange: HttpExchange) -> Iterator[Step]:
    request, response = exchange.request, exchange.response
    client, server = exchange.client.host, exchange.server.host
    asked_s = request.start_s if request.method else None
    if asked_s is not None:
        shown = request.url if request.is_proxy_request else request.target
        yield Step(exchange.point, asked_s, client, server, f"{request.method} {shown}", "http")
    for answer in (*exchange.informational, *((response,) if response is not None else ())):
        size = f", {answer.body_bytes} bytes" if answer.body_bytes else ""
        label = f"{answer.status or answer.version} {answer.reason}".rstrip() + size
        yield Step(exchange.point, answer.start_s, server, client, label, "http", asked_s)
        asked_s = None


def smtp_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """The greeting, commands without the credentials in them, and replies, and the message between."""
    for dialogue in _chosen(capture, capture.smtp, point):
        at, client, server = dialogue.point, dialogue.client.host, dialogue.server.host
        if dialogue.greeting is not None:
            greeting = f"{dialogue.greeting.code} {dialogue.greeting.lines[0]}"
            yield Step(at, dialogue.greeting.start_s, server, client, greeting, "smtp")
        parts = [(_smtp_label(command), command.start_s, command.reply) for command in dialogue.commands]
        parts += [
            (f"message, {len(message.content)} bytes", message.start_s, message.reply) for message in dialogue.messages
        ]
        for label, start_s, reply in parts:
            yield Step(at, start_s, client, server, label, "smtp")
            if reply is not None:
                answer = f"{reply.code} {reply.lines[-1]}".rstrip()
                yield Step(at, reply.start_s, server, client, answer, "smtp", start_s)


def _smtp_label(command: SmtpCommand) -> str:
    """RFC 4954: what follows the mechanism of AUTH is name and password."""
    mechanism, credentials, _ = command.argument.partition(" ")
    return f"AUTH {mechanism} ****" if command.verb == "AUTH" and credentials else command.line


def pop3_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """Commands, without what follows PASS, and the first lines of replies."""
    for session in _chosen(capture, capture.pop3, point):
        at, client, server = session.point, session.client.host, session.server.host
        if session.greeting is not None:
            yield Step(at, session.greeting.start_s, server, client, f"+OK {session.greeting.text}", "pop3")
        for command in session.commands:
            shown = "****" if command.verb in ("PASS", "APOP", "AUTH") else command.argument
            yield Step(at, command.start_s, client, server, f"{command.verb} {shown}".rstrip(), "pop3")
            if command.reply is not None:
                size = f", {len(command.reply.content)} bytes" if command.reply.content else ""
                answer = f"{'+OK' if command.reply.ok else '-ERR'} {command.reply.text}".rstrip() + size
                yield Step(at, command.reply.start_s, server, client, answer, "pop3", command.start_s)


def imap_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """Commands, without what follows LOGIN, and their completions."""
    for session in _chosen(capture, capture.imap, point):
        at, client, server = session.point, session.client.host, session.server.host
        yield Step(at, session.greeting.start_s, server, client, f"* {session.greeting.text}", "imap")
        for command in session.commands:
            hidden = command.verb in ("LOGIN", "AUTHENTICATE")
            shown = "****" if hidden else command.arguments.decode("utf-8", "replace").partition("\r")[0]
            yield Step(at, command.start_s, client, server, f"{command.verb} {shown}".rstrip(), "imap")
            if command.status:
                lines = f", {len(command.responses)} lines" if command.responses else ""
                yield Step(at, command.end_s, server, client, command.status + lines, "imap", command.start_s)


def tcp_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """Handshakes and the first to close; the data between is the application's."""
    for connection in _chosen(capture, capture.connections, point):
        yield from _connection_steps(connection)


def _connection_steps(connection: Connection) -> Iterator[Step]:
    point, client, server = connection.point, connection.client.host, connection.server.host
    if connection.syn_s is not None:
        yield Step(point, connection.syn_s, client, server, f"SYN to port {connection.server.port}", "tcp")
    if connection.syn_ack_s is not None:
        yield Step(point, connection.syn_ack_s, server, client, "SYN, ACK", "tcp", connection.syn_s)
    if connection.ack_s is not None:
        yield Step(point, connection.ack_s, client, server, "ACK", "tcp")
    if connection.closed_s is not None:
        ends = (client, server) if connection.closed_by == "client" else (server, client)
        yield Step(point, connection.closed_s, *ends, "FIN" if connection.closed_how == "fin" else "RST", "tcp")


def tls_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """The two hellos and alerts in the clear."""
    for handshake in _chosen(capture, capture.tls, point):
        at, client, server = handshake.point, handshake.client.host, handshake.server.host
        yield Step(at, handshake.start_s, client, server, f"ClientHello {handshake.server_name}".rstrip(), "tls")
        if handshake.version:
            label = f"ServerHello {handshake.version}"
            yield Step(at, handshake.end_s, server, client, label, "tls", handshake.start_s)
        for alert in handshake.alerts:
            ends = (client, server) if alert.sender == "client" else (server, client)
            yield Step(at, alert.time_s, *ends, f"alert: {alert.name}", "tls")


def bittorrent_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """Messages between peers."""
    for session in _chosen(capture, capture.bittorrent, point):
        for message in session.messages:
            piece = f" {message.piece}" if message.piece >= 0 else ""
            block = f" [{message.begin}, {message.length} bytes]" if message.kind in ("request", "piece") else ""
            ends = (message.sender.host, message.receiver.host)
            yield Step(session.point, message.start_s, *ends, message.kind + piece + block, "bittorrent")


def tracker_steps(capture: Capture, point: str | None) -> Iterator[Step]:
    """Announces and how many peers came back."""
    for announce in _chosen(capture, capture.announces, point):
        client, server = announce.client.host, announce.server.host
        label = f"announce {announce.event}".rstrip()
        yield Step(announce.point, announce.start_s, client, server, label, "tracker")
        if announce.answered:
            answer = announce.failure or f"{len(announce.peers)} peers"
            yield Step(announce.point, announce.end_s, server, client, answer, "tracker", announce.start_s)


STEPS: dict[str, Callable[[Capture, str | None], Iterator[Step]]] = {
    "dns": dns_steps,
    "http": http_steps,
    "smtp": smtp_steps,
    "pop3": pop3_steps,
    "imap": imap_steps,
    "tls": tls_steps,
    "tracker": tracker_steps,
    "bittorrent": bittorrent_steps,
    "tcp": tcp_steps,
}
"""The protocols a ladder can show."""

STORY = ("dns", "http", "smtp", "pop3", "imap", "tls", "tracker")
"""What a ladder shows when nobody says: the applications' own messages, without the swarm's many."""
