"""Damaged captures: nothing but CaptureError comes out of the analysis, nothing hangs, memory stays bounded.

A few hundred by default; `APPBED_FUZZ=100000 pytest tests/analysis/test_analysis_fuzz.py` for the whole number, and
`APPBED_FUZZ_SEED` for others. Every case can be made again from its seed, which a failure names.
"""

from __future__ import annotations

import os
import random
import resource
import ssl
import struct
import time

import dns.message
import pytest
import story
from test_analysis_mailbox import IMAP_LOGIN, LOGIN, QUIT
from test_analysis_p2p import ANNOUNCE, CONNECT, ME, PEERS, YOU, hello, message
from test_analysis_smtp import SCRIPT as LETTER
from test_analysis_tls import client_hello, server_hello
from traffic import SERVER, START_NS, Spot, Talk, Timed, flip, ip, pcap, pcapng, udp

from appbed.analysis import Capture, analyze
from appbed.analysis.ladder import draw
from appbed.analysis.ladder_svg import html
from appbed.analysis.ladder_text import text
from appbed.analysis.steps import STEPS
from appbed.errors import CaptureError

CASES = int(os.environ.get("APPBED_FUZZ", "400"))
SEED = int(os.environ.get("APPBED_FUZZ_SEED", "1"))
SLOWEST_S = 10.0
pytestmark = pytest.mark.timeout(120 + CASES // 50)
MORE_MEMORY_BYTES = 200 << 20
NONSENSE = (0, 1, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def talked(port: int, *script: tuple[str, bytes]) -> list[Timed]:
    talk = Talk(server=(SERVER, port)).open()
    for who, data in script:
        talk.say(who, data)
    return talk.close("server").frames


def bases() -> list[bytes]:
    """Small captures of every protocol, in both formats."""
    big = udp("10.77.1.1", 53, "10.77.1.2", 99, b"\0\1\x84\0" + b"\0" * 2000)[34:]
    query = dns.message.make_query("www.umass.edu", "A").to_wire()
    framed = len(query).to_bytes(2, "big") + query
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    announce = b"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.0\r\n\r\n"
    peers = b"HTTP/1.0 200 OK\r\n\r\nd8:intervali60e5:peers12:" + PEERS + b"e"
    fetch = ("server", b"* 1 FETCH (BODY {5}\r\nhello)\r\na2 OK\r\n")
    datagrams = [udp("10.77.1.1", 5, SERVER, 6969, data) for data in (CONNECT, ANNOUNCE)]
    pieces = message(5, b"\xc0") + message(7, struct.pack(">II", 1, 0) + b"x" * 99)
    conversations = [
        [*talked(80, ("client", b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" * 2), ("server", chunked * 2))],
        [*talked(6969, ("client", announce), ("server", peers))],
        [*talked(110, *LOGIN, ("client", b"RETR 1\r\n"), ("server", b"+OK\r\na\r\n.\r\n"), *QUIT)],
        [*talked(25, *LETTER)],
        [*talked(143, *IMAP_LOGIN, ("client", b"a2 FETCH {3}\r\nabc\r\n"), fetch)],
        [*talked(443, ("client", client_hello("a.b", ["x"], ssl.TLSVersion.TLSv1_3)), ("server", server_hello(0x0304)))],
        [*talked(6881, ("client", hello(ME)), ("server", hello(YOU) + pieces))],
        [*talked(53, ("client", framed * 2), ("server", framed))],
        [(START_NS + at, frame) for at, frame in enumerate(datagrams)],
        [(START_NS + at, ip("10.77.1.1", "10.77.1.2", 17, big[at : at + 800], 7, at // 8 | (at < 1600) << 13))
         for at in (0, 800, 1600)],
        [(START_NS, udp("fd00::1", 53, "fd00::2", 53, query)), (START_NS, ip("fd00::1", "fd00::2", 0, query))],
    ]  # fmt: skip
    # checksums that are all wrong are not believed: only so does damage reach the parsers of the applications
    conversations += [[(time_ns, unsure(frame)) for time_ns, frame in frames] for frames in conversations]
    spots = [Spot("host:client:eth0", "10.77.1.10", "comment"), Spot("network:core", drops=1)]
    found = [pcap(frames) for frames in conversations]
    found += [pcapng(spots, [(at % 2, *timed) for at, timed in enumerate(f)]) for f in conversations]
    return [*found, story.captured(("client", "resolver", "mail1"))]


def unsure(frame: bytes) -> bytes:
    """The frame with a wrong TCP or UDP checksum."""
    at = {6: 50, 17: 40}.get(frame[23], 0)
    return flip(frame, at) if at and frame[12:14] == b"\x08\0" else frame


def damage(data: bytes, chance: random.Random) -> bytes:
    """The file with a few things wrong: bits, bytes, lengths, parts cut out, doubled or exchanged, an early end."""
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at, size = chance.randrange(len(damaged)), chance.randrange(1, 60)
        kind = chance.randrange(8)
        if kind <= 1:
            damaged[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            damaged[at : at + size] = chance.randbytes(size)
        elif kind == 3:
            number = struct.pack(chance.choice(("<I", ">I")), chance.choice(NONSENSE))
            at -= at % chance.choice((1, 4))
            damaged[at : at + 4] = number
        elif kind == 4:
            del damaged[at : at + size]
        elif kind == 5:
            damaged[at:at] = damaged[at : at + size]
        elif kind == 6:
            damaged[at : at + 2] = struct.pack(">H", chance.choice(NONSENSE) & 0xFFFF)
        elif chance.random() < 0.2:
            del damaged[at:]
        if not damaged:
            break
    return bytes(damaged)


def read_everything(data: bytes) -> None:
    capture = Capture.open(data)
    for packet in capture.packets():
        assert len(packet.payload) <= packet.captured or packet.protocol != "tcp"
    for found in capture.dns_messages():
        _ = (found.answer, found.question, found.rcode, found.edns_bytes, found.fault)
    for exchange in capture.http():
        _ = (exchange.request.url, exchange.request.body, exchange.response and exchange.response.body, exchange.fault)
    for dialogue in capture.smtp():
        _ = [list(message.email.items()) for message in dialogue.messages]
    for pop3 in capture.pop3():
        _ = (pop3.phases, pop3.deleted, pop3.retrieved)
    for imap in capture.imap():
        _ = imap.states
    for session in capture.bittorrent():
        _ = [message.pieces for message in session.messages]
    assert all("\n" not in note for note in capture.notes), "one line each"
    analysis = analyze(capture)
    assert all(table.text() for table in analysis.tables)
    ladder = draw(capture, tuple(STEPS))
    assert text(ladder)
    assert html(ladder)


def test_damaged_captures_are_read_as_far_as_they_go() -> None:
    sound, slowest, before = bases(), 0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read, refused = 0, list[str]()
    for case in range(CASES):
        chance = random.Random(SEED * 1_000_003 + case)
        data = damage(chance.choice(sound), chance)
        begun = time.perf_counter()
        try:
            read_everything(data)
            read += 1
        except CaptureError as error:
            refused.append(str(error))
        except Exception as error:
            pytest.fail(f"case {case} of seed {SEED}: {type(error).__name__}: {error}")
        slowest = max(slowest, time.perf_counter() - begun)
    more_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert slowest < SLOWEST_S
    assert more_bytes < MORE_MEMORY_BYTES
    assert all(refused)
    assert read > len(refused)


def test_sound_captures_have_no_faults() -> None:
    for data in bases():
        faults = Capture.open(data).faults
        assert all("fragment" in fault or "header" in fault for fault in faults), faults
        read_everything(data)
