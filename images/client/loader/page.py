"""Loads a page: the base HTML file first, then what it refers to, in one of four modes."""

from __future__ import annotations

import queue
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote, urlsplit

from loader.connection import CLOSE_S, Answer, Connection, Trouble, now_s
from loader.references import References

_AS_IT_IS = "/%:@!$&'()*+,;=~-._"  # what a path may hold unquoted (RFC 3986, section 3.3), and what is quoted already
_WARM = 10
MODES = ("serial", "parallel", "persistent", "pipelined")


@dataclass(frozen=True)
class Settings:
    """What to load and how. `connections` is how many at a time in mode parallel, `at_most` how many objects of the page.

    `stay_s`: how long a persistent connection is kept for the server to close.
    """

    url: str
    mode: str = "persistent"
    connections: int = 6
    http: str = "1.1"
    proxy: str = ""
    headers: tuple[str, ...] = ()
    at_most: int | None = None
    deadline_s: float = 30.0
    stay_s: float = 0.0


@dataclass
class Object:
    """One file of the page, and what became of it; times are seconds since 1970."""

    url: str
    connection: int = 0
    asked_s: float = 0.0
    first_byte_s: float = 0.0
    done_s: float = 0.0
    status: int = 0
    body_bytes: int = 0
    sha256: str = ""
    error: str = ""

    def take(self, answer: Answer) -> None:
        self.first_byte_s, self.done_s = answer.first_byte_s, answer.done_s
        self.status, self.body_bytes, self.sha256 = answer.status, answer.size, answer.digest
        if not 200 <= answer.status < 300:
            self.error = f"status {answer.status}"

    def fail(self, trouble: Trouble) -> None:
        self.error, self.done_s = str(trouble), now_s()


