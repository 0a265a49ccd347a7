"""One file or a set of files, the newest kept: what was recorded, and what says that something is missing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from appbed.agent.pcapng import Counts, Point
from appbed.agent.recording import Limits, Recording, forget, written
from appbed.analysis import Capture, analyze
from appbed.analysis.ladder import draw

POINTS = (Point("host:client:eth0", "10.77.1.10"), Point("network:campus", "10.77.1.0/24"))
START_NS = 1_700_000_000_000_000_000
FRAME = b"\2" * 12 + b"\x88\xb5" + bytes(996)


class Session:
    """Frames, numbered, at both points in turn; counted as a capture process counts them."""

    def __init__(self, folder: Path, name: str = "c", limits: Limits = Limits(), start_ns: int = START_NS) -> None:  # noqa: B008
        self.delivered, self.dropped, self.start_ns = [0, 0], [0, 0], start_ns
        self.recording = Recording(folder, name, POINTS, 262_144, limits, self.counts)

    def counts(self) -> list[Counts]:
        return [Counts(self.start_ns, n + d, d, n) for n, d in zip(self.delivered, self.dropped, strict=True)]

    def take(self, count: int) -> Session:
        for _ in range(count):
            number = sum(self.delivered)
            try:
                self.recording.frame(
                    number % 2, self.start_ns + number, FRAME + number.to_bytes(4, "big"), len(FRAME) + 4
                )
            finally:
                self.delivered[number % 2] += 1
        return self

    def close(self) -> Session:
        self.recording.close(["", ""])
        return self


def numbers(capture: Capture) -> list[int]:
    return [int.from_bytes(packet.frame[-4:], "big") for packet in capture.packets()]


def test_without_limits_it_is_one_file(tmp_path: Path) -> None:
    session = Session(tmp_path).take(500).close()
    assert [path.name for path in tmp_path.iterdir()] == ["c.pcapng"]
    capture = Capture.open(tmp_path / "c.pcapng")
    assert numbers(capture) == list(range(500))
    assert session.recording.frames == [250, 250]
    assert session.recording.size == (tmp_path / "c.pcapng").stat().st_size
    assert (capture.drops, capture.incomplete, capture.notes) == (0, (), ())


def test_a_set_has_the_names_by_which_wireshark_knows_one(tmp_path: Path) -> None:
    Session(tmp_path, limits=Limits(100_000)).take(500).close()
    files = written(tmp_path, "c")
    assert len(files) > 4
    for number, path in enumerate(files, 1):
        prefix, count, date = path.stem.split("_")
        assert (prefix, count, len(date), date.isdecimal()) == ("c", f"{number:05}", 14, True)
        assert path.stat().st_size <= 100_000 + 200  # the statistics come behind the last frame


def test_a_set_is_read_as_one_capture(tmp_path: Path) -> None:
    session = Session(tmp_path, limits=Limits(100_000)).take(500)
    session.dropped = [0, 3]
    session.close()
    for source in (written(tmp_path, "c"), tmp_path):
        capture = Capture.open(source)
        assert numbers(capture) == list(range(500))
        assert [(point.name, point.delivered) for point in capture.points] == [(p.name, 250) for p in POINTS]
        assert capture.drops == 3, "counters run from the capture's beginning: they are not added up"
        assert capture.faults == ()


def test_of_a_ring_the_newest_files_stay_and_it_says_what_went(tmp_path: Path) -> None:
    session = Session(tmp_path, limits=Limits(100_000, 3)).take(1000).close()
    files = written(tmp_path, "c")
    assert len(files) == 3
    capture = Capture.open(files)
    kept = numbers(capture)
    assert kept == list(range(1000 - len(kept), 1000))
    assert 200 < len(kept) == sum(session.recording.frames)
    gone = 500 - session.recording.frames[0]
    said = f"host:client:eth0: {gone} packets were captured and are not here: limited, or in other files"
    assert said in capture.incomplete
    assert said in analyze(capture).notes
    assert said in draw(capture).notes


def test_one_file_of_a_set_says_that_there_are_others(tmp_path: Path) -> None:
    Session(tmp_path, limits=Limits(100_000)).take(500).close()
    first, second, *_ = written(tmp_path, "c")
    assert Capture.open(first).incomplete == ()
    held, before = Capture.open(second), len(Capture.open(first).packets())
    assert sum(int(line.split()[1]) for line in held.incomplete) == before


def test_a_frame_larger_than_a_file_may_be_is_a_file(tmp_path: Path) -> None:
    Session(tmp_path, limits=Limits(500)).take(3).close()
    assert [numbers(Capture.open(path)) for path in written(tmp_path, "c")] == [[0], [1], [2]]


def test_captures_made_one_after_the_other_are_added_up(tmp_path: Path) -> None:
    for name, start_ns, dropped in (("a", START_NS, 2), ("b", START_NS + 10**9, 5)):
        session = Session(tmp_path, name, start_ns=start_ns).take(10)
        session.dropped = [dropped, 0]
        session.close()
    capture = Capture.open(tmp_path)
    assert (capture.drops, len(capture.points), len(capture.packets())) == (7, 2, 20)
    joined = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert Capture.open(joined).drops == 7


def test_a_file_cut_short_does_not_spoil_the_others(tmp_path: Path) -> None:
    Session(tmp_path, limits=Limits(100_000)).take(500).close()
    first, second, *_ = written(tmp_path, "c")
    first.write_bytes(first.read_bytes()[:50_000])
    second.write_bytes(b"no capture at all, but longer than a header")
    capture = Capture.open(tmp_path)
    assert numbers(capture)[-1] == 499
    assert any(line.startswith(f"{first.name}: byte 4") for line in capture.faults)
    assert any(line.startswith(f"{second.name}: byte 0") for line in capture.faults)
    assert any("not read" in line and first.name in line and second.name in line for line in capture.incomplete)


def test_a_disk_that_fills_up_leaves_a_sound_file_with_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(tmp_path).take(100)
    session.recording.flush()
    monkeypatch.setattr(session.recording._writer, "_file", Full(session.recording._writer._file))
    with pytest.raises(OSError, match="No space left"):
        session.take(5000)
    assert (tmp_path / "c.reserve").exists()
    monkeypatch.undo()  # room again: the reserve went
    session.dropped = [0, 4]
    session.recording.close(["it was full", "it was full"])
    assert not (tmp_path / "c.reserve").exists()
    capture = Capture.open(tmp_path / "c.pcapng")
    assert numbers(capture) == list(range(100))
    assert capture.faults == ()
    assert capture.drops == 4
    assert "host:client:eth0: it was full" in capture.notes


@pytest.mark.parametrize("where", ["ending a file", "beginning the next"])
def test_a_disk_that_fills_up_when_files_change_leaves_sound_files_with_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    session = Session(tmp_path, limits=Limits(100_000, 1)).take(50)
    session.recording.flush()
    if where == "ending a file":
        monkeypatch.setattr(session.recording._writer, "_file", Full(session.recording._writer._file))
    else:
        monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left"):
        session.take(500)
    monkeypatch.undo()  # room again: the reserve went
    session.dropped = [0, 4]
    session.recording.close(["it was full", "it was full"])
    (file,) = tmp_path.iterdir()
    assert written(tmp_path, "c") == [file]
    capture = Capture.open(file)
    kept = numbers(capture)
    assert kept == (list(range(len(kept))) if where == "ending a file" else [])
    assert sum(session.recording.frames) == len(kept)
    assert (capture.faults, capture.drops) == ((), 4)
    assert "host:client:eth0: it was full" in capture.notes


def test_a_recording_whose_next_file_never_has_room_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(tmp_path, limits=Limits(100_000)).take(50)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left"):
        session.take(500)
    session.close()
    assert 90 < sum(session.recording.frames) < 100
    assert session.recording.size == written(tmp_path, "c")[0].stat().st_size


def full(path: Path, mode: str = "r", buffering: int = -1) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Full:
    """A file that takes nothing more."""

    def __init__(self, file: object) -> None:
        self._file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_nothing_of_a_recording_stays_when_it_is_forgotten(tmp_path: Path) -> None:
    killed = Session(tmp_path, limits=Limits(100_000)).take(500)
    killed.recording._file.close()  # the system does it then
    Session(tmp_path, "c2").close()
    forget(tmp_path, "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c2.pcapng"]
