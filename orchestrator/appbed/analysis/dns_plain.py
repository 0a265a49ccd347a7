"""Reads the plainest DNS messages fast: queries and responses of A, AAAA, NS, CNAME, PTR and MX records.

dnspython needs a third of a millisecond for a response, a capture holds a hundred thousand. Whatever is not plain, or
not right, is left to dnspython; what is read here must read the same there (a property test holds it).
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from socket import inet_ntoa
from typing import NamedTuple

HEADER_BYTES = 12
_CNAME, _MX, _OPT = 5, 15, 41
_NAMES = {2: "NS", _CNAME: "CNAME", 12: "PTR", _MX: "MX"}
_MAX_NAME_BYTES = 255
_MAX_TTL_S = 0x7FFF_FFFF
_RECORD = struct.Struct(">HHIH")


class DnsRecord(NamedTuple):
    """A resource record: (name, value, type, TTL) and its class; names are absolute, without the final dot."""

    name: str
    value: str
    type: str
    ttl_s: int
    rclass: str = "IN"


class Sections(NamedTuple):
    """The records of a message; `rcode` is the whole one where an OPT record extends it, else None."""

    answer: tuple[DnsRecord, ...] = ()
    authority: tuple[DnsRecord, ...] = ()
    additional: tuple[DnsRecord, ...] = ()
    rcode: int | None = None
    edns_bytes: int | None = None
    fault: str = ""


class _NotPlain(Exception):
    """Something that dnspython must judge."""


def read(wire: bytes) -> Sections | None:
    """The sections of a plain message, None for any other."""
    try:
        _, flags, questions, answers, authorities, additionals = struct.unpack_from(">HHHHHH", wire)
        if flags & 0x7800 or questions > 1:
            return None
        at = HEADER_BYTES
        for _ in range(questions):
            at = name_at(wire, at, len(wire))[1] + 4
        reader = _Reader(wire, at)
        answer, authority = reader.records(answers), reader.records(authorities)
        additional = reader.records(additionals, last=True)
    except (_NotPlain, IndexError, struct.error, ValueError):
        return None
    if reader.at > len(wire):
        return None
    rcode = flags & 15 | reader.extended_rcode << 4 if reader.edns_bytes is not None else None
    return Sections(answer, authority, additional, rcode, reader.edns_bytes)


class _Reader:
    """Walks along the records of a message."""

    def __init__(self, wire: bytes, at: int) -> None:
        self.wire, self.at = wire, at
        self.edns_bytes: int | None = None
        self.extended_rcode = 0

    def records(self, count: int, last: bool = False) -> tuple[DnsRecord, ...]:
        found = []
        for _ in range(count):
            name, at = name_at(self.wire, self.at, len(self.wire))
            rtype, rclass, ttl_s, size = _RECORD.unpack_from(self.wire, at)
            at += _RECORD.size
            self.at = at + size
            if rtype == _OPT and last and name == "." and size == 0 and self.edns_bytes is None:
                self.edns_bytes, self.extended_rcode = rclass, ttl_s >> 24
                if ttl_s >> 16 & 0xFF:
                    raise _NotPlain
                continue
            if rclass != 1 or ttl_s > _MAX_TTL_S:
                raise _NotPlain
            rdata_type, value = self._value(rtype, at, size)
            found.append(DnsRecord(name, value, rdata_type, ttl_s))
        return tuple(found)

    def _value(self, rtype: int, at: int, size: int) -> tuple[str, str]:
        wire = self.wire
        if self.at > len(wire):
            raise _NotPlain
        if rtype == 1 and size == 4:
            return "A", inet_ntoa(wire[at : at + 4])
        if rtype == 28 and size == 16 and wire[at : at + 10] != bytes(10):
            return "AAAA", IPv6Address(wire[at : at + 16]).compressed
        if rtype not in _NAMES:
            raise _NotPlain
        preference = f"{int.from_bytes(wire[at : at + 2], 'big')} " if rtype == _MX else ""
        name, end = name_at(wire, at + (2 if rtype == _MX else 0), self.at)
        if end != self.at:
            raise _NotPlain
        return _NAMES[rtype], preference + name


def name_at(wire: bytes, at: int, limit: int) -> tuple[str, int]:
    """A name as master files write it, without the final dot ("." is the root), and where what follows it begins.

    Pointers must point back, ever further (RFC 1035 section 4.1.4), to what ends before them, and no byte at `limit`
    or after belongs to the name. Raises ValueError or IndexError where there is none.
    """
    labels: list[str] = []
    end, before, length = 0, at, 1
    while (size := wire[at]) != 0:
        if size >= 0xC0:
            if at + 2 > limit:
                raise ValueError("a pointer cut off")
            if not end:
                end = limit = at + 2
            at = (size & 0x3F) << 8 | wire[at + 1]
            if at >= before:
                raise ValueError("a pointer that does not point back")
            before = at
            continue
        length += size + 1
        if size > 63 or length > _MAX_NAME_BYTES or at + 1 + size >= limit:
            raise ValueError("a label too long")
        labels.append(_label(wire[at + 1 : at + 1 + size]))
        at += 1 + size
    if at >= limit:
        raise ValueError("a name cut off")
    return ".".join(labels) or ".", end or at + 1


def _label(raw: bytes) -> str:
    """A label as master files write it (RFC 1035 section 5.1)."""
    if raw.isalnum():
        return raw.decode("ascii")
    return "".join(
        f"\\{chr(byte)}" if byte in b'.\\"();@$' else chr(byte) if 32 < byte < 127 else f"\\{byte:03d}" for byte in raw
    )
