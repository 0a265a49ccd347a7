"""The back-end's own counters beside the captures: what left a host and was not on the wire is what its cable says it dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appbed.analysis import Capture, Point

Counts = Mapping[str, Mapping[str, Mapping[str, int]] | None]
"""By attachment and direction, as an agent counts."""

_GROUP = 1  # of the first octet: broadcast and multicast
_UNDER_WAY = 3  # frames seen by one and not yet by the other, if there was traffic at the moment of looking


@dataclass(frozen=True, slots=True)
class _Seen:
    """Frames at one point by source and destination, link-layer addresses."""

    frames: Mapping[tuple[bytes, bytes], int]

    def sent(self, mac: bytes) -> int:
        return sum(count for (source, _), count in self.frames.items() if source == mac)

    def to(self, mac: bytes) -> int:
        """To this host or to all, from others."""
        return sum(
            count
            for (source, target), count in self.frames.items()
            if source != mac and (target == mac or target[0] & _GROUP)
        )

    def others(self, mac: bytes) -> int:
        """From others to others: a bridge that does not know the target sends them everywhere."""
        total = sum(count for (source, _), count in self.frames.items() if source != mac)
        return total - self.to(mac)


def reconcile(capture: Capture, lines: Iterable[Mapping[str, Any]], counted: Sequence[Counts]) -> list[str]:
    """What does not agree, a line each.

    `lines` are links as the agent shows them; `counted` is their counters before the capture began, once it had, before it
    ended, and once it had. A cable plugged in meanwhile began to count anew and is left out.
    """
    wrong = []
    seen: dict[int, _Seen] = {}
    for line in lines:
        name = str(line["attachment"])
        counters = [each.get(name) or {} for each in counted]
        if not line.get("mac") or not _one_plug(counters):
            continue
        mac = bytes.fromhex(str(line["mac"]).replace(":", ""))
        network = name.partition("@")[2]
        host = _point(capture, lambda point, line=line: point.plane == "host" and point.address == line["address"])
        wire = _point(capture, lambda point, network=network: point.name == f"network:{network}")
        for where in (host, wire):
            if where and where.number not in seen:
                seen[where.number] = _looked(capture, where)
        at_host, on_wire = (seen[where.number] if where else None for where in (host, wire))
        for what, least, most, field in _compared(mac, line, at_host, on_wire):
            direction, kind = field
            moments = [int(each[direction][kind]) for each in counters]
            low, high = moments[2] - moments[1], moments[3] - moments[0]
            busy = _UNDER_WAY if low != high else 0
            if most < low - busy or least > high + busy:
                frames = f"{least}" if least == most else f"{least} to {most}"
                wrong.append(f"{name} {direction}: {frames} frames {what}, its cable says {_range(low, high)}")
    return wrong


def _compared(
    mac: bytes, line: Mapping[str, Any], host: _Seen | None, wire: _Seen | None
) -> Iterable[tuple[str, int, int, tuple[str, str]]]:
    """What was seen, at least and at most, and the counter that must agree."""
    # netem counts a copy as one that came in, and may damage the address a frame is known by.
    netem = line["cable"] == "netem"
    up, down = line["set"]["up"], line["set"]["down"]
    if netem and ("corrupt" in up or "corrupt" in down):
        return
    if host:
        if not (netem and "duplicate" in up):
            yield "left the host", host.sent(mac), host.sent(mac), ("up", "frames_in")
        arrived = host.to(mac) + host.others(mac)
        yield "reached the host", arrived, arrived, ("down", "frames_out")
    if wire:
        yield "came onto the wire", wire.sent(mac), wire.sent(mac), ("up", "frames_out")
        if not (netem and "duplicate" in down):
            to = wire.to(mac)
            astray = host is not None and not host.others(mac)
            yield "were sent to it on the wire", to, to + (0 if astray else wire.others(mac)), ("down", "frames_in")


def _one_plug(counters: Sequence[Mapping[str, Mapping[str, int]]]) -> bool:
    """A cable was there all the time: its counters only grew."""
    for direction in ("up", "down"):
        for kind in ("frames_in", "frames_out"):
            values = [each.get(direction, {}).get(kind, -1) for each in counters]
            if -1 in values or values != sorted(values):
                return False
    return True


def _looked(capture: Capture, point: Point) -> _Seen:
    index = capture.index
    frames: Counter[tuple[bytes, bytes]] = Counter()
    for row in index.order:
        if index.points[row] == point.number:
            frame = bytes(index.frame(row)[:12])
            frames[frame[6:], frame[:6]] += 1
    return _Seen(frames)


def _point(capture: Capture, wanted: Any) -> Point | None:
    return next((point for point in capture.points if wanted(point)), None)


def _range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"
