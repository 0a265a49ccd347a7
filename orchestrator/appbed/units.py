"""Quantities as people write them ("20ms", "1%", "10mbit", "100 packets"): the only parser of units, in tc's words.

A bare number is refused except 0: 20 of what? Times are milliseconds inside, shares are percent, rates are bit/s.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from appbed.errors import UnitError

_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+)\s*([a-zA-Z%µ]*)\s*")
_TIME_MS = {"us": "1e-3", "µs": "1e-3", "usec": "1e-3", "ms": "1", "msec": "1", "s": "1e3", "sec": "1e3"}
_RATE_BIT = {"bit": "1", "kbit": "1e3", "mbit": "1e6", "gbit": "1e9"}
_RATE_BIT |= {"bps": "8", "kbps": "8e3", "mbps": "8e6", "gbps": "8e9"}
_SIZE_BYTES = {"b": "1", "kb": "1e3", "mb": "1e6", "gb": "1e9", "kib": "1024", "mib": "1048576", "gib": "1073741824"}
LONGEST_MS = 3.6e6
SLOWEST_BIT, FASTEST_BIT = 1.0, 1e12
_DIGITS = 18  # more than any count here can mean; int() itself refuses thousands


@dataclass(frozen=True, slots=True)
class Queue:
    """How much a rate-limited direction may hold: `packets`, or `ms` of time at its rate. One of the two."""

    packets: int | None = None
    ms: float | None = None

    def __str__(self) -> str:
        return f"{self.packets} packets" if self.packets is not None else format_ms(self.ms or 0.0)


def duration_ms(text: object) -> float:
    """Milliseconds of "20ms", "1.5s", "250us" or 0."""
    value = _read(text, _TIME_MS, "a time", "20ms, 1.5s, 250us")
    if value > LONGEST_MS:
        raise UnitError(f"{text!r} is too long for a link", remedy="the longest time is an hour: 3600s")
    return value


def share_pct(text: object) -> float:
    """Percent of "1%", "0.5%" or 0; between 0 and 100."""
    value = _read(text, {"%": "1"}, "a share", "1%, 0.5%")
    if value > 100:
        raise UnitError(f"{text!r} is more than 100%", remedy="write a share between 0% and 100%")
    return value


def rate_bit(text: object) -> float:
    """Bit/s of "10mbit", "56kbit" (bits) or "1mbps" (bytes, as tc reads it); above 0."""
    value = _read(text, _RATE_BIT, "a rate", "10mbit, 56kbit, 1gbit (tc's words: mbps means megabytes per second)")
    if value <= 0:
        raise UnitError(f"{text!r} is no rate", remedy="a link that carries nothing is `state: down`")
    if not SLOWEST_BIT <= value <= FASTEST_BIT:
        raise UnitError(f"{text!r} is no rate a link can have", remedy="write one from 1bit to 1000gbit")
    return value


def size_bytes(text: object) -> int:
    """Bytes of "16MB" (10^6), "64KiB" (2^10) or 0."""
    return round(_read(text, _SIZE_BYTES, "a size", "16MB, 64KiB, 200B"))


def queue(text: object) -> Queue:
    """A queue's size: "100 packets", "100" or 100 (packets), or "50ms" (of time at the rate)."""
    words = str(text).strip().lower()
    count = words.removesuffix("packets").removesuffix("packet").strip()
    if count.isdecimal():
        packets = whole(count, "queue")
        if packets < 1:
            raise UnitError(f"{text!r} is no queue", remedy="the smallest queue is 1 packet")
        return Queue(packets=packets)
    try:
        ms = duration_ms(words)
    except UnitError:
        raise UnitError(f"{text!r} is no queue", remedy="write packets or a time: 100 packets, 50ms") from None
    if ms <= 0:
        raise UnitError(f"{text!r} is no queue", remedy="the smallest queue is 1 packet")
    return Queue(ms=ms)


def whole(text: object, what: str) -> int:
    """A whole number from 0, as text or as a number; `what` names it in the error."""
    digits = str(text).strip()
    if isinstance(text, bool) or not digits.isdecimal() or len(digits) > _DIGITS:
        raise UnitError(f"{text!r:.40} is no {what}", remedy=f"write a whole number of at most {_DIGITS} digits")
    return int(digits)


def moment_s(text: object) -> float:
    """Seconds since 1970 of "2026-11-22T20:15:00", local time unless it says otherwise ("+00:00")."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UnitError(f"{str(text)[:80]!r} is no time", remedy="write date and time: 2026-11-22T20:15:00") from None


def format_ms(ms: float) -> str:
    """A time in us, ms or s, exactly: 30.0 -> "30ms"."""
    unit = "s" if ms >= 1000 else "us" if 0 < ms < 1 else "ms"
    return _written(ms, _TIME_MS, unit)


def format_rate(bit: float) -> str:
    """10e6 -> "10mbit", exactly."""
    unit = next((unit for unit in ("gbit", "mbit", "kbit") if bit >= float(_RATE_BIT[unit])), "bit")
    return _written(bit, _RATE_BIT, unit)


def format_pct(pct: float) -> str:
    """0.5 -> "0.5%", exactly."""
    return _written(pct, {"%": "1"}, "%")


def _written(value: float, units: dict[str, str], unit: str) -> str:
    """Decimal, so that what is written reads back as the same float."""
    number = Decimal(repr(value)) / Decimal(units[unit])
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + unit


def _read(text: object, units: dict[str, str], what: str, examples: str) -> float:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UnitError(f"{text!r} is not {what}", remedy=f"write it with its unit: {examples}")
    found = _NUMBER.fullmatch(str(text))
    if not found:
        raise UnitError(f"{str(text)[:80]!r} is not {what}", remedy=f"write it with its unit: {examples}")
    try:
        number, unit = Decimal(found[1]), found[2].lower()
    except ArithmeticError:
        raise UnitError(
            f"{str(text)[:80]!r} is too large for {what}", remedy=f"write it with its unit: {examples}"
        ) from None
    if not unit and number != 0:
        raise UnitError(f"{text!r} has no unit", remedy=f"write it with its unit: {examples}")
    if unit and unit not in units:
        raise UnitError(f"{text!r} is not {what}: unit {found[2]!r} unknown", remedy=f"write it as {examples}")
    try:
        value = float(number * Decimal(units[unit])) if unit else 0.0
    except ArithmeticError:
        value = math.inf
    if not math.isfinite(value):
        raise UnitError(f"{str(text)[:80]!r} is too large for {what}", remedy=f"write it with its unit: {examples}")
    return value
