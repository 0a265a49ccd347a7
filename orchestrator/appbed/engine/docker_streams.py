"""What the engine sends over a socket: a command's output in frames, its lines, a shell's answers, a file in pieces."""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import select
import shlex
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from appbed.engine import Completed, ShellEnded
from appbed.errors import EngineError

SHELL = ("sh",)  # what it reads on its standard input is what it is told to do
_LOOK_S = 1.0


class Lines:
    """Stream protocol over an exec's socket. While nothing comes it asks whether the command still is `running`.

    The engine leaves the socket open when the command's container is killed and started again (seen with 20.10).
    """

    def __init__(self, sock: socket.socket, running: Callable[[], bool]) -> None:
        self._socket = sock
        self._running = running
        self._rest = b""
        self._complaint = b""

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def lines(self, timeout_s: float) -> Iterator[str]:
        deadline = time.monotonic() + timeout_s
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                yield line.decode()
            frame = self.frame(deadline)
            if frame is None:
                if self._complaint:
                    raise EngineError(self._complaint.decode(errors="replace").strip().splitlines()[-1])
                return
            channel, data = frame
            if channel == 1:
                self._rest += data
            else:
                self._complaint += data

    def frame(self, deadline: float) -> tuple[int, bytes] | None:
        """The next one, whether of stdout (1) or of stderr (2); None when no more can come."""
        if not self._comes(deadline):
            return None
        return next(frames(self._socket, lambda: deadline - time.monotonic()), None)

    def _comes(self, deadline: float) -> bool:
        """Until there is something to read, or its end; False when nothing can come any more."""
        held = getattr(self._socket, "pending", lambda: 0)  # what TLS has decrypted already
        while not held() and not select.select([self._socket], [], [], _within(deadline))[0]:
            if time.monotonic() < deadline and not self._running():
                return False
            if time.monotonic() >= deadline:
                raise TimeoutError
        return True


class Shell:
    """Shell protocol over a talk with `sh`: after each program a line that none can know says, on both channels, that it ended."""

    def __init__(self, talk: Lines, host: str) -> None:
        self._talk, self._host = talk, host

    def run(self, program: str, timeout_s: float) -> Completed:
        last = secrets.token_hex(8)
        told = f"{shlex.quote(program)} < /dev/null; printf '\\n{last} %s\\n' $?; printf '\\n{last}\\n' >&2"
        said = {1: b"", 2: b""}
        deadline = time.monotonic() + timeout_s
        try:
            self._talk.send(told)
            while not (ended := _parted(last, said[1], said[2])):
                frame = self._talk.frame(deadline)
                if frame is None:
                    raise ShellEnded(f"{self._host}: its shell ended at {program}")
                said[frame[0]] += frame[1]
        except TimeoutError:
            raise EngineError(f"{self._host}: {program}: no answer in {timeout_s:.0f} s") from None
        except OSError as error:
            raise ShellEnded(f"{self._host}: its shell is gone: {error.strerror or error}") from None
        return ended


def _parted(last: str, out: bytes, complaint: bytes) -> Completed | None:
    """What a program said, without the line that says that it ended; None before that line has come on both channels."""
    end = f"\n{last}".encode()
    told = re.fullmatch(rb"(.*)%s (\d+)\n" % end, out, re.DOTALL)
    if not told or not complaint.endswith(end + b"\n"):
        return None
    return Completed(
        int(told[2]), told[1].decode(errors="replace"), complaint.removesuffix(end + b"\n").decode(errors="replace")
    )


def _within(deadline: float) -> float:
    return max(0.0, min(_LOOK_S, deadline - time.monotonic()))


class Chunks(io.RawIOBase):
    """An iterator of bytes as a file to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def frames(sock: socket.socket, left: Callable[[], float]) -> Iterator[tuple[int, bytes]]:
    """The engine's multiplexed stream: 8 bytes of header (channel, length), then data."""
    while True:
        header = _exactly(sock, 8, left())
        if not header:
            return
        channel, length = struct.unpack(">BxxxL", header)
        yield channel, _exactly(sock, length, left())


def _exactly(sock: socket.socket, count: int, timeout_s: float) -> bytes:
    data = b""
    while len(data) < count:
        if timeout_s <= 0:
            raise TimeoutError
        sock.settimeout(timeout_s)
        piece = sock.recv(count - len(data))
        if not piece:
            return b""
        data += piece
    return data


@contextlib.contextmanager
def attached(stream: Any) -> Iterator[socket.socket]:
    """The socket of a started exec; the SDK wraps it twice, and each layer wants to be closed."""
    sock: socket.socket = getattr(stream, "_sock", stream)
    try:
        yield sock
    finally:
        if response := getattr(stream, "_response", None):
            response.close()
        stream.close()
        sock.close()
