"""The relay: a process that is the cable of every impaired attachment where the kernel has no netem.

    host eth0 ═ veth ── AF_PACKET ──[ up   ]── TAP ═ bridge
                                  ──[ down ]──

The veth is unplugged from its bridge and a TAP plugged in instead; the loop carries frames between the two. A TAP goes with its
process, so a dead relay is a cut cable, never an unimpaired one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import heapq
import json
import os
import select
import socket
import struct
import time
from dataclasses import asdict
from typing import Any

from appbed import impairment
from appbed.agent.emulation import Direction
from appbed.agent.netlink import Netlink
from appbed.impairment import Link

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x2, 0x1000
_SOL_PACKET, _IGNORE_OUTGOING, _QDISC_BYPASS, _SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 263, 23, 20, 33, 32
_ETH_P_ALL = 0x0003
_LIBC = ctypes.CDLL(None, use_errno=True)
_BATCH = 64  # frames taken from one end before the others and the clock get their turn


class Cable:
    """One plugged-in cable: both ends, both directions."""

    def __init__(self, request: dict[str, Any], netlink: Netlink) -> None:
        link, veth, bridge, attachment = (
            _link(request["link"]),
            request["veth"],
            request["bridge"],
            request["attachment"],
        )
        self.name = name = request["name"]
        self.up = Direction(link.up, f"{attachment} up")
        self.down = Direction(link.down, f"{attachment} down")
        self.tap = _tap(name)
        try:
            self.veth = _packet_socket(request["veth_name"])
            tap = socket.if_nametoindex(name)
            netlink.quiet_ipv6(tap)
            netlink.quiet_ipv6(veth)
            netlink.set_link(tap, queue=10_000)
            netlink.set_link(veth, master=0)
            netlink.set_link(tap, master=bridge)
            netlink.set_link(tap, up=True)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        os.close(self.tap)
        if hasattr(self, "veth"):
            self.veth.close()

    def counters(self) -> dict[str, dict[str, int]]:
        return {"up": asdict(self.up.counters), "down": asdict(self.down.counters)}


class Relay:
    """The loop: frames in, the heap of frames that wait, frames out, commands in between."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._cables: dict[str, Cable] = {}
        self._ends: dict[int, tuple[Cable, bool]] = {}
        self._waiting: list[tuple[int, int, int, Direction, bytes]] = []
        self._order = 0
        self._netlink = Netlink()
        self._timer = _Timer()
        self._epoll = select.epoll()
        for fd in (control.fileno(), self._timer.fd):
            self._epoll.register(fd, select.EPOLLIN)

    def run(self) -> None:
        """Until the control process is gone."""
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._timer.fd:
                    self._timer.drain()
                elif fd == self._control.fileno():
                    if not self._obey():
                        return
                elif fd in self._ends:
                    self._take(fd)
            self._release()

    def _take(self, fd: int) -> None:
        cable, is_tap = self._ends[fd]
        direction, out = (cable.down, cable.veth.fileno()) if is_tap else (cable.up, cable.tap)
        clock, push, waiting = time.monotonic_ns, heapq.heappush, self._waiting
        for _ in range(_BATCH):
            try:
                frame = os.read(fd, 65_536)
            except BlockingIOError:
                return
            except OSError as error:  # its interface went down or away; the control process hears of it too
                if error.errno in (errno.ENETDOWN, errno.EBADFD, errno.ENXIO, errno.EIO):
                    return
                raise
            now = clock()
            for when, data in direction.admit(now, frame):
                if when <= now and not waiting:
                    _send(direction, out, data)
                else:
                    self._order += 1
                    push(waiting, (when, self._order, out, direction, data))

    def _release(self) -> None:
        waiting = self._waiting
        while waiting:
            when = waiting[0][0]
            if when > time.monotonic_ns():
                self._timer.arm(when)
                return
            _, _, out, direction, data = heapq.heappop(waiting)
            _send(direction, out, data)

    def _obey(self) -> bool:
        try:
            data = self._control.recv(1 << 18)
        except ConnectionError:
            return False
        if not data:
            return False
        try:
            answer = self._command(json.loads(data))
        except OSError as error:
            answer = {"error": f"{error.strerror or error}", "errno": error.errno}
        self._control.send(json.dumps(answer).encode())
        return True

    def _command(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["op"]:
            case "plug":
                cable = Cable(request, self._netlink)
                self._cables[cable.name] = cable
                for fd, is_tap in ((cable.tap, True), (cable.veth.fileno(), False)):
                    self._ends[fd] = (cable, is_tap)
                    self._epoll.register(fd, select.EPOLLIN)
            case "set":
                for name, settings in request["links"].items():
                    link = _link(settings)
                    self._cables[name].up.set(link.up)
                    self._cables[name].down.set(link.down)
            case "unplug":
                self._unplug(self._cables.pop(request["name"]), request["veth"], request["bridge"])
            case "counters":
                return {name: cable.counters() for name, cable in self._cables.items()}
        return {}

    def _unplug(self, cable: Cable, veth: int, bridge: int) -> None:
        """Closes the cable; the veth goes back into its bridge if it still exists (`veth` is 0 when it does not)."""
        for fd in (cable.tap, cable.veth.fileno()):
            self._epoll.unregister(fd)
            del self._ends[fd]
        ends = (cable.tap, cable.veth.fileno())
        self._waiting = [entry for entry in self._waiting if entry[2] not in ends]
        heapq.heapify(self._waiting)
        cable.close()
        if veth:
            self._netlink.set_link(veth, master=bridge)


def serve(control: socket.socket) -> None:
    """The relay's process."""
    _LIBC.prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK: 1 ns instead of 50 us
    Relay(control).run()


class _Timer:
    """A timerfd: epoll's own time-out is in milliseconds, frames are not."""

    def __init__(self) -> None:
        self.fd = _LIBC.timerfd_create(1, 0o4000)  # CLOCK_MONOTONIC, TFD_NONBLOCK
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._armed = 0

    def arm(self, when_ns: int) -> None:
        if when_ns != self._armed:
            self._armed = when_ns
            _LIBC.timerfd_settime(self.fd, 1, struct.pack("=qqqq", 0, 0, when_ns // 10**9, when_ns % 10**9), None)

    def drain(self) -> None:
        self._armed = 0
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)


def _send(direction: Direction, fd: int, frame: bytes) -> None:
    try:
        os.write(fd, frame)
    except OSError:  # the other end is down or full: counted, so that a capture can be reconciled
        direction.counters.refused += 1
    else:
        direction.counters.frames_out += 1
        direction.counters.bytes_out += len(frame)


def _link(settings: dict[str, Any]) -> Link:
    return impairment.resolve("relay", settings)


def _tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError:
        os.close(fd)
        raise
    return fd


def _packet_socket(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        sock.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
        for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
            sock.setsockopt(socket.SOL_SOCKET, option, 16 << 20)
        sock.bind((interface, _ETH_P_ALL))
    except OSError:
        sock.close()
        raise
    return sock
