"""Every kind of frame finds its row: VLAN, IPv4 options, IPv6, fragments, ARP, ICMP, cut and contradictory ones."""

from __future__ import annotations

import itertools
import struct

import pytest
from traffic import ACK, CLIENT, RESOLVER, SERVER, START_NS, Spot, flip, ip, pcap, pcapng, tcp, udp

from appbed.analysis import Capture, Packet

DATA = bytes(range(256)) * 12


def one(frame: bytes, link: int = 1) -> Packet:
    """The packet of a capture of one frame, which must be without fault."""
    capture = Capture.open(pcap([(START_NS, frame)], link=link))
    assert capture.faults == ()
    return capture.packets()[0]


def test_udp_and_tcp_by_the_short_way() -> None:
    packet = one(udp(CLIENT, 5000, RESOLVER, 53, b"question"))
    assert (packet.protocol, packet.source, packet.destination) == ("udp", (CLIENT, 5000), (RESOLVER, 53))
    assert (packet.payload, packet.payload_bytes) == (b"question", 8)
    packet = one(tcp(CLIENT, 5000, SERVER, 80, 7, 9, 0x18, b"GET", window=77))
    assert (packet.protocol, packet.tcp_flags, packet.seq, packet.ack, packet.window) == ("tcp", "PA", 7, 9, 77)
    assert packet.payload == b"GET"


@pytest.mark.parametrize("tags", [b"\x81\x00\0\x07", b"\x88\xa8\0\x01\x81\x00\0\x07"])
def test_vlan_tags(tags: bytes) -> None:
    frame = udp(CLIENT, 1, RESOLVER, 2, DATA[:100])
    assert one(frame[:12] + tags + frame[12:]).payload == DATA[:100]


def test_ip_options() -> None:
    frame = udp(CLIENT, 1, RESOLVER, 2, b"abc")
    total = struct.pack(">H", 20 + 4 + 8 + 3)
    with_options = frame[:14] + b"\x46\0" + total + frame[18:34] + b"\x01\x01\x01\x00" + frame[34:]
    assert one(with_options).payload == b"abc"


def test_ethernet_padding_is_no_payload() -> None:
    packet = one(tcp(CLIENT, 1, SERVER, 2, 0, 0, ACK) + b"\0" * 6)
    assert (packet.payload, packet.payload_bytes) == (b"", 0)


def test_ipv6_and_its_extension_headers() -> None:
    frame = udp("fd00::1", 1, "fd00::2", 2, b"six")
    assert (one(frame).source.host, one(frame).payload) == ("fd00::1", b"six")
    body = struct.pack(">BB6x", 17, 0) + frame[54:]
    assert one(ip("fd00::1", "fd00::2", 0, body)).payload == b"six"


def test_cooked_raw_and_loopback_links() -> None:
    packet = udp(CLIENT, 1, RESOLVER, 2, b"abc")[14:]
    assert one(b"\0" * 14 + b"\x08\0" + packet, 113).payload == b"abc"
    assert one(b"\x08\0" + b"\0" * 18 + packet, 276).payload == b"abc"
    assert one(packet, 101).payload == b"abc"
    assert one(b"\2\0\0\0" + packet, 0).payload == b"abc"


def test_icmp_and_arp() -> None:
    packet = one(ip(CLIENT, SERVER, 1, b"\x08\0\0\0abcd"))
    assert (packet.protocol, packet.source, packet.destination) == ("icmp", (CLIENT, 8), (SERVER, 0))
    request = struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, b"\2" * 6, b"\x0a\x4d\1\x0a", b"", b"\x0a\x4d\1\x01")
    packet = one(b"\2" * 12 + b"\x08\x06" + request)
    assert (packet.protocol, packet.source, packet.destination.host) == ("arp", (CLIENT, 1), "10.77.1.1")


