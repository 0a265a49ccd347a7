"""Announces to a BitTorrent tracker and its answers, over HTTP (BEP 3, 23) and UDP (BEP 15)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from appbed.analysis.bencode import Value, decode
from appbed.analysis.checksums import Checksums
from appbed.analysis.http import HttpExchange
from appbed.analysis.index import Index
from appbed.analysis.layers import UDP
from appbed.analysis.tcp import Endpoint

_UDP_MAGIC = struct.pack(">QI", 0x41727101980, 0)
_CONNECT, _ANNOUNCE, _ERROR = 0, 1, 3
_EVENTS = ("", "completed", "started", "stopped")


@dataclass(frozen=True, slots=True)
class TrackerAnnounce:
    """One announce and its answer; `event` is "started", "completed", "stopped" or "" (a regular one).

    `peers` are those the tracker gave, in its order; `failure` is its reason for a refusal. `answered` is False where
    no answer is in the capture. Bytes are the counts the peer reports, -1 where it does not.
    """

    point: str
    client: Endpoint
    server: Endpoint
    transport: str
    info_hash: bytes
    peer_id: bytes
    peer_port: int
    event: str
    uploaded_bytes: int
    downloaded_bytes: int
    left_bytes: int
    wanted: int
    start_s: float
    end_s: float
    answered: bool = False
    peers: tuple[Endpoint, ...] = field(default=())
    interval_s: int = 0
    seeders: int | None = None
    leechers: int | None = None
    failure: str = ""


def announces(index: Index, names: tuple[str, ...], exchanges: Iterable[HttpExchange]) -> tuple[TrackerAnnounce, ...]:
    """All announces of a capture, by the time they were made."""
    found = [announce for exchange in exchanges if (announce := _over_http(exchange)) is not None]
    found += _over_udp(index, names)
    return tuple(sorted(found, key=lambda announce: announce.start_s))


def _over_http(exchange: HttpExchange) -> TrackerAnnounce | None:
    path, _, query = exchange.request.path.partition("?")
    asked = {name: unquote_to_bytes(value.replace("+", " ")) for name, _, value in _pairs(query)}
    if "announce" not in path or len(asked.get("info_hash", b"")) != 20:
        return None
    answer = _answer(exchange.response.body) if exchange.response is not None else {}
    return TrackerAnnounce(
        exchange.point, exchange.client, exchange.server, "http",
        asked["info_hash"], asked.get("peer_id", b""), max(_count(asked, "port"), 0),
        asked.get("event", b"").decode("latin-1"),
        _count(asked, "uploaded"), _count(asked, "downloaded"), _count(asked, "left"), _count(asked, "numwant"),
        exchange.start_s, exchange.end_s, exchange.response is not None,
        (*_peers(answer.get(b"peers", b""), 4), *_peers(answer.get(b"peers6", b""), 16)),
        _integer(answer, b"interval") or 0, _integer(answer, b"complete"), _integer(answer, b"incomplete"),
        _text(answer.get(b"failure reason", b"")),
    )  # fmt: skip


def _pairs(query: str) -> Iterator[tuple[str, str, str]]:
    return (pair.partition("=") for pair in query.split("&"))


def _count(asked: dict[str, bytes], name: str) -> int:
    digits = asked.get(name, b"")
    return int(digits) if digits.isdigit() and len(digits) < 20 else -1


def _answer(body: bytes) -> dict[bytes, Value]:
    try:
        answer = decode(body)
    except ValueError as error:
        return {b"failure reason": f"unreadable answer: {error}".encode()}
    return answer if isinstance(answer, dict) else {}


def _integer(answer: dict[bytes, Value], key: bytes) -> int | None:
    value = answer.get(key)
    return value if isinstance(value, int) else None


def _text(value: Value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _peers(value: Value, size: int) -> tuple[Endpoint, ...]:
    """Peers in either form: compact (address and port, 6 or 18 bytes each) or a list of dictionaries."""
    if isinstance(value, bytes):
        step = size + 2
        return tuple(
            Endpoint(str(ip_address(value[at : at + size])), int.from_bytes(value[at + size : at + step], "big"))
            for at in range(0, len(value) - step + 1, step)
        )
    found = []
    for peer in value if isinstance(value, list) else ():
        if isinstance(peer, dict):
            port = peer.get(b"port")
            found.append(Endpoint(_text(peer.get(b"ip", b"")), port if isinstance(port, int) else 0))
    return tuple(found)


def _over_udp(index: Index, names: tuple[str, ...]) -> list[TrackerAnnounce]:
    """Announces to whoever was asked for a connection by the protocol's magic number; answers by transaction."""
    checksums, trackers = Checksums(index), set[tuple[int, int, int]]()
    found: list[TrackerAnnounce] = []
    waiting: dict[tuple[object, ...], int] = {}
    for number in index.order:
        if index.kinds[number] != UDP or index.payloads[number] < 8:
            continue
        point, here, there = index.points[number], index.sources[number], index.destinations[number]
        ports = (index.source_ports[number], index.destination_ports[number])
        data = index.payload(number, 0, 16)
        if data[:12] == _UDP_MAGIC:
            trackers.add((point, there, ports[1]))
        if (point, there, ports[1]) in trackers:
            if index.payloads[number] >= 98 and data[8:12] == b"\0\0\0\x01" and checksums.sound(number):
                announce = _udp_announce(index, number, names)
                key = (point, here, ports[0], there, ports[1], data[12:16])
                if key not in waiting:  # a repeated one is the same announce
                    waiting[key] = len(found)
                    found.append(announce)
        elif (point, here, ports[0]) in trackers and checksums.sound(number):
            key = (point, there, ports[1], here, ports[0], data[4:8])
            action = int.from_bytes(data[:4], "big")
            if key in waiting and action in (_ANNOUNCE, _ERROR):
                at = waiting.pop(key)
                found[at] = _udp_answered(found[at], index.payload(number), action, index.time_s(number))
    return found


def _udp_announce(index: Index, number: int, names: tuple[str, ...]) -> TrackerAnnounce:
    data, time_s = index.payload(number), index.time_s(number)
    info_hash, peer_id, downloaded, left, uploaded, event, wanted, port = struct.unpack_from(
        ">20s20sqqqI8xiH", data.ljust(98, b"\0"), 16
    )
    return TrackerAnnounce(
        names[index.points[number]],
        Endpoint(index.name(index.sources[number]), index.source_ports[number]),
        Endpoint(index.name(index.destinations[number]), index.destination_ports[number]),
        "udp", info_hash, peer_id, port, _EVENTS[event] if event < len(_EVENTS) else str(event),
        uploaded, downloaded, left, wanted, time_s, time_s,
    )  # fmt: skip


def _udp_answered(announce: TrackerAnnounce, data: bytes, action: int, time_s: float) -> TrackerAnnounce:
    if action == _ERROR or len(data) < 20:
        return replace(announce, answered=True, end_s=time_s, failure=data[8:].decode("utf-8", "replace"))
    interval_s, leechers, seeders = struct.unpack_from(">III", data, 8)
    size = 16 if ":" in announce.client.host else 4
    return replace(
        announce,
        answered=True,
        end_s=time_s,
        peers=_peers(data[20:], size),
        interval_s=interval_s,
        seeders=seeders,
        leechers=leechers,
    )
