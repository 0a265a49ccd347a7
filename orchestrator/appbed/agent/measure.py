"""One measurement: a process that sends frames into cables at one end and takes their times at the other.

Both ends are on one machine and read one clock, so delays are one-way. Arrivals carry the kernel's time; a frame is sent at the
time read just before, and how long sending took says how far to trust that.

The frames have an EtherType for local experiments (IEEE Std 802-2014, 9.2.4) that no host listens to, and go from the host to the
bridge itself or from the bridge's end of the cable to the host: no other host ever sees one.
"""

from __future__ import annotations

import array
import heapq
import json
import os
import select
import socket
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ETHERTYPE = 0x88B5
FDS = 200  # sockets in one message; the kernel takes 253
_SOL_PACKET, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 263, 33, 35
_BUFFER = 16 << 20
_BODY = struct.Struct("!IIHHII")  # of a frame: mark, token, lane, series, number, CRC-32 of it all with this field 0
_HEAD = struct.Struct("!6s6sH")
_MARK = 0x61706264
_BATCH = 64  # frames taken from one socket before the clock gets its turn


@dataclass(slots=True)
class Series:
    """A series on its way: when each frame was sent, how uncertain that is, which arrived when. Times in ns since the beginning."""

    count: int
    size: int
    interval_ns: int
    pause_ns: int
    wait_ns: int
    sent: list[int] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)
    came: list[tuple[int, int]] = field(default_factory=list)
    arrived: set[int] = field(default_factory=set)
    refused: int = 0

    def plain(self) -> dict[str, Any]:
        return {
            "sent_us": [round(when / 1000, 1) for when in self.sent],
            "unsure_us": [round(span / 1000, 1) for span in self.unsure],
            "came": [[number, round(when / 1000, 1)] for number, when in self.came],
            "refused": self.refused,
        }


class Lane:
    """One direction of one cable: its series one after another, and what arrives of them."""

    def __init__(self, request: dict[str, Any], number: int, token: int, sockets: Sequence[socket.socket]) -> None:
        self.number = number
        self.damaged = 0
        self._sender = sockets[request["from"]]
        self._head = _HEAD.pack(bytes.fromhex(request["destination"]), bytes.fromhex(request["source"]), ETHERTYPE)
        self._token = token
        self.series = [
            Series(
                each["count"],
                each["size"],
                each["interval_us"] * 1000,
                each["pause_us"] * 1000,
                each["wait_us"] * 1000,
            )
            for each in request["series"]
        ]
        self._at = 0

    def send(self, began: int) -> int | None:
        """The next frame, or as many as go back to back; when to send again (ns since `began`), None when all are sent."""
        series = self.series[self._at]
        while True:
            self._send_one(series, began)
            if len(series.sent) == series.count:
                break
            if series.interval_ns:
                return series.sent[-1] + series.interval_ns
        self._at += 1
        if self._at == len(self.series):
            return None
        return series.sent[-1] + max(series.interval_ns, self.series[self._at].pause_ns)

    def _send_one(self, series: Series, began: int) -> None:
        frame = self._frame(self._at, len(series.sent), series.size)
        before = time.time_ns()
        try:
            self._sender.send(frame)
        except OSError:  # the interface is down, or its queue is full: the frame never set out
            series.refused += 1
        series.unsure.append(time.time_ns() - before)
        series.sent.append(before - began)

    def _frame(self, series: int, number: int, size: int) -> bytes:
        padding = bytes(size - _HEAD.size - _BODY.size)
        parts = (_MARK, self._token, self.number, series, number)
        check = zlib.crc32(_BODY.pack(*parts, 0) + padding)
        return self._head + _BODY.pack(*parts, check) + padding

    def take(self, frame: bytes, when: int) -> None:
        """One of this lane's frames, sound or damaged on the way."""
        mark, token, lane, series, number, check = _BODY.unpack_from(frame, _HEAD.size)
        whole = frame[_HEAD.size : _HEAD.size + _BODY.size - 4] + bytes(4) + frame[_HEAD.size + _BODY.size :]
        if zlib.crc32(whole) != check:
            self.damaged += 1
        elif (mark, token, lane) == (_MARK, self._token, self.number):
            self.series[series].came.append((number, when))
            self.series[series].arrived.add(number)

    def done(self, now: int) -> bool:
        """Everything has arrived, or had the time to."""
        if self._at < len(self.series):
            return False
        return all(
            len(series.arrived) == series.count or now > series.sent[-1] + series.wait_ns for series in self.series
        )


