"""One HTTP message at a place in a stream: its head by h11, its body as ranges of the stream, its times."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import h11

from appbed.analysis.stream import Stream

MAX_HEAD_BYTES = 262_144
_STEP_BYTES = 4_096
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_SIMPLE_REQUEST = re.compile(rb"GET \S+ *\r?\n")
_CHUNKED = "chunked"


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """What requests and responses share.

    `start` and `stop` are offsets in the sender's stream; `start_s` is when the first byte was seen, `end_s` when all
    had arrived. `headers` keep order and spelling. `fault` says what the grammar or the capture is missing: a
    message is `complete` when its end was seen. The body stays in the capture until it is asked for.
    """

    version: str
    headers: tuple[tuple[str, str], ...]
    start: int
    stop: int
    head_bytes: int
    start_s: float
    end_s: float
    complete: bool
    fault: str
    body_ranges: tuple[tuple[int, int], ...] = field(repr=False)
    stream: Stream = field(repr=False, compare=False)

    @property
    def body(self) -> bytes:
        """The payload as sent, chunk framing removed, content codings left; bytes not captured are left out."""
        return b"".join(self.stream.read(start, stop) for start, stop in self.body_ranges)

    @property
    def body_bytes(self) -> int:
        return sum(stop - start for start, stop in self.body_ranges)

    @property
    def size(self) -> int:
        """Bytes on the wire above TCP: head, framing and body."""
        return self.stop - self.start

    def header(self, name: str) -> str | None:
        """A header's value, whatever its spelling; several are joined by ", " (RFC 9110 section 5.3)."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class HttpRequest(HttpMessage):
    """A request; the method is "" where a response came without one."""

    method: str = ""
    target: str = ""

    @property
    def is_proxy_request(self) -> bool:
        """Whether the target is absolute, as a client writes it to a proxy (RFC 9112 section 3.2.2)."""
        return "://" in self.target.partition("?")[0] or self.method == "CONNECT"

    @property
    def host(self) -> str:
        """Whom the request is for: of an absolute target, else the Host header; "" where neither is there."""
        if self.method == "CONNECT":
            return self.target
        if self.is_proxy_request:
            return self.target.split("://", 1)[1].split("/", 1)[0].split("?", 1)[0]
        return self.header("host") or ""

    @property
    def path(self) -> str:
        """The path and query of the target."""
        if not self.is_proxy_request or self.method == "CONNECT":
            return self.target
        return "/" + self.target.split("://", 1)[1].partition("/")[2]

    @property
    def url(self) -> str:
        """host + path, as a browser shows it."""
        return self.target if self.is_proxy_request else f"http://{self.host}{self.path}"


@dataclass(frozen=True, slots=True)
class HttpResponse(HttpMessage):
    """A response; `status` is 0 in HTTP/0.9, which has none, and where the status line cannot be read."""

    status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Head:
    """A head as read, before its body's length is known."""

    version: str
    headers: tuple[tuple[str, str], ...]
    first: str
    second: str
    fault: str
    parser: h11.Connection | None

    def value(self, name: str) -> str:
        return ",".join(value for key, value in self.headers if key.lower() == name).strip().lower()


def request_at(stream: Stream, at: int) -> HttpRequest | None:
    """The request that begins at this offset, None where the stream ends."""
    at, raw, whole = _raw_head(stream, at, _SIMPLE_REQUEST)
    if not raw:
        return None
    head = _request_head(raw, whole)
    length = _request_length(head)
    ranges, stop, complete, fault = _body(stream, at + len(raw), head, length) if whole else _none(raw, at)
    return HttpRequest(
        head.version, head.headers, at, stop, len(raw), stream.seen_s(at), stream.arrived_s(stop - 1),
        complete, head.fault or fault, ranges, stream, head.first, head.second,
    )  # fmt: skip


def response_at(stream: Stream, at: int, request: HttpRequest | None) -> HttpResponse | None:
    """The response that begins at this offset; how it ends depends on the request (RFC 9112 section 6.3)."""
    method = request.method if request is not None else "GET"
    if request is not None and request.version == "HTTP/0.9" and stream.read(at, at + 5) not in (b"HTTP/", b""):
        head, raw, whole = _Head("HTTP/0.9", (), "0", "", "", None), b"", True
    else:
        at, raw, whole = _raw_head(stream, at, None)
        if not raw:
            return None
        head = _response_head(raw, whole, method)
    length = _response_length(head, method)
    ranges, stop, complete, fault = _body(stream, at + len(raw), head, length) if whole else _none(raw, at)
    status = int(head.first) if head.first.isascii() and head.first.isdigit() and len(head.first) == 3 else 0
    return HttpResponse(
        head.version, head.headers, at, stop, len(raw), stream.seen_s(at), stream.arrived_s(stop - 1),
        complete, head.fault or fault, ranges, stream, status, head.second,
    )  # fmt: skip


