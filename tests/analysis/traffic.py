"""Makes traffic and captures of it for tests: frames with right checksums, conversations, pcap and pcapng files."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

START_NS = 1_700_000_000_000_000_000
CLIENT, SERVER, RESOLVER = "10.77.1.10", "10.77.2.80", "10.77.1.53"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

Timed = tuple[int, bytes]
"""A frame and its time in nanoseconds since 1970."""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071), word by word: not the way the package does it."""
    total = 0
    for high, low in zip(data[::2], data[1::2] + b"\0" * (len(data) % 2), strict=True):
        total += high << 8 | low
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(source: str, destination: str, protocol: int, payload: bytes, ident: int = 0, fragment: int = 0) -> bytes:
    """An IPv4 or IPv6 packet in an Ethernet frame."""
    a, b = ip_address(source).packed, ip_address(destination).packed
    if len(a) == 16:
        return b"\2" * 12 + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + a + b + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident & 0xFFFF, fragment, 64, protocol, 0) + a + b
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return b"\2" * 12 + b"\x08\0" + head + payload


def _with_checksum(source: str, destination: str, protocol: int, segment: bytes, at: int) -> bytes:
    ends = ip_address(source).packed + ip_address(destination).packed
    total = checksum(ends + struct.pack(">HH", protocol, len(segment)) + segment)
    return segment[:at] + struct.pack(">H", total) + segment[at + 2 :]


def udp(source: str, sport: int, destination: str, dport: int, data: bytes, ident: int = 0) -> bytes:
    segment = _with_checksum(source, destination, 17, struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data, 6)
    return ip(source, destination, 17, segment, ident)


def tcp(
    source: str, sport: int, destination: str, dport: int, seq: int, ack: int, flags: int, data: bytes = b"",
    window: int = 64_000, ident: int = 0, options: bytes = b"",
) -> bytes:  # fmt: skip
    size = 0x50 + len(options) * 4
    head = struct.pack(">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, size, flags, window, 0, 0) + options
    return ip(source, destination, 6, _with_checksum(source, destination, 6, head + data, 16), ident)


def flip(frame: bytes, at: int = -1) -> bytes:
    """The frame with one bit of one byte wrong, as a bad link leaves it."""
    damaged = bytearray(frame)
    damaged[at] ^= 0x10
    return bytes(damaged)


@dataclass
class Talk:
    """A TCP conversation as a capture at the client sees it; append to `frames` what a test wants to be odd."""

    client: tuple[str, int] = (CLIENT, 40_000)
    server: tuple[str, int] = (SERVER, 80)
    rtt_ns: int = 20_000_000
    now_ns: int = START_NS
    isn: dict[str, int] = field(default_factory=lambda: {"client": 1_000, "server": 900_000})
    mss: int = 1_460
    frames: list[Timed] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=lambda: {"client": 0, "server": 0})
    made: int = 0
    counted: bool = True

    def segment(self, who: str, offset: int, flags: int = ACK, data: bytes = b"", window: int = 64_000) -> bytes:
        """The frame of one segment at a stream offset (-1 is the SYN); frames are counted in the order of making."""
        self.made += self.counted
        other = "server" if who == "client" else "client"
        ends = (*self.client, *self.server) if who == "client" else (*self.server, *self.client)
        seq, ack = self.isn[who] + 1 + offset, self.isn[other] + 1 + self.sent[other]
        return tcp(*ends, seq, ack if flags & ACK else 0, flags, data, window, ident=self.made)

    def add(self, frame: bytes, after_ns: int = 0) -> Talk:
        self.now_ns += after_ns
        self.frames.append((self.now_ns, frame))
        return self

    def open(self) -> Talk:
        self.add(self.segment("client", -1, SYN))
        self.add(self.segment("server", -1, SYN | ACK), self.rtt_ns)
        return self.add(self.segment("client", 0))

    def say(self, who: str, data: bytes, after_ns: int = 1_000_000) -> Talk:
        """Sends data in segments and acknowledges it a round trip later (at once when the server speaks)."""
        self.now_ns += after_ns
        for at in range(0, len(data), self.mss):
            piece = data[at : at + self.mss]
            self.add(self.segment(who, self.sent[who], PSH | ACK, piece), 10_000)
            self.sent[who] += len(piece)
        other = "server" if who == "client" else "client"
        return self.add(self.segment(other, self.sent[other]), self.rtt_ns if who == "client" else 1_000)

    def close(self, by: str = "client") -> Talk:
        for who in (by, "server" if by == "client" else "client"):
            self.add(self.segment(who, self.sent[who], FIN | ACK), 1_000)
            self.sent[who] += 1
        return self.add(self.segment(by, self.sent[by]))


def pcap(frames: list[Timed], order: str = "<", nanoseconds: bool = False, link: int = 1, snap: int = 262_144) -> bytes:
    """A classic capture file."""
    scale = 1 if nanoseconds else 1_000
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for time_ns, frame in frames:
        kept = frame[:snap]
        times = (time_ns // 10**9, time_ns % 10**9 // scale)
        parts.append(struct.pack(order + "IIII", *times, len(kept), len(frame)) + kept)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


@dataclass(frozen=True)
class Spot:
    """A capture point to write: an interface block and its statistics."""

    name: str
    address: str = ""
    comment: str = ""
    resolution: int | None = 9
    drops: int | None = 0
    link: int = 1


def pcapng(spots: list[Spot], frames: list[tuple[int, int, bytes]], order: str = "<", snap: int = 262_144) -> bytes:
    """A block-format capture file of (spot, time in ns, frame)."""
    parts = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)]
    for spot in spots:
        body = struct.pack(order + "HHI", spot.link, 0, snap)
        for code, text in ((1, spot.comment), (2, spot.name), (3, spot.address)):
            body += option(code, text.encode(), order) if text else b""
        if spot.resolution is not None:
            body += option(9, bytes([spot.resolution]), order)
        parts.append(block(1, body + option(0, b"", order), order))
    for number, time_ns, frame in frames:
        parts.append(packet_block(number, ticks(time_ns, spots[number].resolution), frame, order, snap))
    for number, spot in enumerate(spots):
        if spot.drops is not None:
            counts = struct.pack(order + "Q", len(frames)), struct.pack(order + "Q", spot.drops)
            body = struct.pack(order + "III", number, 0, 0) + option(4, counts[0], order) + option(5, counts[1], order)
            parts.append(block(5, body + option(0, b"", order), order))
    return b"".join(parts)


def packet_block(
    number: int, time: int, frame: bytes, order: str = "<", snap: int = 262_144, extra: bytes = b""
) -> bytes:
    kept = frame[:snap]
    head = struct.pack(order + "IIIII", number, time >> 32, time & 0xFFFF_FFFF, len(kept), len(frame))
    return block(6, head + kept + b"\0" * (-len(kept) % 4) + extra, order)


def ticks(time_ns: int, resolution: int | None) -> int:
    """A time in the units of an if_tsresol option (microseconds without one)."""
    code = 6 if resolution is None else resolution
    per_second = 2 ** (code & 0x7F) if code & 0x80 else 10**code
    return time_ns * per_second // 10**9
