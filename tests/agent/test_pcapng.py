"""What the agent writes, the analysis reads: a round trip through appbed.analysis."""

from __future__ import annotations

import errno
import io
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer

from appbed.agent.pcapng import Counts, Point, Writer
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
    writer.statistics(0, NOW, Counts(NOW - 5, 100, 0, 100))
    writer.statistics(1, NOW, Counts(NOW - 5, 2**33, 7, 2**33 - 7), "it was full")
    capture = written(writer, file)
    found = [(point.received, point.dropped, point.delivered, point.remark) for point in capture.points]
    assert found == [(100, 0, 100, ""), (2**33, 7, 2**33 - 7, "it was full")]
    assert capture.drops == 7


@pytest.mark.parametrize("size", [1, 2, 3, 4, 59, 60, 61, 62])
def test_every_block_is_a_multiple_of_four_and_says_its_length_twice(size: int) -> None:
    writer, file = new()
    writer.point(Point("x" * size, "d" * size, "c" * size), size)
    writer.frame(0, NOW, bytes(size), size)
    writer.statistics(0, NOW, Counts(NOW, 1, 0, 1), "c" * size)
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


class Disk(io.BytesIO):
    """A file on a disk with room for so many bytes; a write takes what still fits before one fails, as write(2) does."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: Buffer, /) -> int:
        fits = self.room - self.tell()
        if fits <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(bytes(data)[:fits])


@pytest.mark.parametrize("room", [300, 301, 399, 400, 499, 500, 1000])
def test_on_a_full_disk_the_file_ends_with_the_last_block_that_fitted(room: int) -> None:
    file = Disk(room)
    writer = Writer(file, "appbed")
    writer.point(HOST, 0)
    for number in range(10):
        writer.frame(0, NOW + number, bytes([number]) * 66, 66)
    with pytest.raises(OSError, match="No space left"):
        writer.flush()
    assert writer.size == len(file.getvalue())
    assert room - 100 < writer.size <= room
    capture = Capture.open(file.getvalue())
    assert capture.faults == ()
    frames = [bytes(packet.frame) for packet in capture.packets()]
    assert frames == [bytes([number]) * 66 for number in range(len(frames))]
    assert writer.frames == [len(frames)]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: install it to compare")
def test_tshark_reads_points_times_and_drops(tmp_path: Path) -> None:
    file = tmp_path / "points.pcapng"
    with file.open("wb") as out:
        writer = Writer(out, "appbed")
        for point in (HOST, NETWORK):
            writer.point(point, 96)
        for number, size in enumerate((96, 60)):
            writer.frame(number, NOW + number, HEADER + bytes(size - len(HEADER)), 98)
            writer.statistics(number, NOW + 2, Counts(NOW, 9, number, 9 - number), "a remark")
        writer.close()
    fields = ("frame.interface_name", "frame.interface_description", "frame.time_epoch", "frame.cap_len", "frame.len")
    argv = ["tshark", "-n", "-r", str(file), "-T", "fields", *(part for field in fields for part in ("-e", field))]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert [line.split("\t") for line in shown] == [
        ["host:client:eth0", "10.77.1.10", "1700000000.123456789", "96", "98"],
        ["network:campus", "10.77.1.0/24", "1700000000.123456790", "60", "98"],
    ]
    said = subprocess.run(["capinfos", str(file)], check=True, capture_output=True, text=True, timeout=60).stdout
    for words in (
        "Name = host:client:eth0",
        "Comment = network campus",
        "Capture length = 96",
        "Number of stat entries = 1",
    ):
        assert words in said
