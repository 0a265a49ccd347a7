"""A sender and a receiver of UDP datagrams at tens of thousands a second, each a process of its own in a namespace of its own.

    python bench/capture_traffic.py send ADDRESS RATE SECONDS     says how many it sent
    python bench/capture_traffic.py receive ADDRESS               until its input ends; says how many came

Many datagrams go with one system call (sendmmsg(2), recvmmsg(2)), so that the load is the kernel's and not Python's.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import sys
import time

PORT, PAYLOAD = 9, b"x" * 200
BATCH = 64
LIBC = ctypes.CDLL(None, use_errno=True)
MSG_WAITFORONE, SO_RCVBUFFORCE = 0x10000, 33
CLONE_NEWNET = 0x40000000


class Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


class Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Mmsghdr(ctypes.Structure):
    _fields_ = (("header", Msghdr), ("length", ctypes.c_uint))


def messages(buffer: ctypes.Array[ctypes.c_char]) -> ctypes.Array[Mmsghdr]:
    """A batch of headers that share one buffer: what is in the datagrams does not matter."""
    vector = Iovec(ctypes.addressof(buffer), len(buffer))
    found = (Mmsghdr * BATCH)()
    for each in found:
        each.header.iov, each.header.iovlen = ctypes.pointer(vector), 1
    return found


def send(address: str, rate: int, seconds: float) -> int:
    """Paced by the clock: as many as should have gone by now, at most a batch at once."""
    buffer = ctypes.create_string_buffer(PAYLOAD, len(PAYLOAD))
    batch = messages(buffer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect((address, PORT))
        total, sent, began = int(rate * seconds), 0, time.monotonic()
        while sent < total:
            due = min(total, int((time.monotonic() - began) * rate)) - sent
            if due <= 0:
                time.sleep(0.0002)
                continue
            done = LIBC.sendmmsg(out.fileno(), batch, min(due, BATCH), 0)
            sent += max(done, 0)
        print(sent, round(time.monotonic() - began, 3), flush=True)
    return sent


def receive(address: str) -> None:
    buffer = ctypes.create_string_buffer(2048)
    batch = messages(buffer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inward, select.epoll() as epoll:
        # A second of datagrams: a receiver that could not wait at all would measure the scheduler.
        inward.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        inward.bind((address, PORT))
        inward.setblocking(False)
        for fd in (0, inward.fileno()):
            epoll.register(fd, select.EPOLLIN)
        print("ready", flush=True)
        came, ended = 0, False
        while not ended:
            for fd, _ in epoll.poll():
                if fd == 0:
                    ended = True
                while (done := LIBC.recvmmsg(inward.fileno(), batch, BATCH, MSG_WAITFORONE, None)) > 0:
                    came += done
        print(came, flush=True)


def own_namespace() -> None:
    """This process and what it starts get a network of their own, which ends with them."""
    if LIBC.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        receive(sys.argv[2])
