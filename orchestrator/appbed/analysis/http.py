"""HTTP exchanges: requests and the responses to them, over one connection after the other or pipelined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appbed.analysis.http_message import HttpRequest, HttpResponse, request_at, response_at
from appbed.analysis.session import OnConnection
from appbed.analysis.stream import Stream
from appbed.analysis.tcp import Connection

_REQUEST_LINE = re.compile(rb"\s*(\S+ \S+ HTTP/\d|GET /\S*\r?\n)")


@dataclass(frozen=True, slots=True)
class HttpExchange(OnConnection):
    """A request and its response on one connection; `number` counts the exchanges of a connection from 0.

    `start_s` is the request's first byte, `end_s` the last byte of the response (of the request while there is no
    response). `informational` holds 1xx responses, which precede the final one.
    """

    number: int
    request: HttpRequest
    response: HttpResponse | None
    informational: tuple[HttpResponse, ...] = ()

    @property
    def start_s(self) -> float:
        return self.request.start_s

    @property
    def end_s(self) -> float:
        return self.response.end_s if self.response is not None else self.request.end_s

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def status(self) -> int:
        """The response's status code, 0 without one."""
        return self.response.status if self.response is not None else 0

    @property
    def fault(self) -> str:
        """The first fault of the two messages, "" when both are sound."""
        return self.request.fault or (self.response.fault if self.response is not None else "no response was seen")


def is_http(connection: Connection) -> bool:
    """Whether the two sides speak HTTP/0.9 to 1.1, by their first bytes and not by their ports."""
    start = connection.from_client.read(0, 2048)
    return bool(_REQUEST_LINE.match(start)) or connection.from_server.read(0, 7) in (b"HTTP/1.", b"HTTP/0.")


def exchanges(connections: Iterable[Connection]) -> tuple[HttpExchange, ...]:
    """The exchanges of all connections that speak HTTP, by the time of their requests."""
    found = [exchange for connection in connections if is_http(connection) for exchange in _exchanges(connection)]
    return tuple(sorted(found, key=lambda exchange: exchange.start_s))


def _exchanges(connection: Connection) -> Iterator[HttpExchange]:
    """Request by request, for a response tells whether another request can follow (CONNECT, 101)."""
    asked = answered = number = 0
    while True:
        request = request_at(connection.from_client, asked)
        informational, response = _final_response(connection.from_server, answered, request)
        if request is None:
            if response is None:
                return
            request = _unseen_request(response, connection.from_client)
        yield HttpExchange(connection, number, request, response, informational)
        number += 1
        asked = request.stop if request.complete or not request.method else len(connection.from_client)
        if response is not None:
            answered = response.stop if response.complete else len(connection.from_server)
            if response.status == 101 or (request.method == "CONNECT" and 200 <= response.status < 300):
                return


def _final_response(
    stream: Stream, at: int, request: HttpRequest | None
) -> tuple[tuple[HttpResponse, ...], HttpResponse | None]:
    informational: list[HttpResponse] = []
    while (response := response_at(stream, at, request)) is not None and 100 <= response.status < 200:
        if response.status == 101 or response.stop <= at:
            break
        informational.append(response)
        at = response.stop
    return tuple(informational), response


def _unseen_request(response: HttpResponse, stream: Stream) -> HttpRequest:
    """Stands for the request of a response that came without one (408), or before the capture began."""
    return HttpRequest(
        "", (), len(stream), len(stream), 0, response.start_s, response.start_s, False,
        "no request was seen", (), stream,
    )  # fmt: skip
