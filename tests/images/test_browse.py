"""images/client/loader/browse: who asks when, and over which connections; on loopback."""

from __future__ import annotations

import importlib
import io
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images.test_page_loader import listening

pytestmark = pytest.mark.thorough  # moments take their real time
CLIENT = Path(__file__).parents[2] / "images" / "client"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def _as_in_the_image(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package, importable as it lies in the image, and forgotten again."""
    monkeypatch.syspath_prepend(str(CLIENT))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "loader"]:
        del sys.modules[name]


@pytest.fixture
def browse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(lines: str, *argv: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        assert importlib.import_module("loader.browse").main(list(argv)) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return run


class Proxy:
    """Answers every request; the first one only when another has been asked meanwhile."""

    def __init__(self, hold_first: bool = False) -> None:
        self.asked: list[tuple[float, str, int]] = []
        self.connections = 0
        self._hold, self._another = hold_first, threading.Event()
        self._lock = threading.Lock()

    def serve(self, line: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            number = self.connections
        while said := line.recv(65_536):
            with self._lock:
                self.asked.append((time.monotonic(), said.split()[1].decode(), number))
                first = len(self.asked) == 1
            if first and self._hold:
                assert self._another.wait(10), "the second request waited for the first one's answer"
            self._another.set()
            line.sendall(OK)


def test_nobody_waits_for_who_asked_before(browse: Any) -> None:
    proxy = Proxy(hold_first=True)
    with listening(proxy.serve) as where:
        told = browse("0.2 http://a.edu/second\n0 http://a.edu/first\n", where)
    assert told == {"asked": 2, "answered": 2, "troubles": []}
    (first_s, first, one), (second_s, second, other) = proxy.asked
    assert (first, second) == ("http://a.edu/first", "http://a.edu/second")
    assert one != other
    assert second_s - first_s >= 0.19  # never early; late is the machine's fault


def test_requests_take_connections_that_were_opened_before(browse: Any) -> None:
    proxy = Proxy()
    lines = "".join(f"{number / 10} http://a.edu/{number}\n" for number in range(3))
    with listening(proxy.serve) as where:
        browse(lines, where, "--connections", "3")
    assert proxy.connections == 3
    assert len(proxy.asked) == 3


def test_what_went_wrong_is_told_and_the_others_go_on(browse: Any) -> None:
    def serve(line: socket.socket) -> None:
        while said := line.recv(65_536):
            if b"/bad" in said:
                return
            line.sendall(OK)

    with listening(serve) as where:
        told = browse("0 http://a.edu/bad\n0.1 http://a.edu/good\n", where)
    assert (told["asked"], told["answered"]) == (2, 1)
    assert told["troubles"] == ["http://a.edu/bad: closed early: before an answer"]


@pytest.mark.parametrize(
    ("lines", "argv", "said"),
    [
        ("", ["x:1"], "0 requests; give 1 to 10000, one a line"),
        ("soon http://x/", ["x:1"], "is no line of SECONDS and an http URL"),
        ("1 ftp://x/", ["x:1"], "'1 ftp://x/' is no line of SECONDS and an http URL"),
        ("1 http://x/", ["x"], "'x' is no HOST:PORT"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_64(
    lines: str, argv: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    with pytest.raises(SystemExit) as caught:
        importlib.import_module("loader.browse").main(argv)
    assert caught.value.code == 64
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_proxy_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("0 http://x/\n"))
    with pytest.raises(SystemExit) as caught:
        importlib.import_module("loader.browse").main(["127.0.0.1:1"])
    assert caught.value.code == 1
    assert capsys.readouterr().err == "browse: 127.0.0.1:1: no connection: Connection refused\n"
