"""Saved evidence, and the same evidence made wrong by general means: what no scenario may still call PASSED."""

from __future__ import annotations

import lzma
import shutil
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from appbed.agent import pcapng
from appbed.analysis import Capture

SAVED = Path(__file__).parents[1] / "evidence"


@dataclass(frozen=True)
class Frame:
    point: str
    time_ns: int
    data: bytes


Mutation = Callable[[list[Frame]], Iterable[Frame]]


def evidence(scenario: str, to: Path, mutation: Mutation = lambda frames: frames, file: str = "capture.pcapng") -> Path:
    """A run's folder below `to` with one capture file, passed through `mutation`."""
    folder = to / scenario
    folder.mkdir()
    for saved in (SAVED / scenario).iterdir():
        if saved.name.endswith(".json.xz"):
            (folder / saved.stem).write_bytes(lzma.decompress(saved.read_bytes()))
        elif saved.suffix != ".xz":
            shutil.copy(saved, folder)
    capture = _saved(scenario, file)
    names = [point.name for point in capture.points]
    index = capture.index
    frames = [Frame(names[index.points[row]], index.times[row], index.frame(row)) for row in index.order]
    lengths = dict(zip(frames, (index.lengths[row] for row in index.order), strict=True))
    kept = list(mutation(frames))
    present = {frame.point for frame in kept} or set(names)
    with (folder / file).open("wb") as out:
        writer = pcapng.Writer(out, "mutants")
        numbers = {}
        for point in capture.points:
            if point.name in present:
                described = pcapng.Point(point.name, point.address, point.comment)
                numbers[point.name] = writer.point(described, 262_144)
        for frame in kept:
            writer.frame(numbers[frame.point], frame.time_ns, frame.data, lengths.get(frame, len(frame.data)))
        writer.close()
    return folder


def _saved(scenario: str, file: str) -> Capture:
    return Capture.open(lzma.decompress((SAVED / scenario / f"{file}.xz").read_bytes()))


def points(scenario: str, file: str = "capture.pcapng") -> list[str]:
    return [point.name for point in _saved(scenario, file).points]


def nothing(frames: list[Frame]) -> list[Frame]:
    """No packets at all."""
    return []


def without_point(name: str) -> Mutation:
    """One capture point missing."""
    return lambda frames: [frame for frame in frames if frame.point != name]


def stretched(frames: list[Frame]) -> list[Frame]:
    """All times stretched by 1.2 from the first frame on."""
    first = frames[0].time_ns
    return [replace(frame, time_ns=first + (frame.time_ns - first) * 6 // 5) for frame in frames]


def without_connection(number: int) -> Mutation:
    """One TCP connection removed, at every point; `number` counts from the first. Where there is none, one UDP conversation."""

    def mutate(frames: list[Frame]) -> list[Frame]:
        over = _is_tcp if any(_is_tcp(frame.data) for frame in frames) else _is_udp
        opened = list(dict.fromkeys(key for frame in frames if (key := _conversation(frame.data, over))))
        return [frame for frame in frames if _conversation(frame.data, over) != opened[number % len(opened)]]

    return mutate


def swapped(frames: list[Frame]) -> list[Frame]:
    """Directions swapped: what was sent was received, MAC and IP addresses and ports exchanged."""
    return [replace(frame, data=_turned(frame.data)) for frame in frames]


def one_reply_changed(frames: list[Frame]) -> list[Frame]:
    """One byte of one answer's payload changed at every point it was seen, its checksum made right again.

    The answer is the last one of HTTP with a body worth the name, else the last one of any server over TCP, else over UDP.
    """
    said = [frame.data for frame in frames if _has_payload(frame.data) and _port(frame.data, 0) < _port(frame.data, 2)]
    http = [data for data in said if _is_tcp(data) and _port(data, 0) in (80, 3128) and len(data) > 600]
    chosen = (http or [data for data in said if _is_tcp(data)] or said)[-1]
    return [
        replace(frame, data=_altered(frame.data)) if _body(frame.data) == _body(chosen) else frame for frame in frames
    ]


GENERAL: dict[str, Mutation] = {
    "no packets": nothing,
    "times stretched": stretched,
    "directions swapped": swapped,
    "one reply changed": one_reply_changed,
    **{f"connection {number} removed": without_connection(number) for number in range(4)},
}


def kind(name: str) -> str:
    """The mutant of which this is one: "connection removed" of "connection 3 removed"."""
    return " ".join(word for word in name.split() if not word.isdigit())


def _has_payload(frame: bytes) -> bool:
    if _is_tcp(frame):
        return struct.unpack_from(">H", frame, 16)[0] > 20 + 4 * (frame[46] >> 4)
    return _is_udp(frame)


def _is_udp(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[14] == 0x45 and frame[23] == 17


def _is_tcp(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[14] == 0x45 and frame[23] == 6


def _port(frame: bytes, which: int) -> int:
    port: int = struct.unpack_from(">H", frame, 34 + which)[0]
    return port


def _conversation(frame: bytes, over: Callable[[bytes], bool]) -> frozenset[tuple[bytes, int]] | None:
    if not over(frame):
        return None
    return frozenset({(frame[26:30], _port(frame, 0)), (frame[30:34], _port(frame, 2))})


def _turned(frame: bytes) -> bytes:
    if frame[12:14] != b"\x08\x00" or frame[14] != 0x45:
        return frame
    head = frame[6:12] + frame[0:6] + frame[12:26] + frame[30:34] + frame[26:30]
    return head + (frame[36:38] + frame[34:36] + frame[38:] if frame[23] in (6, 17) else frame[34:])


def _body(frame: bytes) -> bytes:
    """What is alike at every point, and when it is sent again: addresses, ports and sequence number; of UDP all."""
    return frame[26:42] if _is_tcp(frame) and _has_payload(frame) else frame[26:] if _is_udp(frame) else b""


def _altered(frame: bytes) -> bytes:
    """The last byte flipped; the checksum moves by the difference of the 16-bit word it stands in (RFC 1624)."""
    changed = bytearray(frame)
    changed[-1] ^= 0xFF
    size = struct.unpack_from(">H", frame, 16)[0] - 20
    shift = 0 if size % 2 == 0 else 8
    difference = (changed[-1] - frame[-1]) << shift
    at = 50 if _is_tcp(frame) else 40
    checksum = struct.unpack_from(">H", frame, at)[0]
    total = (~checksum & 0xFFFF) + difference
    while total >> 16 or total < 0:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into(">H", changed, at, ~total & 0xFFFF)
    return bytes(changed)
