"""The options of pcapng blocks: what they hold, and how an interface counts time."""

from __future__ import annotations

import mmap
import struct


def options(buffer: bytes | mmap.mmap, at: int, end: int, order: str) -> dict[int, bytes]:
    """A block's options by code; repeated ones (comments) are joined by line breaks."""
    found: dict[int, bytes] = {}
    unpack = struct.Struct(order + "HH").unpack_from
    while at + 4 <= end:
        code, length = unpack(buffer, at)
        if code == 0 or at + 4 + length > end:
            break
        value = bytes(buffer[at + 4 : at + 4 + length])
        found[code] = found[code] + b"\n" + value if code == 1 and code in found else value
        at += 4 + (length + 3 & ~3)
    return found


def text(block: dict[int, bytes], code: int) -> str:
    """A text option, "" where it is missing."""
    return block.get(code, b"").rstrip(b"\0").decode("utf-8", "replace")


def number(block: dict[int, bytes], code: int, order: str) -> int | None:
    """A 64-bit counter, None where it is missing."""
    value = block.get(code, b"")
    return int(struct.unpack(order + "Q", value)[0]) if len(value) == 8 else None


def resolution(block: dict[int, bytes], order: str) -> tuple[int, int, int]:
    """How ticks become nanoseconds: multiply by the first, divide by the second, add the third."""
    code = block.get(9, b"\x06")[:1] or b"\x06"
    exponent = code[0] & 0x7F
    per_second = 2**exponent if code[0] & 0x80 else 10**exponent
    offset = block.get(14, b"")
    offset_ns = struct.unpack(order + "q", offset)[0] * 1_000_000_000 if len(offset) == 8 else 0
    if 1_000_000_000 % per_second == 0:
        return 1_000_000_000 // per_second, 1, offset_ns
    return 1_000_000_000, per_second, offset_ns
