"""One DNS message: its header by its bits, its sections by dnspython where they are not plain."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import dns.exception
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from appbed.analysis.dns_plain import HEADER_BYTES, DnsRecord, Sections, name_at
from appbed.analysis.dns_plain import read as read_plain
from appbed.analysis.tcp import Endpoint

_COMMON_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}
_NAMED = ("NS", "CNAME", "PTR", "MX")
_CACHED = 512
"""Enough for the several questions asked of one message, little even where all messages are 64 kB long."""


class Question(NamedTuple):
    """What is asked: a name and a record type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class DnsMessage:
    """One message on the wire (RFC 1035 section 4); `packet` is its (last) packet's number, as Wireshark counts.

    `wire` holds the message alone, `header` its raw 12 bytes. The sections are decoded when they are asked for; a
    message that breaks the format has empty sections and says why in `fault`. In an UPDATE (RFC 2136) the question
    is the zone, `answer` holds the prerequisites and `authority` the updates.
    """

    point: str
    time_s: float
    source: Endpoint
    destination: Endpoint
    transport: str
    packet: int
    wire: bytes = field(repr=False)

    @property
    def header(self) -> bytes:
        return self.wire[:HEADER_BYTES]

    @property
    def id(self) -> int:
        return int.from_bytes(self.wire[:2], "big")

    @property
    def flags(self) -> int:
        """The 16 bits after the identifier."""
        return int.from_bytes(self.wire[2:4], "big")

    @property
    def is_response(self) -> bool:
        return bool(self.flags & 0x8000)

    @property
    def opcode(self) -> int:
        """0 is a query, 4 NOTIFY, 5 UPDATE."""
        return self.flags >> 11 & 15

    @property
    def authoritative(self) -> bool:
        return bool(self.flags & 0x0400)

    @property
    def truncated(self) -> bool:
        return bool(self.flags & 0x0200)

    @property
    def recursion_desired(self) -> bool:
        return bool(self.flags & 0x0100)

    @property
    def recursion_available(self) -> bool:
        return bool(self.flags & 0x0080)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Entries announced for the four sections: question, answer, authority, additional."""
        question, answer, authority, additional = struct.unpack_from(">HHHH", self.wire, 4)
        return question, answer, authority, additional

    @property
    def question(self) -> Question | None:
        return _question(self.wire)

    @property
    def answer(self) -> tuple[DnsRecord, ...]:
        return _sections(self.wire).answer

    @property
    def authority(self) -> tuple[DnsRecord, ...]:
        return _sections(self.wire).authority

    @property
    def additional(self) -> tuple[DnsRecord, ...]:
        """The additional section without the OPT record, of which `edns_bytes` remains."""
        return _sections(self.wire).additional

    @property
    def edns_bytes(self) -> int | None:
        """The UDP size an OPT record offers (RFC 6891), None without one."""
        return _sections(self.wire).edns_bytes

    @property
    def rcode(self) -> str:
        """NOERROR, NXDOMAIN, REFUSED ..., the extended ones included."""
        extended = _sections(self.wire).rcode if self.counts[3] else None
        return dns.rcode.to_text(dns.rcode.Rcode(self.flags & 15 if extended is None else extended))

    @property
    def fault(self) -> str:
        """Why the message breaks the format; "" when it does not."""
        return _sections(self.wire).fault


@lru_cache(maxsize=_CACHED)
def _question(wire: bytes) -> Question | None:
    """The first question; None where there is none to read."""
    if wire[4:6] == b"\0\0":
        return None
    try:
        name, at = name_at(wire, HEADER_BYTES, len(wire))
    except (ValueError, IndexError):
        return None
    if at + 4 > len(wire):
        return None
    number = int.from_bytes(wire[at : at + 2], "big")
    return Question(name, _COMMON_TYPES.get(number) or dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number)))


@lru_cache(maxsize=_CACHED)
def _sections(wire: bytes) -> Sections:
    return read_plain(wire) or by_dnspython(wire)


def by_dnspython(wire: bytes) -> Sections:
    """The sections of any message, or the fault dnspython finds in it."""
    try:
        message = _decoded(wire)
        answer, authority, additional = (tuple(_records(section)) for section in message.sections[1:4])
    except (dns.exception.DNSException, ValueError, IndexError, struct.error) as error:
        return Sections(fault=str(error) or type(error).__name__)
    has_edns = message.edns >= 0
    rcode = int(message.rcode()) if has_edns else None
    return Sections(answer, authority, additional, rcode, message.payload if has_edns else None)


def _decoded(wire: bytes) -> dns.message.Message:
    """The message; of a signed one (TSIG, RFC 8945) all but the signature, for which nobody here has the key."""
    try:
        return dns.message.from_wire(wire, one_rr_per_rrset=True, ignore_trailing=True)
    except dns.message.UnknownTSIGKey:  # the signature is the last record
        unsigned = wire[:10] + (int.from_bytes(wire[10:12], "big") - 1).to_bytes(2, "big") + wire[12:]
        return dns.message.from_wire(unsigned, one_rr_per_rrset=True, ignore_trailing=True)


def _records(section: Iterable[dns.rrset.RRset]) -> Iterator[DnsRecord]:
    for rrset in section:
        name = rrset.name.to_text(omit_final_dot=True)
        rtype, rclass = dns.rdatatype.to_text(rrset.rdtype), dns.rdataclass.to_text(rrset.deleting or rrset.rdclass)
        if not rrset:  # in an UPDATE: a name or a set without a value
            yield DnsRecord(name, "", rtype, rrset.ttl, rclass)
        for rdata in rrset:
            value = rdata.to_text()
            if rtype in _NAMED and not value.endswith(" .") and value != ".":
                value = value.removesuffix(".")
            yield DnsRecord(name, value, rtype, rrset.ttl, rclass)
