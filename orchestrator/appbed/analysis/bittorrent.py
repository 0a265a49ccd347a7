"""The BitTorrent peer protocol (BEP 3, 6, 10) over TCP: handshakes and every message, without the pieces' bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from appbed.analysis.session import Session
from appbed.analysis.stream import Stream
from appbed.analysis.tcp import Connection, Endpoint

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE_BYTES = 68
MAX_MESSAGE_BYTES = 1 << 24

KINDS = {
    0: "choke",
    1: "unchoke",
    2: "interested",
    3: "not interested",
    4: "have",
    5: "bitfield",
    6: "request",
    7: "piece",
    8: "cancel",
    9: "port",
    13: "suggest",
    14: "have all",
    15: "have none",
    16: "reject",
    17: "allowed fast",
    20: "extended",
}
_WITH_INDEX, _WITH_BLOCK = (4, 13, 17), (6, 8, 16)


@dataclass(frozen=True, slots=True)
class PeerMessage:
    """One message; `start_s` is its first byte's time, `end_s` when all of it had arrived.

    `piece` is -1 in messages about none; `begin` and `length` are the block's place in the piece and its size in
    bytes. `payload` is kept for bitfields and extended messages, and left in the capture for pieces.
    """

    sender: Endpoint
    receiver: Endpoint
    kind: str
    start_s: float
    end_s: float
    piece: int = -1
    begin: int = 0
    length: int = 0
    payload: bytes = b""

    @property
    def pieces(self) -> tuple[int, ...]:
        """The pieces a bitfield says its sender has."""
        return tuple(at * 8 + bit for at, byte in enumerate(self.payload) for bit in range(8) if byte & 0x80 >> bit)


@dataclass(frozen=True, slots=True)
class PeerSession(Session):
    """One connection between peers; `messages` of both sides are in the order of time.

    The identities are 20 bytes each, b"" for a side whose handshake was not seen. `fault` says where a side's
    messages could not be followed any further.
    """

    info_hash: bytes
    client_peer_id: bytes
    server_peer_id: bytes
    messages: tuple[PeerMessage, ...]
    fault: str

    def of(self, kind: str, sender: Endpoint | None = None) -> tuple[PeerMessage, ...]:
        """The messages of one kind ("piece"), of both sides or one."""
        return tuple(m for m in self.messages if m.kind == kind and sender in (None, m.sender))


def is_bittorrent(connection: Connection) -> bool:
    """Whether either side begins with the handshake's first 20 bytes (encrypted connections are not recognised)."""
    return PROTOCOL in (connection.from_client.read(0, 20), connection.from_server.read(0, 20))


def sessions(connections: Iterable[Connection]) -> tuple[PeerSession, ...]:
    """The sessions of all connections between peers."""
    return tuple(_session(connection) for connection in connections if is_bittorrent(connection))


def _session(connection: Connection) -> PeerSession:
    client, server = connection.from_client, connection.from_server
    hellos = [stream.read(0, HANDSHAKE_BYTES) for stream in (client, server)]
    found: list[PeerMessage] = []
    faults = [
        _collect(stream, sender, receiver, found)
        for stream, hello, sender, receiver in (
            (client, hellos[0], connection.client, connection.server),
            (server, hellos[1], connection.server, connection.client),
        )
        if hello.startswith(PROTOCOL) and len(hello) == HANDSHAKE_BYTES
    ]
    found.sort(key=lambda message: message.start_s)
    ids = [hello[48:68] if hello.startswith(PROTOCOL) else b"" for hello in hellos]
    info_hash = next(hello[28:48] for hello in hellos if hello.startswith(PROTOCOL))
    return PeerSession(connection, info_hash, ids[0], ids[1], tuple(found), next(filter(None, faults), ""))


def _collect(stream: Stream, sender: Endpoint, receiver: Endpoint, found: list[PeerMessage]) -> str:
    """Adds one side's messages; what kept it from following them to the end, "" for nothing."""
    start_s, end_s = stream.seen_s(0), stream.arrived_s(HANDSHAKE_BYTES - 1)
    found.append(PeerMessage(sender, receiver, "handshake", start_s, end_s))
    at = HANDSHAKE_BYTES
    while len(head := stream.read(at, at + 17)) >= 4:
        size = int.from_bytes(head[:4], "big")
        if size > MAX_MESSAGE_BYTES:
            return f"{sender}: byte {at}: a message of {size} bytes"
        stop = at + 4 + size
        if not stream.holds(at, stop):
            return "" if stop > len(stream) else f"{sender}: byte {at}: bytes are missing from the capture"
        found.append(_message(stream, at, stop, head, sender, receiver))
        at = stop
    return f"{sender}: byte {at}: bytes are missing from the capture" if at + 4 <= len(stream) else ""


def _message(stream: Stream, at: int, stop: int, head: bytes, sender: Endpoint, receiver: Endpoint) -> PeerMessage:
    times = (stream.seen_s(at), stream.arrived_s(stop - 1))
    if stop == at + 4:
        return PeerMessage(sender, receiver, "keep-alive", *times)
    kind, body = head[4], stop - at - 5
    name = KINDS.get(kind, f"type {kind}")
    if kind == 7 and body >= 8:
        piece, begin = struct.unpack_from(">II", head, 5)
        return PeerMessage(sender, receiver, name, *times, piece, begin, body - 8)
    if kind in _WITH_BLOCK and body >= 12:
        return PeerMessage(sender, receiver, name, *times, *struct.unpack_from(">III", head, 5))
    if kind in _WITH_INDEX and body >= 4:
        return PeerMessage(sender, receiver, name, *times, int.from_bytes(head[5:9], "big"))
    payload = stream.read(at + 5, stop) if kind != 7 else b""
    return PeerMessage(sender, receiver, name, *times, length=body, payload=payload)
