"""Reads bencoded values (BEP 3): integers, byte strings, lists, dictionaries."""

from __future__ import annotations

Value = int | bytes | list["Value"] | dict[bytes, "Value"]

MAX_DEPTH = 32
_MAX_DIGITS = 20


def decode(data: bytes) -> Value:
    """The value in these bytes; raises ValueError, with the place, where they are not bencoded."""
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise ValueError(f"byte {end}: {len(data) - end} bytes after the value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    kind = data[at : at + 1]
    if depth > MAX_DEPTH:
        raise ValueError(f"byte {at}: nested deeper than {MAX_DEPTH}")
    if kind == b"i":
        end = data.find(b"e", at, at + _MAX_DIGITS + 3)
        return _integer(data, at + 1, end), end + 1
    if kind.isdigit():
        colon = data.find(b":", at, at + _MAX_DIGITS)
        start = colon + 1
        end = start + _integer(data, at, colon)
        if end > len(data):
            raise ValueError(f"byte {at}: a string of {end - start} bytes, of which {len(data) - start} are there")
        return data[start:end], end
    if kind == b"l":
        return _list(data, at + 1, depth + 1)
    if kind == b"d":
        return _dictionary(data, at + 1, depth + 1)
    raise ValueError(f"byte {at}: {kind!r} begins no value")


def _integer(data: bytes, start: int, end: int) -> int:
    digits = data[start:end] if end > start else b""
    if not digits.removeprefix(b"-").isdigit():
        raise ValueError(f"byte {start}: {digits!r} is no integer")
    return int(digits)


def _list(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    found: list[Value] = []
    while data[at : at + 1] != b"e":
        value, at = _value(data, at, depth)
        found.append(value)
    return found, at + 1


def _dictionary(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Value], int]:
    found: dict[bytes, Value] = {}
    while data[at : at + 1] != b"e":
        key, at = _value(data, at, depth)
        if not isinstance(key, bytes):
            raise ValueError(f"byte {at}: a key must be a string")
        found[key], at = _value(data, at, depth)
    return found, at + 1
