"""The one place that enters other namespaces: it finds the instance's hosts and opens sockets inside them.

It runs as a process of its own with SYS_ADMIN and SYS_PTRACE and serves its parent over a socket pair; it reads no topology, no
frame and nothing from a network. A namespace is entered only if its first process carries this instance's mark.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNET = 0x40000000
_FILES = ("resolv.conf", "hosts")  # what may be written, below the host's /etc
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.process_vm_readv.restype = ctypes.c_ssize_t
_LIBC.process_vm_readv.argtypes = (
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_ulong,
)
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Found:
    """The first process of a host: its pid, its start time in clock ticks (so a reused pid is noticed), its namespace."""

    pid: int
    started: int
    namespace: int


class Door:
    """The parent's side."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._asking = threading.Lock()  # `find` takes long on a full machine and is asked for in a thread of its own

    def find(self) -> list[Found]:
        """First processes of this instance's hosts."""
        answer, _ = self._ask({"op": "find"})
        return [Found(*entry) for entry in answer["found"]]

    def socket(self, host: Found, kind: str) -> socket.socket:
        """A socket that lives in the host's network namespace; `kind` is route, packet, tcp or udp. LookupError when it is gone."""
        _, fds = self._ask({"op": "socket", "pid": host.pid, "started": host.started, "kind": kind})
        return socket.socket(fileno=fds[0])

    def write(self, host: Found, name: str, text: str) -> None:
        """Replaces the content of the host's /etc/resolv.conf or /etc/hosts."""
        self._ask({"op": "write", "pid": host.pid, "started": host.started, "name": name, "text": text})

    def _ask(self, request: dict[str, object]) -> tuple[dict[str, list[list[int]]], list[int]]:
        with self._asking:
            self._channel.send(json.dumps(request).encode())
            data, fds, _, _ = socket.recv_fds(self._channel, 1 << 20, 1)
        answer = json.loads(data)
        if "error" in answer:
            for fd in fds:
                os.close(fd)
            raise LookupError(answer["error"])
        return answer, fds


def serve(channel: socket.socket, instance: str) -> None:
    """Answers until the parent is gone."""
    mark = f"APPBED_INSTANCE={instance}".encode()
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    outside: set[int] = set()
    while data := channel.recv(1 << 16):
        fd = -1
        try:
            answer, fd = _answer(json.loads(data), mark, home, outside)
        except (OSError, LookupError) as error:
            answer = {"error": str(error)}
        except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            # Who asks reads what strangers wrote; in a stranger's hands it may not even end this.
            answer = {"error": f"no request: {type(error).__name__}: {error}"}
        payload = json.dumps(answer).encode()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
        channel.sendmsg([payload], ancillary)
        if fd >= 0:
            os.close(fd)


def _answer(request: dict[str, object], mark: bytes, home: int, outside: set[int]) -> tuple[dict[str, object], int]:
    if request["op"] == "find":
        return {"found": [[found.pid, found.started, found.namespace] for found in _find(mark, outside)]}, -1
    pid = int(str(request["pid"]))
    found = _first_process(pid, mark)
    if found is None or found.started != request["started"]:
        raise LookupError(f"process {pid} is no first process of this instance")
    if request["op"] == "write":
        _write(pid, str(request["name"]), str(request["text"]))
        return {}, -1
    if request["op"] != "socket":
        raise LookupError(f"{request['op']!r:.40} is none of find, socket, write")
    return {}, _open(pid, str(request["kind"]), home)


def _find(mark: bytes, outside: set[int]) -> Iterator[Found]:
    """`outside` remembers processes of the machine itself: they never become a container's, so they are looked at once."""
    present = {int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()}
    outside &= present
    for pid in present - outside:
        inner = _inner_pids(pid)
        if len(inner) == 1:
            outside.add(pid)
        elif inner and inner[-1] == b"1" and (found := _first_process(pid, mark)):
            yield found


def _inner_pids(pid: int) -> list[bytes]:
    """The process's ids, from the machine's namespace inwards; empty when it is gone."""
    try:
        return (_PROC / str(pid) / "status").read_bytes().partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
    except OSError:
        return []


def _first_process(pid: int, mark: bytes) -> Found | None:
    """`pid` if it is process 1 of a container of this instance with a network namespace of its own."""
    folder = _PROC / str(pid)
    try:
        inner = _inner_pids(pid)
        if len(inner) < 2 or inner[-1] != b"1":
            return None
        fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        if mark not in _environment(pid, int(fields[47]), int(fields[48])).split(b"\0"):
            return None
        namespace = (folder / "ns/net").stat().st_ino
        if namespace == Path("/proc/self/ns/net").stat().st_ino:
            return None
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return Found(pid, int(fields[19]), namespace)


def _environment(pid: int, start: int, end: int) -> bytes:
    """The process's environment, out of its memory: opening /proc/PID/environ would need CAP_DAC_READ_SEARCH for every host
    that does not run as root, process_vm_readv(2) needs only the CAP_SYS_PTRACE that is there."""
    buffer = ctypes.create_string_buffer(max(0, min(end - start, 1 << 16)))
    here = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), len(buffer))
    there = (ctypes.c_void_p * 2)(start, len(buffer))
    read: int = _LIBC.process_vm_readv(pid, here, 1, there, 1, 0)
    return buffer.raw[: max(read, 0)]


def _open(pid: int, kind: str, home: int) -> int:
    families = {
        "route": (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW, 0),  # protocol 0: receives nothing until it is bound
        "tcp": (socket.AF_INET, socket.SOCK_STREAM, 0),
        "udp": (socket.AF_INET, socket.SOCK_DGRAM, 0),
    }
    target = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        with _inside(target, home):
            return socket.socket(*families[kind]).detach()
    finally:
        os.close(target)


@contextlib.contextmanager
def _inside(target: int, home: int) -> Iterator[None]:
    _setns(target)
    try:
        yield
    finally:
        _setns(home)


def _setns(fd: int) -> None:
    if _LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


def _write(pid: int, name: str, text: str) -> None:
    """Never through a symbolic link, which would be followed in the agent's own files, nor into a pipe: images are somebody else's."""
    if name not in _FILES:
        raise LookupError(f"{name} is none of {', '.join(_FILES)}")
    content = text.encode("ascii")  # before the file is emptied
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY)
    try:
        etc = os.open("etc", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
        try:
            file = os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=etc)
        finally:
            os.close(etc)
    finally:
        os.close(root)
    with os.fdopen(file, "wb") as out:
        out.write(content)
