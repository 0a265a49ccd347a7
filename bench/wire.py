"""Traffic over the tests' own wire (tests/agent/wires.py), timed and counted by the kernel.

Times are taken where a frame passes the host's eth0 (SO_TIMESTAMPNS, as the lab's captures have them), so it does not matter when
this process wakes up to read them; and it reads only after the traffic, out of sockets with room for all of it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.agent.wires import ETHERTYPE, Host, Wire, ip

from appbed.agent.cables import Port

_ALL, _SOL_PACKET, _STATISTICS, _OUTGOING = 3, 263, 6, 4
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_ROOM = 256 << 20
_SYN, _SYN_ACK, _ECHO, _ECHO_REPLY = 0x02, 0x12, 8, 0
_PING_EVERY_S = 0.005
_QUIET_S = 0.5  # after which nothing more is expected


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame as it passed an interface."""

    time_ns: int
    outgoing: bool
    frame: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.frame[14:18], "big")


class Packets:
    """A packet socket on a host's eth0; a capture hears both directions of all protocols, else only our frames that come in."""

    def __init__(self, host: Host, *, capture: bool = False) -> None:
        with host.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.bind(("eth0", _ALL if capture else ETHERTYPE))
        self.mac: bytes = self._socket.getsockname()[4]
        self._seen = 0

    def __enter__(self) -> Packets:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, target: Packets, count: int, rate: float, size: int = 64) -> float:
        """Numbered frames at `rate` a second, a millisecond's worth together; seconds taken. Then waits for the last to arrive."""
        head = target.mac + self.mac + struct.pack("!H", ETHERTYPE)
        frames = [(head + struct.pack("!I", number)).ljust(size, b"\0") for number in range(count)]
        burst = max(1, round(rate / 1000))
        start = time.monotonic()
        for first in range(0, count, burst):
            keep_pace(start + first / rate)
            for frame in frames[first : first + burst]:
                self._socket.send(frame)
        took, seen = time.monotonic() - start, -1
        while seen < (seen := target.count()) < count:
            wait(lambda: target.count() > seen, _QUIET_S)
        return took

    def read(self) -> Iterator[Seen]:
        """All that waits."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, ancillary, _, address = self._socket.recvmsg(2048, 64)
                seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
                yield Seen(seconds * 10**9 + nanoseconds, address[2] == _OUTGOING, frame)

    def count(self) -> int:
        """Frames so far, read or not, also those that found no room."""
        self._seen += struct.unpack("=II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))[0]
        return self._seen


def pings_ms(wire: Wire, count: int, longest_ms: float = 0) -> list[float]:
    """Round trips as near's own capture shows them; the far kernel answers, so that no process wakes up there."""
    with Packets(wire.near, capture=True) as capture:
        with wire.near.inside(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
            start = time.monotonic()
            for number in range(count):
                keep_pace(start + number * _PING_EVERY_S)
                total = (_ECHO << 8) + number
                message = struct.pack("!BBHHH", _ECHO, 0, ~(total + (total >> 16)) & 0xFFFF, 0, number)
                icmp.sendto(message, (wire.far.address, 0))
        wait(lambda: capture.count() >= 2 * count, _QUIET_S + longest_ms / 1000)
        sent: dict[bytes, int] = {}
        trips = []
        for seen in capture.read():
            kind, number_bytes = seen.frame[34], seen.frame[40:42]
            if kind == _ECHO:
                sent[number_bytes] = seen.time_ns
            elif kind == _ECHO_REPLY:
                trips.append((seen.time_ns - sent[number_bytes]) / 1e6)
    if len(trips) < count:
        raise RuntimeError(f"{count - len(trips)} of {count} pings without an answer: what should be carried was lost")
    return trips


def handshakes_ms(wire: Wire, count: int) -> list[float]:
    """From SYN to SYN/ACK in near's own capture."""
    with Packets(wire.near, capture=True) as capture:
        with wire.far.inside(), socket.create_server((wire.far.address, 80)):
            for _ in range(count):
                with wire.near.inside(), socket.create_connection((wire.far.address, 80)):
                    pass
        sent: dict[bytes, int] = {}
        took = []
        for seen in capture.read():
            ports, flags = seen.frame[34:38], seen.frame[47]
            if flags == _SYN:
                sent[ports] = seen.time_ns
            elif flags == _SYN_ACK:
                took.append((seen.time_ns - sent[ports[2:] + ports[:2]]) / 1e6)
    return took


def arrivals(wire: Wire, count: int, rate: float, size: int = 64) -> list[Seen]:
    """What the far host gets of frames that the near one sends."""
    with Packets(wire.near) as source, Packets(wire.far) as target:
        source.send(target, count, rate, size)
        return list(target.read())


def one_way_ms(wire: Wire, count: int, rate: float) -> list[float]:
    """From leaving near's eth0 to reaching far's."""
    with Packets(wire.near, capture=True) as capture:
        came = arrivals(wire, count, rate)
        left = {seen.number: seen.time_ns for seen in capture.read() if seen.outgoing}
    return [(seen.time_ns - left[seen.number]) / 1e6 for seen in came]


def transfer_s(wire: Wire, size: int) -> float:
    """Seconds of TCP from the far host to the near one."""
    with wire.near.inside():
        listener = socket.create_server((wire.near.address, 5001))
    with wire.far.inside():
        sender = socket.create_connection((wire.near.address, 5001))
    with listener, sender, listener.accept()[0] as receiver:
        chunk = bytes(1 << 20)

        def sending() -> None:
            for first in range(0, size, len(chunk)):
                sender.sendall(chunk[: size - first])
            sender.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=sending)
        began = time.monotonic()
        thread.start()
        room = bytearray(1 << 18)
        while receiver.recv_into(room):
            pass
        took = time.monotonic() - began
        thread.join()
    return took


def acquaint(one: Host, other: Host) -> None:
    """Each knows the other's address for good: no row pays for ARP."""
    for host, peer in ((one, other), (other, one)):
        with Packets(peer) as there, host.inside():
            ip(f"neigh replace {peer.address} lladdr {there.mac.hex(':')} dev eth0 nud permanent")


def more_ports(wire: Wire, count: int) -> list[Port]:
    """Interfaces of the near host beside its eth0, each in the bridge: to change many links at once."""
    names = [f"more{number}" for number in range(count)]
    there = f"/proc/{os.getpid()}/fd/{wire.near.namespace}"
    ip(*(f"link add {name} type veth peer name {name} netns {there}" for name in names))
    ip(*(f"link set {name} master bridge up" for name in names))
    bridge = wire.near.port.bridge
    return [Port(f"{name}@net", f"c{name}", socket.if_nametoindex(name), name, bridge) for name in names]


def relay_s() -> float:
    """Processor time of the relay so far: it is this process's only child that lives long."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return sum(int(Path(f"/proc/{child}/schedstat").read_text(encoding="ascii").split()[0]) for child in children) / 1e9


def keep_pace(moment_s: float) -> None:
    if (left := moment_s - time.monotonic()) > 0:
        time.sleep(left)


def wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
