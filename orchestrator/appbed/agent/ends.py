"""A relay cable's two ends, and what waits between them: the host's veth by a packet socket, the bridge by a TAP."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from bisect import insort
from collections import deque
from dataclasses import asdict
from operator import itemgetter
from typing import Any

from appbed import impairment
from appbed.agent.emulation import Direction
from appbed.agent.netlink import Netlink
from appbed.impairment import Link

NEVER = 1 << 63
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x2, 0x1000
_SOL_PACKET, _IGNORE_OUTGOING, _QDISC_BYPASS, _SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 263, 23, 20, 33, 32
_ETH_P_ALL = 0x0003
_when = itemgetter(0)


class Way:
    """One direction between its two ends: the frames that wait, in the order in which they leave, and when the first does."""

    __slots__ = ("direction", "frames", "next", "out")

    def __init__(self, direction: Direction, out: int) -> None:
        self.direction = direction
        self.out = out
        self.frames: deque[tuple[int, bytes]] = deque()
        self.next = NEVER

    def keep(self, entry: tuple[int, bytes]) -> None:
        """Frames mostly leave as they came; jitter, or a shorter delay set meanwhile, lets some overtake."""
        if not self.frames or entry[0] >= self.frames[-1][0]:
            self.frames.append(entry)
        else:
            insort(self.frames, entry, key=_when)

    def send(self, frame: bytes) -> None:
        counters = self.direction.counters
        try:
            os.write(self.out, frame)
        except OSError:  # the other end is down or gone: counted, so that a capture can be reconciled
            counters.refused += 1
        else:
            counters.frames_out += 1
            counters.bytes_out += len(frame)


class Cable:
    """One plugged-in cable: both ends, both ways by the end they come from."""

    def __init__(self, request: dict[str, Any], netlink: Netlink) -> None:
        attachment, link = request["attachment"], link_of(request["link"])
        self.name: str = request["name"]
        self.tap = _tap(self.name)
        try:
            self.veth = _packet_socket()
        except OSError:
            os.close(self.tap)
            raise
        try:
            _plug(self, request, netlink)
        except OSError:
            self.close()
            with contextlib.suppress(OSError):
                netlink.set_link(request["veth"], master=request["bridge"])
            raise
        up, down = (Direction(link.up, f"{attachment} up"), Direction(link.down, f"{attachment} down"))
        self.ways = {self.veth.fileno(): Way(up, self.tap), self.tap: Way(down, self.veth.fileno())}
        self.up, self.down = up, down

    def close(self) -> None:
        os.close(self.tap)
        self.veth.close()

    def counters(self) -> dict[str, dict[str, int]]:
        return {"up": asdict(self.up.counters), "down": asdict(self.down.counters)}


def link_of(settings: dict[str, Any]) -> Link:
    return impairment.resolve("relay", settings)


def _plug(cable: Cable, request: dict[str, Any], netlink: Netlink) -> None:
    """The TAP joins the bridge before the veth leaves it, and the socket hears the veth only then: a link in use that gets its
    first impairment loses next to nothing and carries nothing twice."""
    tap, veth = socket.if_nametoindex(cable.name), request["veth"]
    netlink.quiet_ipv6(tap)
    netlink.quiet_ipv6(veth)
    netlink.set_link(tap, queue=10_000)
    netlink.set_link(tap, master=request["bridge"])
    netlink.set_link(tap, up=True)
    netlink.set_link(veth, master=0)
    cable.veth.bind((request["veth_name"], _ETH_P_ALL))


def _tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError:
        os.close(fd)
        raise
    return fd


def _packet_socket() -> socket.socket:
    """Deaf until it is bound."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        sock.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
        for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
            sock.setsockopt(socket.SOL_SOCKET, option, 16 << 20)
    except OSError:
        sock.close()
        raise
    return sock
