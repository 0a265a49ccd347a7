"""One packet at several points is one packet: delays, losses, copies, and what must not be confused."""

from __future__ import annotations

import random

import pytest
import story
from traffic import CLIENT, SERVER, START_NS, Spot, Talk, flip, ip, pcapng, udp

from appbed.analysis import Capture

MS = 1_000_000
SPOTS = [Spot("host:client:eth0", CLIENT), Spot("network:core"), Spot("host:server:eth0", f"{SERVER}/24, fd00::2")]


def hop(frame: bytes) -> bytes:
    """As the next network sees it: other link addresses, a smaller TTL, the header checksum changed with it."""
    return b"\4" * 12 + frame[12:22] + bytes([frame[22] - 1]) + frame[23:24] + b"\xab\xcd" + frame[26:]


def datagram(number: int, data: bytes = b"constant flow", ident: int | None = None) -> bytes:
    return udp(CLIENT, 7000, SERVER, 7000, data + number.to_bytes(4, "big"), number if ident is None else ident)


def test_one_way_delays_between_points() -> None:
    frames = []
    for number in range(50):
        sent = START_NS + number * 10 * MS
        frame = datagram(number)
        frames += [(0, sent, frame), (1, sent + 7 * MS, frame), (2, sent + 12 * MS, hop(frame))]
    capture = Capture.open(pcapng(SPOTS, frames))
    for start, end, delay_s in (("host:client", "network:core", 0.007), ("host:client", "host:server", 0.012)):
        passages = capture.passages(start, end)
        assert [passage.delay_s for passage in passages] == pytest.approx([delay_s] * 50, abs=1e-6)
        assert not any(passage.lost or passage.copies for passage in passages)
    assert capture.passages("host:server", "host:client") == ()


def test_losses_copies_and_overtaking_are_told_apart() -> None:
    seeded = random.Random(1)
    frames, fate = [], []
    for number in range(400):
        sent, frame = START_NS + number * MS, datagram(number)
        frames.append((0, sent, frame))
        times = [] if seeded.random() < 0.1 else [sent + 20 * MS + seeded.randrange(9 * MS)]
        if times and seeded.random() < 0.05:
            times.append(times[0] + 30_000)
        fate.append(times)
        frames += [(2, time_ns, hop(frame)) for time_ns in times]
    passages = Capture.open(pcapng(SPOTS, frames)).passages("host:client", "host:server")
    assert [passage.received_s for passage in passages] == [times[0] / 1e9 if times else None for times in fate]
    assert [passage.copies for passage in passages] == [max(len(times) - 1, 0) for times in fate]


def test_the_same_bytes_sent_again_are_two_packets() -> None:
    frame = datagram(1, ident=0)
    frames = [(0, START_NS, frame), (0, START_NS + 1000 * MS, frame), (2, START_NS + 1012 * MS, hop(frame))]
    passages = Capture.open(pcapng(SPOTS, frames)).passages("host:client", "host:server")
    assert [passage.delay_s for passage in passages] == [None, pytest.approx(0.012, abs=1e-6)]


def test_a_damaged_packet_did_not_arrive() -> None:
    frame = datagram(1)
    frames = [(0, START_NS, frame), (2, START_NS + MS, flip(hop(frame)))]
    (passage,) = Capture.open(pcapng(SPOTS, frames)).passages("host:client", "host:server")
    assert passage.lost


def test_a_checksum_finished_on_the_way_is_the_same_packet() -> None:
    frame = datagram(1)
    unfinished = frame[:40] + b"\x12\x34" + frame[42:]
    frames = [(0, START_NS, unfinished), (2, START_NS + MS, hop(frame))]
    (passage,) = Capture.open(pcapng(SPOTS, frames)).passages("host:client", "host:server")
    assert not passage.lost


def test_what_does_not_pass_both_points_is_not_lost() -> None:
    elsewhere = udp(CLIENT, 7000, "10.77.9.9", 7000, b"x")
    frames = [(0, START_NS, datagram(1)), (2, START_NS + MS, datagram(1)), (0, START_NS, elsewhere)]
    assert len(Capture.open(pcapng(SPOTS, frames)).passages("host:client", "host:server")) == 1


def test_everything_lost_is_told_by_the_receivers_address() -> None:
    frames = [(0, START_NS + number * MS, datagram(number)) for number in range(3)]
    assert all(passage.lost for passage in Capture.open(pcapng(SPOTS, frames)).passages("host:client", "host:server"))


def test_fragments_and_ipv6_travel_too() -> None:
    pieces = [ip(CLIENT, SERVER, 17, b"a" * 800, 5, 0x2000), ip(CLIENT, SERVER, 17, b"b" * 80, 5, 100)]
    six = udp("fd00::1", 1, "fd00::2", 2, b"six")
    frames = [(point, START_NS + point * MS, frame) for frame in (*pieces, six) for point in (0, 2)]
    passages = Capture.open(pcapng(SPOTS, frames)).passages("host:client", "host:server")
    assert [passage.delay_s for passage in passages] == pytest.approx([0.002] * 3, abs=1e-6)


def test_a_conversation_is_told_once_at_its_clients_point() -> None:
    capture = Capture.open(story.captured())
    assert len(capture.http()) == 2
    (exchange,) = capture.once(capture.http())
    assert exchange.point == "host:client:eth0"
    assert [transaction.point for transaction in capture.once(capture.dns())] == [
        "host:client:eth0",
        *["host:resolver:eth0"] * 3,
    ]


def test_without_the_clients_point_the_servers_then_a_networks_then_the_first() -> None:
    frames = Talk().open().frames
    spots = [Spot("eth9"), Spot("network:core"), Spot("host:server:eth0", SERVER)]
    for points, best in ((3, "host:server:eth0"), (2, "network:core"), (1, "eth9")):
        seen = [(point, time_ns + point, frame) for time_ns, frame in frames for point in range(points)]
        capture = Capture.open(pcapng(spots, sorted(seen, key=lambda each: each[1])))
        assert [each.point for each in capture.once(capture.connections())] == [best]
