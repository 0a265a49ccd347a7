"""`ladder` and `analyze`: of one file, several, a folder; what is missing is said; what is no capture is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.agent.pcapng import Counts, Point, Writer
from command_line import Appbed

FRAME = b"\2" * 12 + b"\x88\xb5" + bytes(46)  # an EtherType nobody dissects


def capture(file: Path, numbers: range, *, dropped: int = 0, delivered: int | None = None) -> bytes:
    """Frames of one point, a second apart."""
    with file.open("wb") as out:
        writer = Writer(out, "test")
        writer.point(Point("host:client:eth0", "10.77.1.10"), 0)
        for number in numbers:
            writer.frame(0, number * 10**9, FRAME, len(FRAME))
        counted = len(numbers) if delivered is None else delivered
        writer.statistics(0, 10**18, Counts(1, counted + dropped, dropped, counted))
        writer.close()
    return file.read_bytes()


@pytest.mark.parametrize("command", ["analyze", "ladder"])
def test_a_capture_with_drops_says_so(appbed: Appbed, tmp_path: Path, command: str) -> None:
    capture(tmp_path / "c.pcapng", range(3), dropped=5)
    done = appbed(command, "c.pcapng")
    assert done.status == 0
    assert "the capture lost 5 packets: what is missing here may have happened" in done.out.splitlines()[-1]


def test_a_complete_capture_has_no_note(appbed: Appbed, tmp_path: Path) -> None:
    capture(tmp_path / "c.pcapng", range(3))
    assert "note: " not in appbed("analyze", "c.pcapng").out
    assert appbed("analyze", "c.pcapng", "--json").json["notes"] == []


def test_files_of_a_set_and_their_folder_are_one_capture(appbed: Appbed, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for part in range(3):
        capture(folder / f"c_{part}.pcapng", range(part * 10, part * 10 + 10), delivered=part * 10 + 10)
    files = sorted(str(file) for file in folder.iterdir())
    for named in (files, [str(folder)]):
        found = appbed("analyze", *named, "--json").json
        assert [(row["packets"], row["dropped"]) for row in found["points"]] == [(30, 0)]
        assert found["notes"] == []
    (note,) = appbed("analyze", files[2], "--json").json["notes"]
    assert note == "host:client:eth0: 20 packets were captured and are not here: limited, or in other files"


@pytest.mark.parametrize("command", ["analyze", "ladder"])
def test_a_truncated_file_is_read_as_far_as_it_goes(appbed: Appbed, tmp_path: Path, command: str) -> None:
    whole = capture(tmp_path / "c.pcapng", range(3))
    (tmp_path / "c.pcapng").write_bytes(whole[:-150])
    done = appbed(command, "c.pcapng")
    assert done.status == 0
    assert "not read: byte " in done.out
    assert "read up to here" in done.out


@pytest.mark.parametrize("command", ["analyze", "ladder"])
def test_a_capture_of_nothing_is_shown_as_one(appbed: Appbed, tmp_path: Path, command: str) -> None:
    capture(tmp_path / "c.pcapng", range(0))
    assert appbed(command, "c.pcapng").status == 0


@pytest.mark.parametrize("command", ["analyze", "ladder"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"GIF89a" + bytes(30), "c.pcapng: byte 0: 47 49 46 38 begins neither a pcap nor a pcapng file"),
        (b"", "c.pcapng: the file is empty"),
        (None, "c.pcapng: No such file or directory; give a readable capture file"),
    ],
)
def test_what_is_no_capture_is_refused(
    appbed: Appbed, tmp_path: Path, command: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "c.pcapng").write_bytes(content)
    done = appbed(command, "c.pcapng")
    assert done.status == 2
    assert done.complaint.startswith(says)


def test_a_folder_without_captures_is_refused(appbed: Appbed, tmp_path: Path) -> None:
    done = appbed("analyze", str(tmp_path))
    assert done.status == 2
    assert done.complaint == f"{tmp_path}: no capture in this folder; files end in .pcapng or .pcap"


def test_a_protocol_that_is_unknown_names_the_known_ones(appbed: Appbed, tmp_path: Path) -> None:
    capture(tmp_path / "c.pcapng", range(1))
    done = appbed("ladder", "c.pcapng", "--protocol", "gopher")
    assert done.status == 2
    assert done.complaint.startswith("protocol 'gopher': not known; known: ")
    assert "dns" in done.complaint


def test_a_remark_in_a_file_cannot_break_the_line(appbed: Appbed, tmp_path: Path) -> None:
    with (tmp_path / "c.pcapng").open("wb") as out:
        writer = Writer(out, "test")
        writer.point(Point("p"), 0)
        writer.statistics(0, 1, Counts(1, 0, 0, 0), "one\n\x1b[31mtwo")
        writer.close()
    assert "note: p: one??[31mtwo" in appbed("analyze", "c.pcapng").out.splitlines()