def _raw_head(stream: Stream, at: int, simple: re.Pattern[bytes] | None) -> tuple[int, bytes, bool]:
    """Where the head begins (empty lines before it are allowed), its bytes, and whether its end was seen."""
    size = 2048
    while True:
        raw = stream.read(at, at + size)
        short = len(raw) < size
        begins = len(raw) - len(raw.lstrip(b"\r\n"))
        at, raw = at + begins, raw[begins:]
        if simple is not None and (match := simple.match(raw)):
            return at, match[0], True
        if match := _HEAD_END.search(raw):
            return at, raw[: match.end()], True
        if short or size >= MAX_HEAD_BYTES:
            return at, raw, False
        size *= 4


def _none(raw: bytes, at: int) -> tuple[tuple[tuple[int, int], ...], int, bool, str]:
    return (), at + len(raw), False, "the head is not complete in the capture"


def _request_head(raw: bytes, whole: bool) -> _Head:
    if _SIMPLE_REQUEST.fullmatch(raw):
        return _Head("HTTP/0.9", (), "GET", raw.split()[1].decode("latin-1"), "", None)
    if not whole:
        return _by_hand(raw, "", request=True)
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        parser.receive_data(raw)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        return _by_hand(raw, str(error), request=True)
    if not isinstance(event, h11.Request):
        return _by_hand(raw, "not a request", request=True)
    version, method, target = event.http_version, event.method, event.target
    return _Head(_version(version), _headers(event), method.decode("latin-1"), target.decode("latin-1"), "", parser)


def _response_head(raw: bytes, whole: bool, method: str) -> _Head:
    if not whole:
        return _by_hand(raw, "", request=False)
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        framing = method if method in ("HEAD", "CONNECT") else "GET"
        parser.send(h11.Request(method=framing, target="/", headers=[("host", "h")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(raw)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        return _by_hand(raw, str(error), request=False)
    if not isinstance(event, h11.Response | h11.InformationalResponse):
        return _by_hand(raw, "not a response", request=False)
    status, reason = str(event.status_code), event.reason.decode("latin-1")
    return _Head(_version(event.http_version), _headers(event), status, reason, "", parser)


def _version(raw: bytes) -> str:
    return "HTTP/" + raw.decode("latin-1")


def _headers(event: h11.Request | h11.Response | h11.InformationalResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())


def _by_hand(raw: bytes, fault: str, *, request: bool) -> _Head:
    """A head that h11 refuses, read as far as it can be: a server must answer it somehow (claim W8's 400 and 505)."""
    lines = raw.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = [*lines[0].split(" ", 2), "", "", ""]
    pairs = [line.partition(":")[::2] for line in lines[1:] if ":" in line]
    headers = tuple((name.strip(), value.strip()) for name, value in pairs)
    version, first, second = (words[2], words[0], words[1]) if request else (words[0], words[1], words[2])
    return _Head(version, headers, first, second, fault, None)


def _request_length(head: _Head) -> int | str | None:
    """The body's length in bytes, _CHUNKED, or None for "until the connection closes" (RFC 9112 section 6.3)."""
    if "transfer-encoding" in (name.lower() for name, _ in head.headers):
        return _CHUNKED if head.value("transfer-encoding").endswith(_CHUNKED) else 0
    return _content_length(head) or 0


def _response_length(head: _Head, method: str) -> int | str | None:
    if head.version == "HTTP/0.9":
        return None
    if method == "HEAD" or head.first in ("204", "304") or head.first.startswith("1"):
        return 0
    if method == "CONNECT" and head.first.startswith("2"):
        return 0
    if head.value("transfer-encoding"):
        return _CHUNKED if head.value("transfer-encoding").endswith(_CHUNKED) else None
    return _content_length(head)


def _content_length(head: _Head) -> int | None:
    text = head.value("content-length").partition(",")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _body(
    stream: Stream, at: int, head: _Head, length: int | str | None
) -> tuple[tuple[tuple[int, int], ...], int, bool, str]:
    """The body's ranges, where the message ends, whether that end was seen, and what was wrong."""
    if length == _CHUNKED:
        return _chunks(stream, at, head)
    end = len(stream)
    stop = end if length is None else min(at + int(length), end)
    ranges = ((at, stop),) if stop > at else ()
    if not stream.holds(at, stop):
        return ranges, stop, False, "bytes of the body are missing from the capture"
    if length is None:
        return ranges, stop, stream.finished, "" if stream.finished else "the connection's end was not seen"
    if stop < at + int(length):
        return ranges, stop, False, f"the body ends after {stop - at} of {length} bytes"
    return ranges, stop, True, ""


def _chunks(stream: Stream, at: int, head: _Head) -> tuple[tuple[tuple[int, int], ...], int, bool, str]:
    """A chunked body, by the parser that read the head."""
    parser, ranges, fed = head.parser, list[tuple[int, int]](), at
    if parser is None:
        return (), at, False, "chunked body after a head that cannot be read"
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            return tuple(ranges), fed, False, str(error)
        read_to = fed - len(parser.trailing_data[0])
        if event is h11.NEED_DATA:
            piece = stream.read(fed, fed + _STEP_BYTES)
            if not piece:
                return tuple(ranges), fed, False, "the last chunk was not seen"
            parser.receive_data(piece)
            fed += len(piece)
        elif isinstance(event, h11.Data):
            ranges.append((read_to - len(event.data), read_to))
        else:
            return tuple(ranges), read_to, isinstance(event, h11.EndOfMessage), ""
