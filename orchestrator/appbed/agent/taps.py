"""Reads frames at one point out of a ring the kernel shares (packet(7), TPACKET_V3): two microseconds a frame, where a call of
recvmsg(2) for each takes seven. Nothing is dissected."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import socket
import struct
import time

from appbed.agent.pcapng import Counts
from appbed.agent.recording import Recording

_SOL_PACKET, _ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION = 263, 1, 5, 6, 10
_TPACKET_V3, _PROMISC = 2, 1
_SO_TIMESTAMPNS, _SO_ATTACH_FILTER, _SIOCGIFINDEX = 35, 26, 0x8933
_ETH_P_ALL, _8021Q = 0x0003, 0x8100
LONGEST_FRAME_BYTES = 262_144
_BLOCK_BYTES = 128 << 10  # the longest IP packet fits
_RETIRE_MS = 100  # a block that is not full is handed over after this time
_ALL_RINGS_BYTES, _LARGEST_RING_BYTES, _SMALLEST_RING_BYTES = 256 << 20, 64 << 20, 4 << 20
_KERNEL, _USER = 0, 1
_BPF_RET = 0x06
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6
_BLOCK = struct.Struct("=8xIII")  # tpacket_block_desc: status, frames, where the first is
_FRAME = struct.Struct(
    "=IIIIIIHxxxxxxIH"
)  # tpacket3_hdr: next, sec, nsec, snaplen, len, status, mac, vlan_tci, vlan_tpid


class Tap:
    """A packet socket from the door at one interface; bound last, so that nothing comes before filter and ring."""

    def __init__(self, number: int, fd: int, interface: str, program: bytes, snaplen: int, ring_bytes: int) -> None:
        self._number, self._interface, self._snaplen = number, interface, snaplen
        self._begun_ns = time.time_ns()
        self._received = self._dropped = self._delivered = 0
        self._blocks, self._block = ring_bytes // _BLOCK_BYTES, 0
        self._socket = sock = socket.socket(fileno=fd)
        self._index = self._index_now()
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)  # else a frame's time is when it was copied
        sock.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        frames = ring_bytes // 2048  # a number the kernel checks and does not use
        ring = struct.pack("=IIIIIII", _BLOCK_BYTES, self._blocks, 2048, frames, _RETIRE_MS, 0, 0)
        sock.setsockopt(_SOL_PACKET, _RX_RING, ring)
        self._ring = mmap.mmap(sock.fileno(), ring_bytes)
        if program:
            sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("IHH8s", self._index, _PROMISC, 0, b""))
        sock.bind((interface, _ETH_P_ALL))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._ring.close()
        self._socket.close()

    def still(self) -> None:
        """Nothing more comes in; what came can be taken. A filter that takes nothing: bind(2) to protocol 0 changes nothing."""
        nothing = ctypes.create_string_buffer(struct.pack("=HBBI", _BPF_RET, 0, 0, 0))
        program = struct.pack("@HP", 1, ctypes.addressof(nothing))  # sock_fprog
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    @property
    def empty(self) -> bool:
        """Whether all that came was taken, by the kernel's count."""
        counts = self.counts()
        return counts.delivered >= counts.received - counts.dropped

    @property
    def gone(self) -> bool:
        """Whether the interface is there no more; one of the same name that came after it is another."""
        try:
            return self._index_now() != self._index
        except OSError:
            return True

    def counts(self) -> Counts:
        """So far; the kernel's own counters begin again whenever they are read."""
        received, dropped, _ = struct.unpack("=III", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))
        self._received += received
        self._dropped += dropped
        return Counts(self._begun_ns, self._received, self._dropped, self._delivered)

    def take(self, recording: Recording) -> bool:
        """The frames of one block, each with the kernel's time, to the nanosecond; whether there was a block."""
        at = self._block * _BLOCK_BYTES
        status, frames, first = _BLOCK.unpack_from(self._ring, at)
        if not status & _USER:
            # "The interface is down" is said until it is heard.
            self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return False
        with memoryview(self._ring) as ring:
            self._write(recording, ring, at + first, frames)
        _BLOCK.pack_into(self._ring, at, _KERNEL, 0, first)
        self._block = (self._block + 1) % self._blocks
        return True

    def _write(self, recording: Recording, ring: memoryview, at: int, frames: int) -> None:
        unpack, write, number, snaplen = _FRAME.unpack_from, recording.frame, self._number, self._snaplen
        for _ in range(frames):
            following, seconds, fraction, size, length, status, mac, tci, tpid = unpack(ring, at)
            start = at + mac
            data: memoryview | bytes = ring[start : start + (size if size < snaplen else snaplen)]
            if status & _VLAN_VALID:  # the kernel took the tag out of the frame
                tag = struct.pack(">HH", tpid if status & _VLAN_TPID_VALID else _8021Q, tci)
                data, length = (bytes(data[:12]) + tag + bytes(data[12:]))[:snaplen], length + len(tag)
            try:
                write(number, seconds * 1_000_000_000 + fraction, data, length)
            finally:
                self._delivered += 1
            at += following

    def _index_now(self) -> int:
        answer = fcntl.ioctl(self._socket, _SIOCGIFINDEX, struct.pack("16s24x", self._interface.encode()))
        return int(struct.unpack_from("16xi", answer)[0])


def ring_bytes(points: int) -> int:
    """Memory for each of so many points: it is the kernel's, and taken whether or not anything comes."""
    share = max(_SMALLEST_RING_BYTES, min(_LARGEST_RING_BYTES, _ALL_RINGS_BYTES // points))
    return share // _BLOCK_BYTES * _BLOCK_BYTES


def compiled(expression: str) -> bytes:
    """A pcap-filter(7) expression as a program for the kernel; ValueError says what is wrong with it."""
    if not expression:
        return b""
    from scapy.arch.common import compile_filter
    from scapy.error import Scapy_Exception

    try:
        return bytes(compile_filter(expression, linktype=1))
    except Scapy_Exception as error:
        raise ValueError(f"filter {expression!r}: {error}") from None