class Load:
    """One page load; `connections` and `objects` are what happened."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.deadline_s = now_s() + settings.deadline_s
        self.connections: list[Connection] = []
        self.objects: list[Object] = []
        self.name_s = 0.0
        self._page = References(settings.url)
        self._addresses: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Never longer than the deadline (and the second a server may take to close)."""
        base = Object(self.settings.url)
        self.objects.append(base)
        try:
            _warm_up()
            self._address(base.url)  # before the clock of the page begins
        except Trouble as trouble:
            base.fail(trouble)
            return
        keeps = self.settings.mode in ("persistent", "pipelined")
        line = None
        if keeps:
            line = self._persistent([base])
        else:
            self._alone(base)
        urls = self._page.urls[: self.settings.at_most] if not base.error else []
        others = [Object(url) for url in urls]
        self.objects += others
        match self.settings.mode:
            case "serial":
                for each in others:
                    self._alone(each)
            case "parallel":
                with ThreadPoolExecutor(self.settings.connections) as pool:
                    list(pool.map(self._alone, others))
            case "persistent":
                for _, group in groupby(others, lambda each: urlsplit(each.url).netloc):
                    line = self._persistent(list(group), line)
            case "pipelined":
                for _, group in groupby(others, lambda each: urlsplit(each.url).netloc):
                    line = self._pipelined(list(group), line)
        if line and self.settings.stay_s:
            line.wait_for_close(self.settings.stay_s)
        self._close(line)

    def _close(self, line: Connection | None) -> None:
        """What the server should close, it has a second for, all connections together; `line` it may keep."""
        until_s = now_s() + CLOSE_S
        for connection in self.connections:
            if connection is not line:
                connection.wait_for_close(max(0.0, until_s - now_s()))
            connection.close()

    # ---- ways to fetch

    def _alone(self, each: Object) -> None:
        """Over a connection of its own, which the server closes; nobody waits for that while there is more to fetch."""
        try:
            connection = self._open(each.url)
            self._ask(connection, [each])
            each.take(self._answer(connection, each))
        except Trouble as trouble:
            each.fail(trouble)

    def _persistent(self, objects: list[Object], line: Connection | None = None) -> Connection | None:
        """One request after the other over `line`, or over a new connection where there is none (any more)."""
        for each in objects:
            try:
                line = self._fitting(line, each.url)
                self._ask(line, [each])
                answer = self._answer(line, each)
                each.take(answer)
                line = self._still_open(line, answer)
            except Trouble as trouble:
                each.fail(trouble)
                line = None
        return line

    def _pipelined(self, objects: list[Object], line: Connection | None) -> Connection | None:
        """All requests at once; what a closed connection left unanswered is asked again (RFC 9112, section 9.3.2)."""
        left = list(objects)
        while left:
            before = len(left)
            try:
                line = self._fitting(line, left[0].url)
                self._ask(line, left)
                while left and line:
                    answer = line.answer()
                    left.pop(0).take(answer)
                    line = self._still_open(line, answer)
            except Trouble as trouble:
                line = None
                if len(left) == before:
                    for each in left:
                        each.fail(trouble)
                    return None
        return line

    @staticmethod
    def _still_open(line: Connection, answer: Answer) -> Connection | None:
        """One the server said it closes is put aside: nobody waits for that while there is more to fetch."""
        return line if answer.persistent else None

    # ---- requests and connections

    def _answer(self, connection: Connection, each: Object) -> Answer:
        """Of the base file every piece is looked through for references as it comes."""
        return connection.answer(self._page.feed) if each is self.objects[0] else connection.answer()

    def _ask(self, connection: Connection, objects: list[Object]) -> None:
        requests = b"".join(self._request(each.url) for each in objects)
        for each in objects:
            each.asked_s, each.connection = now_s(), int(str(connection.record["number"]))
        connection.ask(requests)

    def _request(self, url: str) -> bytes:
        settings, parts = self.settings, urlsplit(url)
        query = f"?{quote(parts.query, safe=_AS_IT_IS + '?')}" if parts.query else ""
        target = quote(parts.path or "/", safe=_AS_IT_IS) + query
        if settings.proxy:
            target = f"http://{parts.netloc}{target}"
        lines = [
            f"GET {target} HTTP/{settings.http}",
            f"Host: {parts.netloc}",
            "User-Agent: appbed-loader",
            *settings.headers,
        ]
        keeps = settings.mode in ("persistent", "pipelined")
        if keeps and settings.http == "1.0":
            lines.append("Connection: keep-alive")
        if not keeps and settings.http == "1.1":
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", errors="replace")

    def _fitting(self, line: Connection | None, url: str) -> Connection:
        """`line` if it leads to this server, else a new connection."""
        if line and line.record["server"] == "{}:{}".format(*self._address(url)):
            return line
        return self._open(url)

    def _open(self, url: str) -> Connection:
        address = self._address(url)
        with self._lock:
            connection = Connection(len(self.connections) + 1, address, self.deadline_s)
            self.connections.append(connection)
        connection.connect()
        return connection

    def _address(self, url: str) -> tuple[str, int]:
        """Where to connect to for a URL: the proxy if there is one. Each name is asked for once."""
        authority = self.settings.proxy or urlsplit(url).netloc
        with self._lock:
            if authority not in self._addresses:
                begun_s = now_s()
                self._addresses[authority] = _resolved(authority, self.deadline_s)
                self.name_s += now_s() - begun_s
            return self._addresses[authority]


def _warm_up() -> None:
    """A page a few times in vain, over a socket pair: Python's first times are a millisecond slower, and a browser is not just
    started."""
    body = b"".join(b'<p>%d</p><img src="/%d.b" alt="">' % (number, number) for number in range(10))
    for number in range(_WARM):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(body) + body
            )
            line = Connection(number, ("", 0), now_s() + 1, ours)
            page, each = References("http://x/"), Object("http://x/")
            each.take(line.answer(page.feed))
            line.close()


def _resolved(authority: str, deadline_s: float) -> tuple[str, int]:
    """In a thread, since the resolver keeps deadlines of its own."""
    parts = urlsplit(f"//{authority}")
    found: queue.Queue[tuple[str, int] | Trouble] = queue.Queue(1)

    def ask() -> None:
        try:
            address = socket.getaddrinfo(parts.hostname, parts.port or 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
            found.put((str(address[0]), int(address[1])))
        except (OSError, UnicodeError) as error:
            found.put(Trouble("no address", f"{parts.hostname}: {error}"))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = found.get(timeout=max(0.0, deadline_s - now_s()))
    except queue.Empty:
        raise Trouble("deadline", f"reached while asking for the address of {parts.hostname}") from None
    if isinstance(answer, Trouble):
        raise answer
    return answer
