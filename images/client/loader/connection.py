"""One TCP connection that speaks HTTP: a plain socket, so that nothing is hidden; h11 reads the answers."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import h11

CLOSE_S = 1.0  # a server that said it would close has so long
_EPOCH_S = time.time() - time.monotonic()


def now_s() -> float:
    """Seconds since 1970, comparable with captures; never goes back."""
    return _EPOCH_S + time.monotonic()


def _nothing(data: bytes) -> None:
    """Nobody looks at it."""


class Trouble(Exception):
    """What became of a request instead of an answer: kind, then the words for a person."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}" if what else kind)


@dataclass
class Answer:
    """One response. `persistent`: whether the connection may carry another one."""

    status: int
    headers: dict[str, str]
    first_byte_s: float
    done_s: float = 0.0
    size: int = 0
    digest: str = ""
    persistent: bool = False


class Connection:
    """Open until it is closed; `record` says when and by whom."""

    def __init__(
        self, number: int, address: tuple[str, int], deadline_s: float, over: socket.socket | None = None
    ) -> None:
        self._deadline_s = deadline_s
        self._rest = b""
        self._ended = False  # the server has closed
        self.record: dict[str, object] = {"number": number, "server": "{}:{}".format(*address), "opened_s": now_s()}
        self._address = address
        self._socket = over or socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def connect(self) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._left("connecting")
            self._socket.connect(self._address)
        except TimeoutError:
            self._fail("no answer", "nobody completed the handshake before the deadline")
        except OSError as error:
            self._fail("no connection", error.strerror or str(error))
        self.record["connected_s"] = now_s()
        self.record["local_port"] = self._socket.getsockname()[1]

    def ask(self, requests: bytes) -> None:
        """Sends one request, or several at once."""
        try:
            self._left("sending")
            self._socket.sendall(requests)
        except TimeoutError:
            self._fail("deadline", "the request could not be sent")
        except OSError as error:
            self._fail("closed early", error.strerror or str(error))

    def answer(self, look: Callable[[bytes], None] = _nothing) -> Answer:
        """The next response; the request it belongs to was sent before. `look` sees each piece of its body as it arrives."""
        parser = h11.Connection(our_role=h11.CLIENT)
        parser.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        found: Answer | None = None
        digest, first_byte_s = hashlib.sha256(), 0.0
        try:
            if self._rest:
                first_byte_s = now_s()
                parser.receive_data(self._rest)
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    parser.receive_data(self._more())
                    first_byte_s = first_byte_s or now_s()
                elif isinstance(event, h11.Response):
                    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
                    found = Answer(event.status_code, headers, first_byte_s)
                elif isinstance(event, h11.Data) and found:
                    data = bytes(event.data)
                    digest.update(data)
                    found.size += len(data)
                    look(data)
                elif isinstance(event, h11.EndOfMessage) and found:
                    break
        except h11.RemoteProtocolError as error:
            self._unreadable(error, found)
        self._rest = parser.trailing_data[0]
        found.done_s, found.digest = now_s(), digest.hexdigest()
        found.persistent = parser.their_state is h11.DONE and not self._ended
        return found

    def wait_for_close(self, patience_s: float = CLOSE_S) -> None:
        """Until the server closes, or patience or the deadline ends."""
        until_s = min(self._deadline_s, now_s() + patience_s)
        with contextlib.suppress(OSError):
            while "closed_s" not in self.record and not self._ended and (left_s := until_s - now_s()) > 0:
                self._socket.settimeout(left_s)
                self._ended = not self._socket.recv(65_536)

    def close(self) -> None:
        """Ends it from this side; who was first is recorded."""
        if "closed_s" not in self.record:
            self.record.update(closed_s=now_s(), closed_by="server" if self._ended else "client")
            self._socket.close()

    def _more(self) -> bytes:
        try:
            self._left("waiting for the answer")
            data = self._socket.recv(65_536)  # more would be memory of its own each time, and cost the page some 20 us
        except TimeoutError:
            self._fail("no answer", "not complete before the deadline")
        except OSError as error:
            self._fail("closed early", error.strerror or str(error))
        self._ended = self._ended or not data
        return data

    def _left(self, doing: str) -> None:
        """Sockets wait no longer than the page may take."""
        left_s = self._deadline_s - now_s()
        if left_s <= 0:
            self._fail("deadline", f"reached while {doing}")
        self._socket.settimeout(left_s)

    def _unreadable(self, error: Exception, found: Answer | None) -> NoReturn:
        if self._ended:
            self._fail("closed early", f"after {found.size} bytes of the body" if found else "before an answer")
        self._fail("garbage", str(error))

    def _fail(self, kind: str, what: str) -> NoReturn:
        self.close()
        raise Trouble(kind, what)
