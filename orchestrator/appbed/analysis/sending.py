"""Tells from two packets of one sender which was sent first, and whether they are copies of one another."""

from __future__ import annotations

import struct

from appbed.analysis.index import Index

_NEAR = 4_096
"""Senders count their packets in the IPv4 identification; numbers further apart than this are not counted."""


def sent_after(index: Index, later: int, earlier: int) -> bool | None:
    """Whether the one packet was sent after the other; None where they do not tell.

    By the TCP time stamps (RFC 7323), which do not go back; where these are equal or missing, by the IPv4
    identification, which most systems count up.
    """
    stamps = (_time_stamp(index, later), _time_stamp(index, earlier))
    if stamps[0] is not None and stamps[1] is not None and stamps[0] != stamps[1]:
        return (stamps[0] - stamps[1]) & 0xFFFF_FFFF < 1 << 31
    counts = (_identification(index, later), _identification(index, earlier))
    ahead = (counts[0] - counts[1]) & 0xFFFF
    if not all(counts) or not ahead or _NEAR < ahead < 0x1_0000 - _NEAR:
        return None
    return ahead < 0x8000


def is_copy(index: Index, later: int, earlier: int) -> bool:
    """Whether a link made two packets of one: a sender that repeats itself counts and stamps the packet anew."""
    count = _identification(index, later)
    if count and count == _identification(index, earlier):
        return index.transport_bytes(later) == index.transport_bytes(earlier)
    return False


def _identification(index: Index, number: int) -> int:
    """The IPv4 identification; 0 where there is none, which is also what uncounted packets carry."""
    at = index.transports[number] - 20
    head = index.frame(number)[at : at + 6] if at >= 0 else b""
    return int.from_bytes(head[4:6], "big") if head[:1] == b"\x45" else 0


def _time_stamp(index: Index, number: int) -> int | None:
    """The value of TCP's time stamp option."""
    header = index.transport_bytes(number)[: index.payloads_at[number] - index.transports[number]]
    at = 20
    while at < len(header) and header[at] != 0:
        if header[at] == 1:
            at += 1
            continue
        size = header[at + 1] if at + 1 < len(header) else 0
        if header[at] == 8 and size == 10 and at + 6 <= len(header):
            return int(struct.unpack_from(">I", header, at + 2)[0])
        if size < 2:
            return None
        at += size
    return None