def main() -> None:
    """Request and sockets on fd 0, a socket pair; the answer is one line on stdout."""
    channel = socket.socket(fileno=os.dup(0))
    request, sockets = _received(channel)
    try:
        for sock, described in zip(sockets, request["sockets"], strict=True):
            _prepare(sock, described["interface"], described["listens"])
        token = int.from_bytes(os.urandom(4), "big")
        lanes = [Lane(each, number, token, sockets) for number, each in enumerate(request["lanes"])]
        ends = {(each["to"], bytes.fromhex(each["source"])): lanes[at] for at, each in enumerate(request["lanes"])}
        _play(lanes, ends, sockets)
        answer: dict[str, Any] = {
            "lanes": [{"damaged": lane.damaged, "series": [one.plain() for one in lane.series]} for lane in lanes]
        }
    except OSError as error:
        answer = {"error": f"measurement: {error}"}
    json.dump(answer, sys.stdout)


def _received(channel: socket.socket) -> tuple[dict[str, Any], list[socket.socket]]:
    """The request comes with the first sockets, the others after it."""
    data, fds, _, _ = socket.recv_fds(channel, 1 << 20, FDS)
    request = json.loads(data)
    while len(fds) < len(request["sockets"]):
        fds += socket.recv_fds(channel, 1, FDS)[1]
    return request, [socket.socket(fileno=fd) for fd in fds]


def _prepare(sock: socket.socket, interface: str, listens: bool) -> None:
    """The kernel stamps what comes; a socket that only sends receives nothing."""
    sock.setblocking(False)
    if listens:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.bind((interface, ETHERTYPE if listens else 0))


def _play(lanes: Sequence[Lane], ends: dict[tuple[int, bytes], Lane], sockets: Sequence[socket.socket]) -> None:
    """Sends every frame when it is due and takes what arrives, until every lane is done."""
    numbers = {sock.fileno(): number for number, sock in enumerate(sockets)}
    epoll = select.epoll()
    for number in {to for to, _ in ends}:
        epoll.register(sockets[number], select.EPOLLIN)
    began = time.time_ns()
    spread = 10_000_000 // max(1, len(lanes))  # not all at once
    due = [(lane.number * spread, lane.number) for lane in lanes]
    heapq.heapify(due)
    while due or not all(lane.done(time.time_ns() - began) for lane in lanes):
        now = time.time_ns() - began
        for _ in range(_BATCH):
            if not due or due[0][0] > now:
                break
            _, number = heapq.heappop(due)
            again = lanes[number].send(began)
            if again is not None:
                heapq.heappush(due, (again, number))
        timeout = max(0.0, (due[0][0] - (time.time_ns() - began)) / 1e9) if due else 0.02
        for fd, _ in epoll.poll(min(timeout, 0.02)):
            _take(sockets[numbers[fd]], numbers[fd], ends, began)


def _take(sock: socket.socket, number: int, ends: dict[tuple[int, bytes], Lane], began: int) -> None:
    for _ in range(_BATCH):
        try:
            frame, control, _, _ = sock.recvmsg(65_536, 64)
        except OSError:  # nothing waits, or the interface went away
            return
        lane = ends.get((number, frame[6:12]))
        if lane and len(frame) >= _HEAD.size + _BODY.size:
            lane.take(frame, _stamp(control) - began)


def _stamp(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = array.array("q", data[:16])
            return seconds * 10**9 + nanoseconds
    return time.time_ns()


if __name__ == "__main__":
    main()
