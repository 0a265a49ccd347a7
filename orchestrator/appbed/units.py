"""Quantities as people write them ("20ms", "1%", "10mbit", "100 packets"): the only parser of units, in tc's words.

A bare number is refused except 0: 20 of what? Times are milliseconds inside, shares are percent, rates are bit/s.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from appbed.errors import UnitError

_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+)\s*([a-zA-Z%µ]*)\s*")
_TIME_MS = {"us": 1e-3, "µs": 1e-3, "usec": 1e-3, "ms": 1.0, "msec": 1.0, "s": 1e3, "sec": 1e3}
_RATE_BIT = {
    "bit": 1.0,
    "kbit": 1e3,
    "mbit": 1e6,
    "gbit": 1e9,
    "bps": 8.0,
    "kbps": 8e3,
    "mbps": 8e6,
    "gbps": 8e9,
}
_SIZE_BYTES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}


@dataclass(frozen=True, slots=True)
class Queue:
    """How much a rate-limited direction may hold: `packets`, or `ms` of time at its rate. One of the two."""

    packets: int | None = None
    ms: float | None = None

    def __str__(self) -> str:
        return f"{self.packets} packets" if self.packets is not None else format_ms(self.ms or 0.0)


def duration_ms(text: object) -> float:
    """Milliseconds of "20ms", "1.5s", "250us" or 0."""
    return _read(text, _TIME_MS, "a time", "20ms, 1.5s, 250us")


def share_pct(text: object) -> float:
    """Percent of "1%", "0.5%" or 0; between 0 and 100."""
    value = _read(text, {"%": 1.0}, "a share", "1%, 0.5%")
    if value > 100:
        raise UnitError(f"{text!r} is more than 100%", remedy="write a share between 0% and 100%")
    return value


def rate_bit(text: object) -> float:
    """Bit/s of "10mbit", "56kbit" (bits) or "1mbps" (bytes, as tc reads it); above 0."""
    value = _read(text, _RATE_BIT, "a rate", "10mbit, 56kbit, 1gbit (tc's words: mbps means megabytes per second)")
    if value <= 0:
        raise UnitError(f"{text!r} is no rate", remedy="a link that carries nothing is `state: down`")
    return value


def size_bytes(text: object) -> int:
    """Bytes of "16MB" (10^6), "64KiB" (2^10) or 0."""
    return round(_read(text, _SIZE_BYTES, "a size", "16MB, 64KiB, 200B"))


def queue(text: object) -> Queue:
    """A queue's size: "100 packets", "100" or 100 (packets), or "50ms" (of time at the rate)."""
    words = str(text).strip().lower()
    count = words.removesuffix("packets").removesuffix("packet").strip()
    if count.isdecimal():
        if int(count) < 1:
            raise UnitError(f"{text!r} is no queue", remedy="the smallest queue is 1 packet")
        return Queue(packets=int(count))
    try:
        ms = duration_ms(words)
    except UnitError:
        raise UnitError(f"{text!r} is no queue", remedy="write packets or a time: 100 packets, 50ms") from None
    if ms <= 0:
        raise UnitError(f"{text!r} is no queue", remedy="the smallest queue is 1 packet")
    return Queue(ms=ms)


def format_ms(ms: float) -> str:
    """Shortest of us, ms, s that says the time: 30.0 -> "30ms"."""
    if ms >= 1000:
        return f"{ms / 1000:.10g}s"
    return f"{ms:.10g}ms" if ms >= 1 or ms == 0 else f"{ms * 1000:.10g}us"


def format_rate(bit: float) -> str:
    """10e6 -> "10mbit"."""
    for unit in ("gbit", "mbit", "kbit"):
        if bit >= _RATE_BIT[unit]:
            return f"{bit / _RATE_BIT[unit]:.10g}{unit}"
    return f"{bit:.10g}bit"


def format_pct(pct: float) -> str:
    """0.5 -> "0.5%"."""
    return f"{pct:.10g}%"


def _read(text: object, units: dict[str, float] | dict[str, int], what: str, examples: str) -> float:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UnitError(f"{text!r} is not {what}", remedy=f"write it with its unit: {examples}")
    found = _NUMBER.fullmatch(str(text))
    if not found:
        raise UnitError(f"{text!r} is not {what}", remedy=f"write it with its unit: {examples}")
    number, unit = float(found[1]), found[2].lower()
    if not math.isfinite(number):
        raise UnitError(f"{text!r} is not {what}", remedy=f"write it with its unit: {examples}")
    if not unit:
        if number == 0:
            return 0.0
        raise UnitError(f"{text!r} has no unit", remedy=f"write it with its unit: {examples}")
    if unit not in units:
        raise UnitError(f"{text!r} is not {what}: unit {found[2]!r} unknown", remedy=f"write it as {examples}")
    return number * units[unit]