def fragments(frame: bytes, size: int = 1480, ident: int = 7) -> list[bytes]:
    body = frame[34:]
    return [
        ip(CLIENT, RESOLVER, 17, body[at : at + size], ident, at // 8 | (0x2000 if at + size < len(body) else 0))
        for at in range(0, len(body), size)
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_fragments_in_any_order_are_one_datagram(order: tuple[int, ...]) -> None:
    pieces = fragments(udp(CLIENT, 1, RESOLVER, 2, DATA), 1200)
    capture = Capture.open(pcap([(START_NS + n, pieces[piece]) for n, piece in enumerate(order)]))
    packets = capture.packets()
    assert [packet.protocol for packet in packets] == ["fragment", "fragment", "udp"]
    assert (packets[2].payload, packets[2].destination) == (DATA, (RESOLVER, 2))
    assert capture.faults == ()


def test_ipv6_fragments() -> None:
    body = udp("fd00::1", 1, "fd00::2", 2, DATA)[54:]
    heads = [struct.pack(">BBHI", 17, 0, 0 | 1, 9), struct.pack(">BBHI", 17, 0, 1208, 9)]
    frames = [
        ip("fd00::1", "fd00::2", 44, head + part) for head, part in zip(heads, (body[:1208], body[1208:]), strict=True)
    ]
    packets = Capture.open(pcap([(START_NS, frame) for frame in frames])).packets()
    assert (packets[1].protocol, packets[1].payload) == ("udp", DATA)


def test_missing_duplicated_and_overlapping_fragments() -> None:
    pieces = fragments(udp(CLIENT, 1, RESOLVER, 2, DATA), 1200)
    lost = Capture.open(pcap([(START_NS, pieces[0]), (START_NS, pieces[2])]))
    assert [packet.protocol for packet in lost.packets()] == ["fragment", "fragment"]
    assert "never complete" in lost.faults[0]
    twice = [pieces[0], pieces[0], pieces[1], pieces[1], pieces[2]]
    assert Capture.open(pcap([(START_NS, piece) for piece in twice])).packets()[-1].payload == DATA


def test_fragments_that_overlap() -> None:
    body = udp(CLIENT, 1, RESOLVER, 2, DATA)[34:]
    parts = [(0, 1200, True), (400, 2000, True), (1600, len(body), False)]
    frames = [ip(CLIENT, RESOLVER, 17, body[a:b], 7, a // 8 | (0x2000 if more else 0)) for a, b, more in parts]
    assert Capture.open(pcap([(START_NS, frame) for frame in frames])).packets()[-1].payload == DATA


def test_a_fragmented_segment() -> None:
    body = tcp(CLIENT, 40_000, SERVER, 80, 3, 4, ACK, DATA)[34:]
    frames = [ip(CLIENT, SERVER, 6, body[:1480], 7, 0x2000), ip(CLIENT, SERVER, 6, body[1480:], 7, 1480 // 8)]
    capture = Capture.open(pcap([(START_NS, frame) for frame in frames]))
    assert [packet.protocol for packet in capture.packets()] == ["fragment", "tcp"]
    (connection,) = capture.connections()
    assert connection.from_client.data == DATA


def test_fragments_without_end_need_no_memory() -> None:
    pieces = [fragments(udp(CLIENT, 1, RESOLVER, 2, DATA), 1200, ident)[0] for ident in range(500)]
    capture = Capture.open(pcap([(START_NS, piece) for piece in pieces]))
    assert "500 packets: fragments" in capture.faults[0]


def test_snap_length_keeps_headers_and_says_what_was_sent() -> None:
    capture = Capture.open(pcap([(START_NS, udp(CLIENT, 1, RESOLVER, 2, DATA[:1000]))], snap=96))
    packet = capture.packets()[0]
    assert (packet.payload_bytes, packet.captured, packet.payload) == (1000, 96, DATA[:54])


def test_a_frame_cut_at_any_byte_is_survived_and_reported() -> None:
    for frame in (tcp(CLIENT, 1, SERVER, 2, 3, 4, ACK, b"data"), udp("fd00::1", 1, "fd00::2", 2, b"data")):
        for cut in range(len(frame)):
            capture = Capture.open(pcap([(START_NS, frame)], snap=cut or 1))
            (packet,) = capture.packets()
            assert len(packet.payload) <= packet.payload_bytes
            assert capture.faults or packet.payload_bytes == 4


def test_headers_that_contradict_themselves_are_reported() -> None:
    frame = tcp(CLIENT, 1, SERVER, 2, 3, 4, ACK, b"data")
    for at, value, says in (
        (46, 0x10, "TCP header"),
        (16, 0xFF, ""),
        (14, 0x42, "IPv4 header"),
        (17, 19, "IPv4 header"),
    ):
        capture = Capture.open(pcap([(START_NS, frame[:at] + bytes([value]) + frame[at + 1 :])]))
        assert len(capture.packets()) == 1
        assert not says or any(says in fault for fault in capture.faults)


def test_times_out_of_order_within_a_file_are_put_in_order() -> None:
    frames = [(START_NS + time, udp(CLIENT, time, RESOLVER, 2, b"")) for time in (5, 3, 9, 1)]
    capture = Capture.open(pcap(frames, nanoseconds=True))
    assert [packet.source.port for packet in capture.packets()] == [1, 3, 5, 9]
    assert [packet.number for packet in capture.packets()] == [4, 2, 1, 3]


def test_packets_are_a_sequence_that_costs_nothing() -> None:
    packets = Capture.open(pcap([(START_NS, udp(CLIENT, n, RESOLVER, 2, b"")) for n in range(9)])).packets()
    assert len(packets[2:5]) == 3
    assert packets[-1].source.port == 8
    assert [packet.source.port for packet in packets[2:5]] == [2, 3, 4]


def test_a_point_of_another_link_type_reads_its_own_way() -> None:
    frame = udp(CLIENT, 1, RESOLVER, 2, b"abc")
    capture = Capture.open(pcapng([Spot("a"), Spot("b", link=101)], [(0, START_NS, frame), (1, START_NS, frame[14:])]))
    assert [packet.payload for packet in capture.packets()] == [b"abc", b"abc"]


def test_flip_changes_one_bit() -> None:
    assert sum(bin(a ^ b).count("1") for a, b in zip(DATA, flip(DATA, 5), strict=True)) == 1
