"""Both file formats, both byte orders, every resolution; and files that are cut, damaged or no captures."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from traffic import CLIENT, RESOLVER, START_NS, Spot, Talk, block, option, packet_block, pcap, pcapng, udp

from appbed.analysis import Capture
from appbed.errors import CaptureError

FRAMES = [(START_NS + n * 1_234_567, udp(CLIENT, 5000 + n, RESOLVER, 9, b"x" * n)) for n in range(5)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_in_either_order_and_resolution(order: str, nanoseconds: bool) -> None:
    capture = Capture.open(pcap(FRAMES, order, nanoseconds))
    assert [packet.frame for packet in capture.packets()] == [frame for _, frame in FRAMES]
    unit = 1 if nanoseconds else 1000
    assert list(capture.index.times) == [time_ns // unit * unit for time_ns, _ in FRAMES]
    assert capture.drops is None
    assert capture.faults == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("resolution", [None, 3, 6, 9, 10, 0x80 | 20, 0x80 | 30])
def test_pcapng_in_any_resolution(order: str, resolution: int | None) -> None:
    spots = [Spot("host:client:eth0", CLIENT, "1 of 2", resolution), Spot("network:campus", drops=3)]
    capture = Capture.open(pcapng(spots, [(0, time_ns, frame) for time_ns, frame in FRAMES], order))
    code = 6 if resolution is None else resolution
    step_s = 2.0 ** -(code & 0x7F) if code & 0x80 else 10.0**-code
    for packet, (time_ns, frame) in zip(capture.packets(), FRAMES, strict=True):
        assert packet.frame == frame
        assert packet.time_s == pytest.approx(time_ns / 1e9, rel=0, abs=step_s + 5e-7)


def test_points_tell_plane_place_address_and_drops() -> None:
    spots = [Spot("host:client:eth0", CLIENT, "a comment"), Spot("network:campus", drops=3), Spot("eth7", drops=None)]
    capture = Capture.open(pcapng(spots, []))
    client, campus, foreign = capture.points
    assert (client.plane, client.place, client.address, client.comment) == ("host", "client", CLIENT, "a comment")
    assert (campus.plane, campus.place, campus.dropped) == ("network", "campus", 3)
    assert (foreign.plane, foreign.place, foreign.dropped) == ("", "eth7", None)
    assert capture.drops == 3


def test_no_statistics_is_not_no_drops() -> None:
    assert Capture.open(pcapng([Spot("eth0", drops=None)], [])).drops is None
    assert Capture.open(pcapng([Spot("eth0", drops=0)], [])).drops == 0


def test_drops_marked_on_packets_count_without_statistics() -> None:
    data = pcapng([Spot("eth0", drops=None)], [])
    dropped = option(4, struct.pack("<Q", 7)) + option(0, b"")
    assert Capture.open(data + packet_block(0, START_NS, FRAMES[0][1], extra=dropped)).drops == 7


def test_latest_statistics_count() -> None:
    earlier = pcapng([Spot("eth0", drops=1)], [])
    later = struct.pack("<III", 0, 0, 0) + option(5, struct.pack("<Q", 5)) + option(0, b"")
    assert Capture.open(earlier + block(5, later)).drops == 5


def test_concatenated_files_are_one_capture_with_the_same_points() -> None:
    first = pcapng([Spot("host:client:eth0"), Spot("network:campus")], [(0, *FRAMES[0])])
    second = pcapng([Spot("network:campus"), Spot("host:client:eth0")], [(0, *FRAMES[1])], ">")
    capture = Capture.open(first + second)
    assert [point.name for point in capture.points] == ["host:client:eth0", "network:campus"]
    assert [packet.point for packet in capture.packets()] == ["host:client:eth0", "network:campus"]


def test_simple_and_obsolete_packet_blocks() -> None:
    frame = FRAMES[3][1]
    padded = frame + b"\0" * (-len(frame) % 4)
    simple = block(3, struct.pack("<I", len(frame)) + padded)
    old = block(2, struct.pack("<HHIIII", 0, 2, 0, 5, len(frame), len(frame)) + padded)
    capture = Capture.open(pcapng([Spot("eth0", drops=None)], []) + simple + old)
    assert [packet.frame for packet in capture.packets()] == [frame, frame]
    assert capture.drops == 2


def boundaries(data: bytes, at: int) -> set[int]:
    """Where records or blocks of a little-endian file end."""
    ends = set()
    while at < len(data):
        ends.add(at)
        at += (
            struct.unpack_from("<I", data, at + 8)[0] + 16 if 24 in ends else struct.unpack_from("<I", data, at + 4)[0]
        )
    return ends


@pytest.mark.parametrize("make", [pcap, lambda frames: pcapng([Spot("e")], [(0, *timed) for timed in frames])])
def test_cut_anywhere_keeps_what_is_whole_and_says_so(make) -> None:  # type: ignore[no-untyped-def]
    data = make(FRAMES)
    whole = len(Capture.open(data).packets())
    record_ends = boundaries(data, 24 if make is pcap else 0)
    counts = []
    for cut in range(len(data) - 1, 28, -1):
        capture = Capture.open(data[:cut])
        counts.append(len(capture.packets()))
        frames = [packet.frame for packet in capture.packets()]
        assert frames == [frame for _, frame in FRAMES[: len(frames)]]
        assert bool(capture.faults) == (cut not in record_ends)
    assert counts[0] >= whole - 1
    assert counts == sorted(counts, reverse=True)


def test_a_cut_file_names_the_place() -> None:
    (fault,) = Capture.open(pcap(FRAMES)[:-3]).faults
    assert fault.startswith("byte ")
    assert "read up to here" in fault


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\xd4\xc3\xb2\xa1", "shorter than the header"),
        (b"GIF89a" + b"\0" * 30, "neither a pcap nor a pcapng"),
        (b"\x1f\x8b" + b"\0" * 30, "decompress"),
    ],
)
def test_not_a_capture(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=says):
        Capture.open(data)
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(CaptureError, match=r"file: .*" + says):
        Capture.open(tmp_path / "file")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"nowhere\.pcap: No such file"):
        Capture.open(tmp_path / "nowhere.pcap")


def test_no_packets_is_a_capture() -> None:
    capture = Capture.open(pcap([]))
    assert (len(capture.packets()), capture.connections(), capture.dns(), capture.http()) == (0, (), (), ())


def test_nonsense_lengths_stop_with_a_reason() -> None:
    nonsense = struct.pack("<IIII", 0, 0, 0xFFFF_FFFF, 10)
    capture = Capture.open(pcap(FRAMES) + nonsense + b"\0" * 99)
    assert len(capture.packets()) == 5
    assert "damaged" in capture.faults[-1]


def test_unknown_link_type_is_said_and_packets_are_counted() -> None:
    capture = Capture.open(pcap(FRAMES, link=105))
    assert [packet.protocol for packet in capture.packets()] == ["unread"] * 5
    assert any("link type 105" in fault for fault in capture.faults)


def test_an_unknown_point_names_the_known_ones() -> None:
    capture = Capture.open(pcapng([Spot("host:client:eth0"), Spot("host:client:eth1"), Spot("network:campus")], []))
    with pytest.raises(CaptureError, match=r"host:clint.*known: host:client:eth0, host:client:eth1, network:campus"):
        capture.packets("host:clint")
    with pytest.raises(CaptureError, match="more than one"):
        capture.point("host:client")
    assert capture.point("network:campus").number == 2


def test_packets_of_two_points_are_one_timeline() -> None:
    frames = Talk().open().frames
    written = [(0, *timed) for timed in frames] + [(1, time_ns + 500, frame) for time_ns, frame in frames]
    capture = Capture.open(pcapng([Spot("network:campus"), Spot("network:core")], written))
    assert [packet.number for packet in capture.packets()] == [1, 4, 2, 3, 5, 6]
    assert [packet.number for packet in capture.packets("network:core")] == [4, 5, 6]
