"""Takes one frame apart, from the link layer to the transport header: the careful way, for any frame.

The index has a faster way for the commonest frames and comes here for the rest.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from appbed.analysis.pcap import Buffer

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
FRAGMENT = 44
"""A piece of a fragmented packet, of either IP version, other than the piece that completed it."""
ARP = 0x0806
UNREAD = 0xFFFF
"""A frame of an unknown link type or of no known network protocol."""

KIND_NAMES = {
    ICMP: "icmp",
    TCP: "tcp",
    UDP: "udp",
    FRAGMENT: "fragment",
    ICMPV6: "icmpv6",
    ARP: "arp",
    UNREAD: "unread",
}

_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN = (0x8100, 0x88A8, 0x9100)
_BARE = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0}
"""Link types whose header says no more than the version of IP does: how many bytes to pass over."""
_SHORT = struct.Struct(">H")


class FragmentOf(NamedTuple):
    """Which packet a fragment belongs to, and where in it its payload goes."""

    packet: tuple[bytes, bytes, int, int]
    start: int
    more: bool


class Layers(NamedTuple):
    """What one frame says; positions are counted from the frame's first byte.

    `kind` is the IP protocol number, or an EtherType (1536 and up), or UNREAD. ICMP puts type and code where
    ports are. `payload` counts the transport payload's bytes as sent, of which fewer may have been captured.
    """

    kind: int
    source: bytes = b""
    destination: bytes = b""
    source_port: int = 0
    destination_port: int = 0
    transport_at: int = 0
    payload_at: int = 0
    payload: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    fragment: FragmentOf | None = None
    fault: str = ""


def dissect(frame: Buffer, link_type: int) -> Layers:
    """The layers of one frame (its captured bytes); never raises: what is wrong is in `fault`."""
    ethertype, at = _link(frame, link_type)
    if ethertype == _IPV4:
        return _ipv4(frame, at)
    if ethertype == _IPV6:
        return _ipv6(frame, at)
    if ethertype == ARP:
        return _arp(frame, at)
    if ethertype < 0:
        fault = f"frame cut short in its link header (link type {link_type})" if at else f"link type {link_type}"
        return Layers(UNREAD, fault=fault)
    return Layers(ethertype if ethertype >= 1536 else UNREAD, payload_at=at, payload=max(len(frame) - at, 0))


def network_header(frame: Buffer, link_type: int) -> tuple[int, int]:
    """Version of IP (4, 6; 0 for anything else) and where its header begins."""
    ethertype, at = _link(frame, link_type)
    return {_IPV4: 4, _IPV6: 6}.get(ethertype, 0), at


def _link(frame: Buffer, link_type: int) -> tuple[int, int]:
    """EtherType and where its packet begins; (-1, 1) cut short, (-1, 0) link type unknown."""
    if link_type == 1:
        at = 12
        while at + 2 <= len(frame):
            ethertype = _SHORT.unpack_from(frame, at)[0]
            if ethertype not in _VLAN:
                return ethertype, at + 2
            at += 4
        return -1, 1
    if link_type in (113, 276):  # Linux "cooked" captures, versions 1 and 2
        at, header = (14, 16) if link_type == 113 else (0, 20)
        return (_SHORT.unpack_from(frame, at)[0], header) if len(frame) >= header else (-1, 1)
    if link_type not in _BARE:
        return -1, 0
    at = _BARE[link_type]
    return ({4: _IPV4, 6: _IPV6}.get(frame[at] >> 4, 0), at) if len(frame) > at else (-1, 1)


def _arp(frame: Buffer, at: int) -> Layers:
    if len(frame) < at + 28:
        return Layers(ARP, fault="ARP packet cut short")
    operation = _SHORT.unpack_from(frame, at + 6)[0]
    return Layers(ARP, bytes(frame[at + 14 : at + 18]), bytes(frame[at + 24 : at + 28]), operation, payload_at=at)


def _ipv4(frame: Buffer, at: int) -> Layers:
    if len(frame) < at + 20:
        return Layers(_IPV4, fault="IPv4 header cut short")
    version, total, identification, offset, protocol = struct.unpack_from(">BxHHHxB", frame, at)
    source, destination = bytes(frame[at + 12 : at + 16]), bytes(frame[at + 16 : at + 20])
    header = (version & 15) * 4
    if total == 0:  # segmentation offload leaves the length to the card
        total = len(frame) - at
    if version >> 4 != 4 or header < 20 or total < header:
        return Layers(_IPV4, source, destination, fault="IPv4 header that contradicts itself")
    length = total - header
    if offset & 0x3FFF:
        packet = (source, destination, protocol, identification)
        fragment = FragmentOf(packet, (offset & 0x1FFF) * 8, bool(offset & 0x2000))
        return Layers(FRAGMENT, source, destination, 0, 0, at + header, at + header, length, fragment=fragment)
    return transport(frame, at + header, length, protocol, source, destination)


def _ipv6(frame: Buffer, at: int) -> Layers:
    if len(frame) < at + 40:
        return Layers(_IPV6, fault="IPv6 header cut short")
    length, protocol = struct.unpack_from(">HB", frame, at + 4)
    source, destination = bytes(frame[at + 8 : at + 24]), bytes(frame[at + 24 : at + 40])
    if length == 0:
        length = len(frame) - at - 40
    at += 40
    while protocol in (0, 43, 60, 44, 51):  # hop-by-hop, routing, destination, fragment, authentication
        if len(frame) < at + 8 or length < 8:
            return Layers(_IPV6, source, destination, fault="IPv6 extension header cut short")
        following, size = frame[at], frame[at + 1]
        if protocol == 44:
            offset, identification = struct.unpack_from(">HI", frame, at + 2)
            at, length = at + 8, length - 8
            if offset & 0xFFF9:
                packet = (source, destination, following, identification)
                fragment = FragmentOf(packet, offset & 0xFFF8, bool(offset & 1))
                return Layers(FRAGMENT, source, destination, 0, 0, at, at, length, fragment=fragment)
        else:
            step = (size + 2) * 4 if protocol == 51 else (size + 1) * 8
            at, length = at + step, length - step
        protocol = following
    return transport(frame, at, max(length, 0), protocol, source, destination)


def transport(data: Buffer, at: int, length: int, protocol: int, source: bytes, destination: bytes) -> Layers:
    """The transport layer at `at`; `length` is what the network layer says it is, captured or not."""
    there = min(length, len(data) - at)
    cut = there < length
    if protocol == TCP:
        if there < 20:
            return Layers(TCP, source, destination, transport_at=at, fault=_why("TCP", cut))
        sport, dport, seq, ack, offset, flags, window = struct.unpack_from(">HHIIBBH", data, at)
        header = (offset >> 4) * 4
        if header < 20 or header > length:
            return Layers(TCP, source, destination, sport, dport, at, at, fault="TCP header that contradicts itself")
        return Layers(
            TCP, source, destination, sport, dport, at, at + header, length - header, seq, ack, flags, window,
            fault=_why("TCP", cut) if header > there else "",
        )  # fmt: skip
    if protocol == UDP:
        if there < 8:
            return Layers(UDP, source, destination, transport_at=at, fault=_why("UDP", cut))
        sport, dport, size = struct.unpack_from(">HHH", data, at)
        payload = size - 8 if 8 <= size <= length else length - 8
        fault = "UDP length that contradicts the packet's" if payload != size - 8 and size else ""
        return Layers(UDP, source, destination, sport, dport, at, at + 8, payload, fault=fault)
    if protocol in (ICMP, ICMPV6):
        if there < 4:
            return Layers(protocol, source, destination, transport_at=at, fault=_why("ICMP", cut))
        return Layers(protocol, source, destination, data[at], data[at + 1], at, at + 4, length - 4)
    return Layers(protocol, source, destination, 0, 0, at, at, length)


def _why(name: str, cut: bool) -> str:
    return f"{name} header cut short" if cut else f"{name} header longer than its packet"
