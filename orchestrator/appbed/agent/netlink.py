"""The little of rtnetlink (RFC 3549, rtnetlink(7)) that the agent needs, over a socket that may live in another namespace.

A library cannot be used for that: the sockets come from the door, already open, and the calls must work on them.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

_NEWLINK, _GETLINK, _SETLINK, _NEWADDR, _GETADDR, _NEWROUTE, _DELROUTE, _GETROUTE = 16, 18, 19, 20, 22, 24, 25, 26
_DELADDR, _NEWNEIGH = 21, 28
_REQUEST, _ACK, _DUMP, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_REPLACE = 0x100
_ERROR, _DONE = 2, 3
_IFLA_ADDRESS, _IFLA_NAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER, _IFLA_TXQLEN, _IFLA_AF_SPEC = 1, 3, 4, 5, 10, 13, 26
_SIOCETHTOOL = 0x8946
_IFF_UP = 0x1
RTMGRP_LINK = 1


@dataclass(frozen=True, slots=True)
class Interface:
    """`peer` is the index of the other end of a veth, `master` that of its bridge; 0 when there is none."""

    index: int
    name: str
    mac: bytes
    mtu: int
    peer: int
    master: int
    addresses: tuple[IPv4Interface, ...]


class Netlink:
    """One rtnetlink socket; its calls act on the namespace the socket was opened in."""

    def __init__(self, sock: socket.socket | None = None) -> None:
        self._socket = sock or socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(2.0)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def interfaces(self) -> list[Interface]:
        addresses: dict[int, list[IPv4Interface]] = {}
        for body in self._dump(_GETADDR, struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)):
            _, prefix, _, _, index = struct.unpack_from("=BBBBI", body)
            local = _attributes(body[8:]).get(2)  # IFA_LOCAL
            if local:
                addresses.setdefault(index, []).append(IPv4Interface((local, prefix)))
        found = []
        for body in self._dump(_GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0)):
            _, _, index, _, _ = struct.unpack_from("=BxHiII", body)
            attributes = _attributes(body[16:])
            found.append(
                Interface(
                    index,
                    attributes[_IFLA_NAME].rstrip(b"\0").decode(),
                    attributes.get(_IFLA_ADDRESS, b""),
                    _u32(attributes.get(_IFLA_MTU)),
                    _u32(attributes.get(_IFLA_LINK)),
                    _u32(attributes.get(_IFLA_MASTER)),
                    tuple(addresses.get(index, ())),
                )
            )
        return found

    def add_address(self, index: int, address: IPv4Interface) -> None:
        """Secondary address without a route of its own; there already is fine."""
        body = struct.pack("=BBBBI", socket.AF_INET, address.network.prefixlen, 0, 0, index)
        body += _attribute(2, address.packed) + _attribute(1, address.packed)
        self._change(_NEWADDR, _CREATE | _EXCL, body, ignore=errno.EEXIST)

    def routes(self) -> list[tuple[IPv4Network, IPv4Address]]:
        """Unicast routes of the main table that go through another host."""
        found = []
        for body in self._dump(_GETROUTE, struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)):
            _, prefix, _, _, table, _, _, kind, _ = struct.unpack_from("=BBBBBBBBI", body)
            attributes = _attributes(body[12:])
            if table == 254 and kind == 1 and 5 in attributes:
                found.append((IPv4Network((attributes.get(1, bytes(4)), prefix)), IPv4Address(attributes[5])))
        return found

    def add_route(self, subnet: IPv4Network, via: IPv4Address) -> None:
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, subnet.prefixlen, 0, 0, 254, 4, 0, 1, 0)
        body += _attribute(1, subnet.network_address.packed) + _attribute(5, via.packed)
        self._change(_NEWROUTE, _CREATE | _EXCL, body, ignore=errno.EEXIST)

    def remove_route(self, subnet: IPv4Network, via: IPv4Address) -> None:
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, subnet.prefixlen, 0, 0, 254, 0, 255, 0, 0)
        body += _attribute(1, subnet.network_address.packed) + _attribute(5, via.packed)
        self._change(_DELROUTE, 0, body, ignore=errno.ESRCH)

    def add_neighbour(self, index: int, address: IPv4Address, mac: bytes) -> None:
        """As if an ARP reply had just come: used at once, and made sure of by the kernel itself when it gets old."""
        reachable = 0x02
        body = struct.pack("=BxxxIHBB", socket.AF_INET, index, reachable, 0, 0)
        self._change(_NEWNEIGH, _CREATE | _REPLACE, body + _attribute(1, address.packed) + _attribute(2, mac))

    def set_link(
        self, index: int, *, master: int | None = None, up: bool | None = None, queue: int | None = None
    ) -> None:
        """`master` 0 unplugs from the bridge; `queue` is the transmit queue in packets."""
        flags = (_IFF_UP if up else 0, _IFF_UP) if up is not None else (0, 0)
        body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, *flags)
        if master is not None:
            body += _attribute(_IFLA_MASTER, struct.pack("=I", master))
        if queue is not None:
            body += _attribute(_IFLA_TXQLEN, struct.pack("=I", queue))
        self._change(_NEWLINK, 0, body)

    def forward_plainly(self, index: int) -> None:
        """A router's interface: no ICMP redirects, no reverse-path filter. The engine applies `sysctls` after it made the
        interfaces, which keep the default, and the kernel takes the stricter of "all" and the interface's own."""
        settings = _attribute(6, struct.pack("=I", 0)) + _attribute(8, struct.pack("=I", 0))  # IPV4_DEVCONF numbers
        spec = _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET, _attribute(1, settings)))
        self._change(_SETLINK, 0, struct.pack("=BxHiII", 0, 0, index, 0, 0) + spec)

    def quiet_ipv6(self, index: int) -> None:
        """No link-local address on this interface, so the kernel sends nothing of its own through it: none is made from now on
        (addrgenmode none), and one that was made before is taken away, or it would go on soliciting routers."""
        spec = _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET6, _attribute(8, b"\1")))
        self._change(_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, index, 0, 0) + spec, ignore=errno.EAFNOSUPPORT)
        for body in list(self._dump(_GETADDR, struct.pack("=BBBBI", socket.AF_INET6, 0, 0, 0, 0))):
            family, _, _, _, owner = struct.unpack_from("=BBBBI", body)
            if (family, owner) == (socket.AF_INET6, index):
                self._change(_DELADDR, 0, body, ignore=errno.EADDRNOTAVAIL)

    def _change(self, kind: int, flags: int, body: bytes, *, ignore: int = 0) -> None:
        self._send(kind, _REQUEST | _ACK | flags, body)
        for message, payload in self._replies():
            if message == _ERROR:
                (code,) = struct.unpack_from("=i", payload)
                if code and -code != ignore:
                    raise OSError(-code, os.strerror(-code))
                return

    def _dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        self._send(kind, _REQUEST | _DUMP, body)
        for message, payload in self._replies():
            if message == _DONE:
                return
            if message == _ERROR:
                (code,) = struct.unpack_from("=i", payload)
                raise OSError(-code, os.strerror(-code))
            yield payload

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        self._socket.send(struct.pack("=IHHII", 16 + len(body), kind, flags, self._sequence, 0) + body)

    def _replies(self) -> Iterator[tuple[int, bytes]]:
        while True:
            data = self._socket.recv(1 << 17)
            while len(data) >= 16:
                length, kind, _, sequence, _ = struct.unpack_from("=IHHII", data)
                if sequence == self._sequence:
                    yield kind, data[16:length]
                data = data[(length + 3) & ~3 :]


def link_events() -> socket.socket:
    """A socket that becomes readable when an interface of this namespace appears, changes or goes."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    sock.bind((0, RTMGRP_LINK))
    return sock


def offloads_off(sock: socket.socket, name: str) -> None:
    """Turns checksum and segmentation offloads of an interface off, in the namespace `sock` lives in.

    With them on, a veth carries unfinished checksums and 64 kB super-packets: a cable would carry those out, and one lost
    "frame" would be 45. Values of ethtool.h: tx checksum, scatter-gather, TSO, GSO, GRO.
    """
    for command in (0x17, 0x19, 0x1F, 0x24, 0x2C):
        value = array.array("I", [command, 0])  # struct ethtool_value; the request points to it
        request = struct.pack("16sP16x", name.encode(), value.buffer_info()[0])
        try:
            fcntl.ioctl(sock, _SIOCETHTOOL, request)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def _u32(data: bytes | None) -> int:
    return int(struct.unpack("=I", data)[0]) if data else 0
