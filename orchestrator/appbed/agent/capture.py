"""One capture: a process that reads scapy's layer-2 sockets raw, at every point, into one pcapng file.

Nothing is dissected: reading raw keeps every frame at rates where sniffing keeps a few percent. The kernel's own drop counters
say whether that held.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from appbed.agent.pcapng import Point, Writer

_SOL_PACKET, _AUXDATA, _STATISTICS, _ADD_MEMBERSHIP, _PROMISC = 263, 8, 6, 1, 1
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_ETH_P_ALL = 0x0003
_BUFFER = 64 << 20
_BATCH = 256


def main() -> None:
    """Socket pair on fd 0: request and sockets in, "ready" out; any further message stops it, statistics out."""
    channel = socket.socket(fileno=os.dup(0))
    data, fds, _, _ = socket.recv_fds(channel, 1 << 20, 250)
    request = json.loads(data)
    try:
        sockets = [
            _prepared(fd, point, request.get("filter") or "") for fd, point in zip(fds, request["points"], strict=True)
        ]
        with Path(request["file"]).open("wb", buffering=0) as file:
            _capture(channel, sockets, request, Writer(file, "appbed"))
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            channel.send(json.dumps({"error": f"capture: {error}"}).encode())
        sys.exit(1)


def _capture(channel: socket.socket, sockets: list[Any], request: dict[str, Any], writer: Writer) -> None:
    snaplen = request.get("snaplen") or 262_144
    for point in request["points"]:
        writer.point(Point(point["name"], point["description"], point.get("comment", "")), snaplen)
    writer.flush()
    numbers = {sock.fileno(): index for index, sock in enumerate(sockets)}
    epoll = select.epoll()
    for fd in (*numbers, channel.fileno()):
        epoll.register(fd, select.EPOLLIN)
    channel.send(json.dumps({"ready": True}).encode())
    frames = [0] * len(sockets)
    stopping = False
    while not stopping:
        for fd, _ in epoll.poll(1.0):
            if fd == channel.fileno():
                stopping = True
            else:
                frames[numbers[fd]] += _take(sockets[numbers[fd]], numbers[fd], writer, snaplen, _BATCH)
        # What was read is on disk within a second, or at once when the sockets are quiet.
        writer.flush()
    for index, sock in enumerate(sockets):
        while taken := _take(sock, index, writer, snaplen, _BATCH):
            frames[index] += taken
    channel.send(json.dumps(_finished(sockets, frames, writer)).encode())


def _take(sock: Any, point: int, writer: Writer, snaplen: int, most: int) -> int:
    """Up to `most` frames that are waiting at one point."""
    for taken in range(most):
        try:
            frame, _, timestamp = sock._recv_raw(sock.ins, 262_144)
        except OSError:  # nothing waits, or the interface went away: what was captured stays
            return taken
        when = round(timestamp * 1e9) if timestamp else time.time_ns()
        writer.frame(point, when, frame[:snaplen], len(frame))
    return most


def _finished(sockets: list[Any], frames: list[int], writer: Writer) -> dict[str, Any]:
    points = []
    for index, sock in enumerate(sockets):
        received, dropped = struct.unpack("II", sock.ins.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        writer.statistics(index, time.time_ns(), received, dropped)
        points.append({"frames": frames[index], "dropped": dropped})
    writer.close()
    return {"points": points, "bytes": writer.size}


def _prepared(fd: int, point: dict[str, str], bpf: str) -> Any:
    """A packet socket from the door as scapy's own listening socket, bound last so that nothing comes before the filter."""
    from scapy.arch.linux import L2ListenSocket

    class Listener(L2ListenSocket):
        """scapy's socket around one that is already open, in another namespace."""

        auxdata_available = True  # VLAN tags and kernel timestamps come beside the frame

        def __init__(self, sock: socket.socket) -> None:
            self.ins = sock
            self.outs = None  # type: ignore[assignment]

    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
    if bpf:
        from scapy.arch.common import compile_filter
        from scapy.error import Scapy_Exception

        try:
            program = compile_filter(bpf, linktype=1)
        except Scapy_Exception as error:
            raise ValueError(f"filter {bpf!r}: {error}") from None
        sock.setsockopt(socket.SOL_SOCKET, 26, bytes(program))  # SO_ATTACH_FILTER
    interface = point["interface"]
    index = socket.if_nametoindex(interface) if point.get("here") else _index(sock, interface)
    sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("IHH8s", index, _PROMISC, 0, b""))
    sock.bind((interface, _ETH_P_ALL))
    return Listener(sock)


def _index(sock: socket.socket, interface: str) -> int:
    import fcntl

    answer = fcntl.ioctl(sock, 0x8933, struct.pack("16s24x", interface.encode()))
    return int(struct.unpack_from("16xi", answer)[0])


if __name__ == "__main__":
    main()
