"""What the agent writes, the analysis reads: a round trip through appbed.analysis."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appbed.agent.pcapng import Point, Writer
from appbed.analysis import Capture

HOST = Point("host:client:eth0", "10.77.1.10", "network campus")
NETWORK = Point("network:campus", "10.77.1.0/24")
HEADER = b"\2" * 12 + b"\x88\xb5"  # an EtherType nobody dissects
NOW = 1_700_000_000_123_456_789


def written(writer: Writer, file: io.BytesIO) -> Capture:
    writer.close()
    assert writer.size == len(file.getvalue())
    capture = Capture.open(file.getvalue())
    assert capture.faults == ()
    return capture


def new() -> tuple[Writer, io.BytesIO]:
    file = io.BytesIO()
    return Writer(file, "appbed"), file


def test_points_keep_name_description_and_comment() -> None:
    writer, file = new()
    assert [writer.point(HOST, 262_144), writer.point(NETWORK, 96)] == [0, 1]
    host, network = written(writer, file).points
    assert (host.name, host.address, host.comment, host.snap_bytes) == (
        "host:client:eth0",
        "10.77.1.10",
        "network campus",
        262_144,
    )
    assert (network.name, network.address, network.comment, network.snap_bytes) == (
        "network:campus",
        "10.77.1.0/24",
        "",
        96,
    )
    assert (host.plane, network.plane) == ("host", "network")
    assert host.dropped is None


frames = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2**62), st.binary(max_size=200), st.integers(0, 100)),
    max_size=20,
).map(lambda drawn: [(point, when, HEADER + data, cut) for point, when, data, cut in drawn])


@given(frames)
@settings(max_examples=30)
def test_frames_come_back_with_point_time_bytes_and_length(entered: list[tuple[int, int, bytes, int]]) -> None:
    writer, file = new()
    for point in (HOST, NETWORK):
        writer.point(point, 262_144)
    for point_, time_ns, data, cut in entered:
        writer.frame(point_, time_ns, data, len(data) + cut)
    index = written(writer, file).index
    found = [
        (index.points[i], index.times[i], bytes(index.frame(i)), index.lengths[i]) for i in range(len(index.times))
    ]
    assert found == [(point_, time_ns, data, len(data) + cut) for point_, time_ns, data, cut in entered]


def test_statistics_say_what_the_kernel_counted_at_each_point() -> None:
    writer, file = new()
    writer.point(HOST, 0)
    writer.point(NETWORK, 0)
    writer.statistics(0, NOW, 100, 0)
    writer.statistics(1, NOW, 2**33, 7)
    capture = written(writer, file)
    assert [(point.received, point.dropped) for point in capture.points] == [(100, 0), (2**33, 7)]
    assert capture.drops == 7


@pytest.mark.parametrize("size", [1, 2, 3, 4, 59, 60, 61, 62])
def test_every_block_is_a_multiple_of_four_and_says_its_length_twice(size: int) -> None:
    writer, file = new()
    writer.point(Point("x" * size, "d" * size, "c" * size), size)
    writer.frame(0, NOW, bytes(size), size)
    writer.statistics(0, NOW, 1, 0)
    writer.close()
    data, kinds = file.getvalue(), []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0
        assert data[length - 4 : length] == struct.pack("<I", length)
        kinds.append(kind)
        data = data[length:]
    assert kinds == [0x0A0D0D0A, 1, 6, 5]


def test_names_may_be_any_text() -> None:
    writer, file = new()
    writer.point(Point("host:café:eth0", "läßt", "✓"), 0)
    (point,) = written(writer, file).points
    assert (point.name, point.address, point.comment) == ("host:café:eth0", "läßt", "✓")


def test_much_is_written_before_the_end_and_nothing_is_lost() -> None:
    writer, file = new()
    writer.point(HOST, 0)
    for number in range(1000):
        writer.frame(0, NOW + number, number.to_bytes(2, "big") * 700, 1400)
    assert len(file.getvalue()) > 1 << 20, "memory holds a piece, not the capture"
    index = written(writer, file).index
    assert [bytes(index.frame(i)[:2]) for i in range(1000)] == [i.to_bytes(2, "big") for i in range(1000)]


def test_what_was_flushed_can_be_read_while_the_capture_goes_on() -> None:
    writer, file = new()
    writer.point(HOST, 0)
    writer.frame(0, NOW, b"x" * 60, 60)
    writer.flush()
    assert len(Capture.open(file.getvalue()).packets()) == 1
