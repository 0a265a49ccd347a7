"""Trackers over HTTP and UDP, peers' messages, and the bencoding between them."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traffic import CLIENT, SERVER, START_NS, Talk, Timed, pcap, udp

from appbed.analysis import Capture, Endpoint, bencode

HASH, ME, YOU = bytes(range(20)), b"-LT1234-aaaaaaaaaaaa", b"-LT1234-bbbbbbbbbbbb"
PEERS = b"\x0a\x4d\x01\x0b\x1a\xe1\x0a\x4d\x01\x0c\x1a\xe2"


def test_announce_over_http() -> None:
    query = "info_hash=" + "".join(f"%{byte:02x}" for byte in HASH) + "&peer_id=-LT1234-aaaaaaaaaaaa&port=6881"
    asked = f"GET /announce?{query}&uploaded=1&downloaded=2&left=3&event=started&numwant=5 HTTP/1.1\r\nHost: t\r\n\r\n"
    body = b"d8:completei1e10:incompletei4e8:intervali1800e5:peers12:" + PEERS + b"e"
    talk = Talk(server=(SERVER, 6969)).open().say("client", asked.encode())
    talk.say("server", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    (found,) = Capture.open(pcap(talk.frames)).announces()
    assert (found.info_hash, found.peer_id, found.peer_port, found.event) == (HASH, ME, 6881, "started")
    assert (found.uploaded_bytes, found.downloaded_bytes, found.left_bytes, found.wanted) == (1, 2, 3, 5)
    assert found.peers == (Endpoint("10.77.1.11", 6881), Endpoint("10.77.1.12", 6882))
    assert (found.interval_s, found.seeders, found.leechers, found.answered) == (1800, 1, 4, True)


@pytest.mark.parametrize(
    ("body", "peers", "failure"),
    [
        (b"d5:peersld2:ip9:10.77.1.94:porti6881eeee", (("10.77.1.9", 6881),), ""),
        (b"d14:failure reason9:forbiddene", (), "forbidden"),
        (b"nonsense", (), "unreadable answer: byte 0: b'n' begins no value"),
        (b"d6:peers618:" + b"\xfd" + b"\0" * 14 + b"\1\x1a\xe1e", (("fd00::1", 6881),), ""),
    ],
)
def test_other_answers(body: bytes, peers: tuple[tuple[str, int], ...], failure: str) -> None:
    asked = b"GET /announce?info_hash=%s HTTP/1.0\r\n\r\n" % (b"a" * 20)
    talk = Talk().open().say("client", asked).say("server", b"HTTP/1.0 200 OK\r\n\r\n" + body).close("server")
    (found,) = Capture.open(pcap(talk.frames)).announces()
    assert (found.peers, found.failure, found.left_bytes, found.event) == (peers, failure, -1, "")


def datagrams(*messages: tuple[str, bytes]) -> list[Timed]:
    ends = {"client": (CLIENT, 5000, SERVER, 6969), "server": (SERVER, 6969, CLIENT, 5000)}
    return [(START_NS + at * 10**7, udp(*ends[who], data)) for at, (who, data) in enumerate(messages)]


CONNECT = struct.pack(">QII", 0x41727101980, 0, 77)
ANNOUNCE = struct.pack(">QII20s20sqqqIIIiH", 5, 1, 78, HASH, ME, 10, 20, 30, 2, 0, 9, -1, 6881)


def test_announce_over_udp() -> None:
    answer = struct.pack(">IIIII", 1, 78, 1800, 4, 1) + PEERS
    messages = (("client", CONNECT), ("server", struct.pack(">IIQ", 0, 77, 5)), ("client", ANNOUNCE))
    (found,) = Capture.open(pcap(datagrams(*messages, ("client", ANNOUNCE), ("server", answer)))).announces()
    assert (found.transport, found.event, found.info_hash, found.peer_port) == ("udp", "started", HASH, 6881)
    assert (found.downloaded_bytes, found.left_bytes, found.uploaded_bytes, found.wanted) == (10, 20, 30, -1)
    assert (found.peers[1], found.seeders, found.leechers) == (Endpoint("10.77.1.12", 6882), 1, 4)
    assert found.end_s - found.start_s == pytest.approx(0.02, abs=1e-6)


def test_udp_errors_and_silence() -> None:
    error = struct.pack(">II", 3, 78) + b"no"
    (found,) = Capture.open(pcap(datagrams(("client", CONNECT), ("client", ANNOUNCE), ("server", error)))).announces()
    assert (found.failure, found.answered) == ("no", True)
    (found,) = Capture.open(pcap(datagrams(("client", CONNECT), ("client", ANNOUNCE)))).announces()
    assert not found.answered
    assert Capture.open(pcap(datagrams(("client", ANNOUNCE)))).announces() == ()


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(body), kind) + body


def hello(who: bytes) -> bytes:
    return b"\x13BitTorrent protocol" + b"\0" * 8 + HASH + who


def test_a_transfer_between_peers() -> None:
    block = random.Random(3).randbytes(16_384)
    talk = Talk(server=(SERVER, 6881)).open().say("client", hello(ME)).say("server", hello(YOU) + message(5, b"\xc0"))
    talk.say("client", message(2)).say("server", message(1))
    talk.say("client", message(6, struct.pack(">III", 1, 16_384, 16_384)))
    talk.say("server", message(7, struct.pack(">II", 1, 16_384) + block))
    talk.say("client", message(4, struct.pack(">I", 1)) + b"\0\0\0\0").say("server", message(0) + message(99, b"??"))
    (found,) = Capture.open(pcap(talk.frames)).bittorrent()
    assert (found.info_hash, found.client_peer_id, found.server_peer_id, found.fault) == (HASH, ME, YOU, "")
    assert [each.kind for each in found.messages] == [
        "handshake", "handshake", "bitfield", "interested", "unchoke", "request", "piece", "have", "keep-alive",
        "choke", "type 99",
    ]  # fmt: skip
    assert found.of("bitfield")[0].pieces == (0, 1)
    (request,), (piece,) = found.of("request", found.client), found.of("piece", found.server)
    assert (
        (request.piece, request.begin, request.length)
        == (piece.piece, piece.begin, piece.length)
        == (1, 16_384, 16_384)
    )
    assert piece.start_s < piece.end_s
    assert (found.of("have")[0].piece, found.of("piece", found.client)) == (1, ())


def test_peers_that_cannot_be_followed_say_so() -> None:
    talk = (
        Talk(server=(SERVER, 6881)).open().say("client", hello(ME) + b"\xff\xff\xff\xff\x07").say("server", hello(YOU))
    )
    (found,) = Capture.open(pcap(talk.frames)).bittorrent()
    assert "a message of 4294967295 bytes" in found.fault
    assert [each.kind for each in found.messages] == ["handshake", "handshake"]


VALUES = st.recursive(
    st.integers(-(10**15), 10**15) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def encode(value: bencode.Value) -> bytes:
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(inner) for key, inner in value.items()) + b"e"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(VALUES)
def test_bencoding_goes_back_to_the_value(value: bencode.Value) -> None:
    assert bencode.decode(encode(value)) == value


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text("ilde0123456789:-x", max_size=40))
def test_nonsense_is_refused_with_the_place(text: str) -> None:
    try:
        value = bencode.decode(text.encode())
    except ValueError as error:
        place, _, _ = str(error).partition(":")
    else:
        place = f"byte {len(encode(value))}"
    assert place.startswith("byte ")


def test_a_string_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="a string of 9 bytes, of which 3 are there"):
        bencode.decode(b"9:abc")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        bencode.decode(b"l" * 10_000)
