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
import gc
import heapq
import json
import os
import select
import socket
import struct
import time
from typing import Any

from appbed.agent.ends import NEVER, Cable, Way, link_of
from appbed.agent.netlink import Netlink

_LIBC = ctypes.CDLL(None, use_errno=True)
_BATCH = 64  # frames taken from one end before the others and the clock get their turn
# Bytes of memory for frames on the way, of all cables: 5 s of 400 Mbit/s, half of what the container may use.
_ROOM = 256 << 20
_FRAME_COST = 150  # what a waiting frame takes beside its bytes


class Relay:
    """The loop: frames in, frames that wait, frames out, commands in between."""

    def __init__(self, control: socket.socket, room: int = _ROOM) -> None:
        self._control = control
        self._cables: dict[str, Cable] = {}
        self._ways: dict[int, Way] = {}
        self._heads: list[tuple[int, int]] = []  # a heap: when the first frame of a way leaves, and the way's end
        self._room = room
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
                    self._timer.fired()
                elif fd == self._control.fileno():
                    if not self._obey():
                        return
                elif fd in self._ways:
                    self._take(fd)
            self._release()

    def close(self) -> None:
        for cable in self._cables.values():
            cable.close()
        self._epoll.close()
        self._timer.close()
        self._netlink.close()

    def _take(self, fd: int) -> None:
        way = self._ways[fd]
        admit, frames, clock = way.direction.admit, way.frames, time.monotonic_ns
        for _ in range(_BATCH):
            try:
                frame = os.read(fd, 65_536)
            except BlockingIOError:
                return
            except OSError as error:
                self._deaf(fd, error)
                return
            now = clock()
            for entry in admit(now, frame):
                if entry[0] <= now and (not frames or frames[0][0] > now):
                    way.send(entry[1])
                else:
                    self._keep(fd, way, entry)

    def _keep(self, fd: int, way: Way, entry: tuple[int, bytes]) -> None:
        size = len(entry[1]) + _FRAME_COST
        if size > self._room:
            way.direction.counters.overflowed += 1
            return
        self._room -= size
        way.keep(entry)
        if entry[0] < way.next:
            way.next = entry[0]
            heapq.heappush(self._heads, (way.next, fd))

    def _release(self) -> None:
        heads, now = self._heads, time.monotonic_ns()
        while heads:
            when, fd = heads[0]
            if when > now and when > (now := time.monotonic_ns()):
                self._timer.arm(when)
                return
            heapq.heappop(heads)
            way = self._ways.get(fd)
            if way is None or way.next != when:  # unplugged since, or a sooner frame came
                continue
            frames = way.frames
            while frames and frames[0][0] <= now:
                _, frame = frames.popleft()
                self._room += len(frame) + _FRAME_COST
                way.send(frame)
            way.next = frames[0][0] if frames else NEVER
            if frames:
                heapq.heappush(heads, (way.next, fd))

    def _deaf(self, fd: int, error: OSError) -> None:
        """An end's interface went down or away; the control process hears of it too, and unplugs."""
        if error.errno in (errno.EBADFD, errno.EIO):  # a TAP that was deleted would report it without end
            self._epoll.unregister(fd)
        elif error.errno not in (errno.ENETDOWN, errno.ENXIO):
            raise error

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
        except KeyError as error:  # the agent lives on an answer, and ends with this process
            answer = {"error": f"no cable {error} is plugged in"}
        self._control.send(json.dumps(answer).encode())
        return True

    def _command(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["op"]:
            case "plug":
                if before := self._cables.pop(request["name"], None):  # of a host that was given up half-way
                    self._unplug(before, request["veth"], request["bridge"])
                cable = Cable(request, self._netlink)
                self._cables[cable.name] = cable
                self._ways |= cable.ways
                for fd in cable.ways:
                    self._epoll.register(fd, select.EPOLLIN)
            case "set":
                links = [(self._cables[name], link_of(settings)) for name, settings in request["links"].items()]
                for cable, link in links:
                    cable.up.set(link.up)
                    cable.down.set(link.down)
            case "unplug":
                self._unplug(self._cables.pop(request["name"]), request["veth"], request["bridge"])
            case "counters":
                return {name: cable.counters() for name, cable in self._cables.items()}
        return {}

    def _unplug(self, cable: Cable, veth: int, bridge: int) -> None:
        """Closes the cable; the veth goes back into its bridge if it still exists (`veth` is 0 when it does not)."""
        for fd, way in cable.ways.items():
            with contextlib.suppress(FileNotFoundError):  # deaf already
                self._epoll.unregister(fd)
            del self._ways[fd]
            self._room += sum(len(frame) + _FRAME_COST for _, frame in way.frames)
        cable.close()
        if veth:
            self._netlink.set_link(veth, master=bridge)


def serve(control: socket.socket) -> None:
    """The relay's process."""
    _LIBC.prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK: 1 ns instead of 50 us
    # M_TRIM_THRESHOLD: memory that frames leave is kept for the next ones, without page faults.
    _LIBC.mallopt(-1, _ROOM)
    gc.freeze()
    gc.disable()  # nothing here refers to itself, and looking through thousands of waiting frames takes time
    with contextlib.closing(Relay(control)) as relay:
        relay.run()


class _Timer:
    """A timerfd: epoll's own time-out is in milliseconds, frames are not.

    To wake up takes some 50 us. Setting it so much early and waiting out the rest in a loop was tried: on two processors a swarm of
    five peers lost more by that than its frames gained.
    """

    def __init__(self) -> None:
        self.fd = _LIBC.timerfd_create(1, 0o4000)  # CLOCK_MONOTONIC, TFD_NONBLOCK
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._armed = 0

    def arm(self, when_ns: int) -> None:
        if when_ns != self._armed:
            self._armed = when_ns
            _LIBC.timerfd_settime(self.fd, 1, struct.pack("=qqqq", 0, 0, when_ns // 10**9, when_ns % 10**9), None)

    def fired(self) -> None:
        self._armed = 0
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        os.close(self.fd)
