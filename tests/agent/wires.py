"""Two hosts on a bridge, each behind a cable, in network namespaces without names: gone with the process, whatever happens to it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appbed.agent.cables import Cables, Port
from appbed.agent.netem import NetemCables
from appbed.agent.netlink import offloads_off
from appbed.agent.relay_cables import RelayCables
from appbed.impairment import Impairment, Link

ETHERTYPE = 0x88B5  # for local experiments (IEEE Std 802): nobody answers
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNET, _ALL, _OUTGOING, _RCVBUFFORCE, _TIMESTAMPNS = 0x40000000, 3, 4, 33, 35
_IPV6 = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
_SERVE = "import socket, sys; from appbed.agent import relay; relay.serve(socket.socket(fileno=int(sys.argv[1])))"


@dataclass(frozen=True, slots=True)
class Frame:
    """As it passed an interface, by the kernel's clock."""

    time_ms: float
    outgoing: bool
    data: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.data[14:18], "big")


class Ear:
    """All frames of one interface in both directions, as a capture there has them."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 64 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        self._socket.bind((interface, _ALL))
        self.heard: list[Frame] = []

    def listen(self, *, quiet_s: float) -> list[Frame]:
        """All so far, once nothing has come for a while."""
        while select.select([self._socket], [], [], quiet_s)[0]:
            self._take()
        return self.heard

    def until(self, condition: Callable[[list[Frame]], bool], what: str) -> list[Frame]:
        deadline = time.monotonic() + 20
        while not condition(self.heard):
            left = deadline - time.monotonic()
            assert left > 0, f"not heard within 20 s: {what}"
            select.select([self._socket], [], [], left)
            self._take()
        return self.heard

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, address = self._socket.recvmsg(2048, 64)
                seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
                self.heard.append(Frame(seconds * 1e3 + nanoseconds / 1e6, address[2] == _OUTGOING, data))

    def close(self) -> None:
        self._socket.close()


class Host:
    """A namespace with eth0, whose other end is `port` on the engine's side."""

    def __init__(self, wire: Wire, name: str, number: int) -> None:
        self.address, self.veth, self.plugged = f"10.0.0.{number}", f"v{name}", False
        self._wire, self._engine = wire, wire.engine
        self.namespace = _new_namespace(back_to=self._engine)
        where = f"/proc/{os.getpid()}/fd/{self.namespace}"
        ip(
            f"link add name {self.veth} type veth peer name eth0 netns {where}",
            f"link set dev {self.veth} master bridge up",
        )
        with self.inside():
            # The other host is known already, so that no ARP frame is counted at a moment of its own choosing.
            known = f"neigh add 10.0.0.{3 - number} lladdr 02:00:00:00:00:0{3 - number} dev eth0 nud permanent"
            ip(
                f"link set dev eth0 address 02:00:00:00:00:0{number} up",
                f"addr add {self.address}/24 dev eth0",
                known,
            )
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                offloads_off(sock, "eth0")
            self._out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._out.bind(("eth0", 0))
            self._mac: bytes = self._out.getsockname()[4]
        bridge = socket.if_nametoindex("bridge")
        self.port = Port(f"{name}@net", f"c{name}", socket.if_nametoindex(self.veth), self.veth, bridge)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets opened here live in the host."""
        _enter(self.namespace)
        try:
            yield
        finally:
            _enter(self._engine)

    @contextlib.contextmanager
    def ear(self) -> Iterator[Ear]:
        with self.inside():
            ear = Ear("eth0")
        with contextlib.closing(ear):
            yield ear

    def send(self, *numbers: int, size: int = 60) -> None:
        """A frame for each number, as fast as this process can."""
        for number in numbers:
            self._out.send(self.frame(number, size))

    def frame(self, number: int, size: int = 60) -> bytes:
        """To everybody, and nothing but its number again and again."""
        head = b"\xff" * 6 + self._mac + struct.pack("!H", ETHERTYPE)
        return (head + struct.pack("!I", number) * ((size - 14) // 4)).ljust(size, b"\0")

    def plug(self, up: Impairment | None = None, down: Impairment | None = None) -> None:
        self._wire.cables.plug(self.port, Link(up or Impairment(), down or Impairment()))
        self.plugged = True

    def set(self, up: Impairment | None = None, down: Impairment | None = None) -> None:
        self._wire.cables.set({self.port.name: Link(up or Impairment(), down or Impairment())})

    def counted(self, direction: str) -> dict[str, int]:
        counted: dict[str, int] = self._wire.cables.counters()[self.port.name][direction]
        return counted

    def entered(self, direction: str, frames: int) -> None:
        """Until the cable has taken so many."""
        deadline = time.monotonic() + 10
        while (taken := self.counted(direction)["frames_in"]) < frames:
            assert time.monotonic() < deadline, f"{taken} of {frames} frames within 10 s"

    def settled(self, direction: str, frames: int) -> None:
        """Until the cable has taken so many and none is inside any more."""
        deadline = time.monotonic() + 20
        while True:
            counted = self.counted(direction)
            gone = sum(counted.get(word, 0) for word in ("frames_out", "lost", "overflowed", "down", "refused"))
            inside = counted["frames_in"] + counted.get("duplicated", 0) - gone
            if counted["frames_in"] >= frames and not inside:
                return
            assert time.monotonic() < deadline, f"not {frames} frames in and out again within 20 s: {counted}"

    def close(self) -> None:
        self._out.close()
        os.close(self.namespace)


class Wire:
    """While it is open this thread is on the engine's side, where the back-end belongs; `near` and `far` are hosts."""

    def __init__(self, backend: str) -> None:
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, self._home)
            # The kernel stamps frames from a moment after the first such socket was opened; sooner ones bear the time of reading.
            stamping = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            stamping.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            self.engine = _new_namespace(back_to=self._home)
            stack.callback(os.close, self.engine)
            stack.callback(_enter, self._home)
            _enter(self.engine)
            ip("link add name bridge type bridge mcast_snooping 0", "link set dev bridge up")
            self.near, self.far = (Host(self, name, number) for number, name in enumerate(("near", "far"), 1))
            stack.callback(self.near.close)
            stack.callback(self.far.close)
            self.cables: Cables = NetemCables() if backend == "netem" else RelayCables(stack.enter_context(_relay()))
            self._wait_for_the_bridge()
            self._stack = stack.pop_all()

    def _wait_for_the_bridge(self) -> None:
        """Its ports forward a moment after their carrier came, up to a second later."""
        for one, other in ((self.near, self.far), (self.far, self.near)):
            with other.ear() as ear:
                deadline = time.monotonic() + 10
                while not ear.listen(quiet_s=0.02):
                    assert time.monotonic() < deadline, "the bridge carries nothing within 10 s"
                    one.send(0)

    def unplug(self, *hosts: Host, gone: bool = False) -> None:
        """Both hosts, or those named; a plain port forwards a moment later."""
        plugged = [host for host in hosts or (self.near, self.far) if host.plugged]
        for host in plugged:
            host.plugged = False
            self.cables.unplug(host.port, gone=gone)
        if plugged and not gone:
            self._wait_for_the_bridge()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextlib.contextmanager
def _relay() -> Iterator[socket.socket]:
    """The relay's process; it ends when its control socket does."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        mine.settimeout(10)
        argv = [sys.executable, "-c", _SERVE, str(theirs.fileno())]
        process = subprocess.Popen(argv, pass_fds=[theirs.fileno()])
        theirs.close()
        try:
            yield mine
        finally:
            mine.close()
            try:
                process.wait(10)
            finally:
                process.kill()
                process.wait()


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """This thread in a network namespace of its own."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        new = _new_namespace(back_to=home)
        _enter(new)
        os.close(new)
        yield
    finally:
        _enter(home)
        os.close(home)


def ip(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def qdiscs() -> str:
    """What the engine's side shows."""
    return subprocess.run(["tc", "qdisc", "show"], capture_output=True, text=True, check=True).stdout


def _new_namespace(*, back_to: int) -> int:
    _check(_LIBC.unshare(_NEWNET))
    if _IPV6.exists():
        _IPV6.write_text("1", encoding="ascii")  # no frames but the tests' own
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    _enter(back_to)
    return namespace


def _enter(namespace: int) -> None:
    _check(_LIBC.setns(namespace, _NEWNET))


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
