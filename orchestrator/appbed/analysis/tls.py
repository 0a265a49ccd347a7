"""TLS handshakes: names and versions offered and chosen, certificates and alerts sent in the clear; nothing is decrypted."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appbed.analysis.certificates import Certificate, certificate
from appbed.analysis.session import OnConnection
from appbed.analysis.stream import Stream
from appbed.analysis.tcp import Connection

VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
ALERTS = {
    0: "close_notify",
    20: "bad_record_mac",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    48: "unknown_ca",
    50: "decode_error",
    70: "protocol_version",
    80: "internal_error",
    112: "unrecognized_name",
    116: "certificate_required",
}
_HELLO = re.compile(rb"(?:\A|\n)(\x16\x03[\x00-\x04]..\x01\x00)", re.DOTALL)
_SERVER_RECORD = re.compile(rb"(?:\A|\n)([\x15\x16]\x03[\x00-\x04])")
_LOOK_BYTES = 16_384
_CERTIFICATE, _APPLICATION_DATA = 11, 23


@dataclass(frozen=True, slots=True)
class TlsAlert:
    """An alert in the clear; `sender` is "client" or "server"."""

    sender: str
    fatal: bool
    name: str
    time_s: float


@dataclass(frozen=True, slots=True)
class TlsHandshake(OnConnection):
    """The hellos of one connection, at its beginning or after STARTTLS, STLS or CONNECT.

    `server_name` is the name the client asks for (SNI, RFC 6066), "" without one; `version` the one the server
    chose, "" where its hello was not seen; `protocols` are those offered by ALPN. `certificate` is the server's own, None where
    it was encrypted (TLS 1.3) or not seen. `application_bytes` is the size of what both sides encrypted for the processes above
    (in TLS 1.3 the rest of the handshake is among it).
    """

    server_name: str
    offered: tuple[str, ...]
    protocols: tuple[str, ...]
    version: str
    alerts: tuple[TlsAlert, ...]
    start_s: float
    end_s: float
    certificate: Certificate | None
    application_bytes: int


def handshakes(connections: Iterable[Connection]) -> tuple[TlsHandshake, ...]:
    """The handshakes of all connections that begin TLS within their first 16 kB."""
    found = []
    for connection in connections:
        begins = _HELLO.search(connection.from_client.read(0, _LOOK_BYTES))
        if begins is not None:
            found.append(_handshake(connection, begins.start(1)))
    return tuple(found)


def is_tls(connection: Connection) -> bool:
    """Whether the connection's first bytes are a TLS hello."""
    return bool(_HELLO.match(connection.from_client.read(0, 7)))


def _handshake(connection: Connection, at: int) -> TlsHandshake:
    client, server = connection.from_client, connection.from_server
    answer = _SERVER_RECORD.search(server.read(0, _LOOK_BYTES))
    said = list(_records(client, at))
    answered = list(_records(server, answer.start(1))) if answer is not None else []
    name, offered, protocols = _client_hello(_hello(said, 1))
    version, end_s = _server_hello(_hello(answered, 2)), answered[0][2] if answered else client.arrived_s(at)
    alerts = [
        TlsAlert(who, body[0] == 2, ALERTS.get(body[1], str(body[1])), time_s)
        for who, records in (("client", said), ("server", answered))
        for kind, body, time_s in records
        if kind == 21 and len(body) == 2
    ]
    ways = [(client, at), *([(server, answer.start(1))] if answer is not None else [])]
    encrypted = sum(size for way in ways for kind, size in _sizes(*way) if kind == _APPLICATION_DATA)
    return TlsHandshake(
        connection, name, offered, protocols, version, tuple(alerts), client.seen_s(at), end_s,
        _certificate(answered), encrypted,
    )  # fmt: skip


def _records(stream: Stream, at: int) -> Iterator[tuple[int, bytes, float]]:
    """Type, body and time of the records up to the first encrypted one."""
    while len(head := stream.read(at, at + 5)) == 5 and 20 <= head[0] <= 22 and head[1] == 3:
        size = int.from_bytes(head[3:], "big")
        body = stream.read(at + 5, at + 5 + size)
        if len(body) < size:
            return
        at += 5 + size
        yield head[0], body, stream.arrived_s(at - 1)


def _sizes(stream: Stream, at: int) -> Iterator[tuple[int, int]]:
    """Type and size of every record, encrypted ones too."""
    while len(head := stream.read(at, at + 5)) == 5 and 20 <= head[0] <= 23 and head[1] == 3:
        size = int.from_bytes(head[3:], "big")
        yield head[0], size
        at += 5 + size


def _certificate(records: list[tuple[int, bytes, float]]) -> Certificate | None:
    """The first one of the server's list (RFC 5246, section 7.4.2)."""
    data, at = b"".join(body for record, body, _ in records if record == 22), 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if data[at] == _CERTIFICATE:
            listed = data[at + 4 : at + 4 + size][3:]
            return certificate(listed[3 : 3 + int.from_bytes(listed[:3], "big")])
        at += 4 + size
    return None


def _hello(records: list[tuple[int, bytes, float]], kind: int) -> bytes:
    """The body of the first handshake message if it is of that kind, from one or more records."""
    data = b"".join(body for record, body, _ in records[:8] if record == 22)
    size = int.from_bytes(data[1:4], "big")
    return data[4 : 4 + size] if data[:1] == bytes([kind]) and len(data) >= 4 + size else b""


def _client_hello(hello: bytes) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Server name, versions offered, ALPN protocols; empty where the hello cannot be read."""
    try:
        at = 34 + 1 + hello[34]
        at += 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 1 + hello[at]
        extensions = _extensions(hello, at)
        names, offered, alpn = extensions.get(0, b""), extensions.get(43, b""), extensions.get(16, b"")
        versions = [*struct.unpack(f">{offered[0] // 2}H", offered[1 : 1 + offered[0] // 2 * 2])] if offered else []
        versions = versions or [int.from_bytes(hello[:2], "big")]
    except (IndexError, struct.error):
        return "", (), ()
    name = names[5 : 5 + int.from_bytes(names[3:5], "big")].decode("ascii", "replace")
    known = tuple(VERSIONS[version] for version in versions if version in VERSIONS)  # greased values left out
    return name, known, tuple(_protocols(alpn))


def _server_hello(hello: bytes) -> str:
    try:
        extensions = _extensions(hello, 34 + 1 + hello[34] + 3)
    except IndexError:
        return ""
    version = int.from_bytes(extensions.get(43, hello[:2]), "big")
    return VERSIONS.get(version, hex(version))


def _extensions(hello: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at += 2
    while at + 4 <= len(hello):
        kind, size = struct.unpack_from(">HH", hello, at)
        found[kind] = hello[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def _protocols(alpn: bytes) -> Iterator[str]:
    at = 2
    while at < len(alpn):
        yield alpn[at + 1 : at + 1 + alpn[at]].decode("ascii", "replace")
        at += 1 + alpn[at]
