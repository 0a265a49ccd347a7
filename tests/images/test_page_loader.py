"""images/client/loader: what it fetches how, and what it says of servers that behave badly; all on loopback."""

from __future__ import annotations

import importlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.thorough  # servers that let one wait

CLIENT = Path(__file__).parents[2] / "images" / "client"
HTML = b'<link rel="icon" href="data:,"><img src="/a.jpg"><img src="b.jpg"><img src="/a.jpg"><a href="/c.html">c</a><img src="/d.jpg">'
FILES = {"/": HTML, "/a.jpg": b"A" * 3000, "/b.jpg": b"B" * 20, "/d.jpg": b"D"}


class Origin:
    """A small server of files on real sockets; it remembers connections and requests."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.requests: list[tuple[int, str, dict[str, str]]] = []
        self.connections = 0
        self.answers_a_connection = 1000
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()

    def serve(self, line: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            number = self.connections
        with line, line.makefile("rb") as lines:
            for left in range(self.answers_a_connection, 0, -1):
                if not (head := self._head(lines)):
                    return
                target, version, headers = head
                with self._lock:
                    self.requests.append((number, target, headers))
                    self._now += 1
                    self.most_at_once = max(self.most_at_once, self._now)
                time.sleep(0.02)  # a request under way can be seen to overlap with others
                path = "/" + target.partition("//")[2].partition("/")[2] if "://" in target else target
                keeps = (
                    headers.get("connection", "keep-alive" if version == "HTTP/1.1" else "close") == "keep-alive"
                    and left > 1
                )
                body = self.files.get(path)
                status = "404 Not Found" if body is None else "200 OK"
                says = "keep-alive" if keeps else "close"
                length = len(body or b"")
                line.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: {says}\r\n\r\n".encode())
                line.sendall(body or b"")
                with self._lock:
                    self._now -= 1
                if not keeps:
                    return

    @staticmethod
    def _head(lines: Any) -> tuple[str, str, dict[str, str]] | None:
        first = lines.readline().split()
        headers = {}
        while (text := lines.readline().strip()) and first:
            name, _, value = text.decode().partition(":")
            headers[name.lower()] = value.strip().lower()
        return (first[1].decode(), first[2].decode(), headers) if first else None


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback for as long as the block lasts; its HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=quietly, args=(line,), daemon=True).start()

        def quietly(line: socket.socket) -> None:
            with line:
                try:
                    serve(line)
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(autouse=True)
def _as_in_the_image(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The loader's package, importable as it lies in the image, and forgotten again."""
    monkeypatch.syspath_prepend(str(CLIENT))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "loader"]:
        del sys.modules[name]


def load(where: str, *argv: str) -> dict[str, Any]:
    """Runs in this process: seventy interpreters would take their time."""
    url = where if "://" in where else f"http://{where}/"
    program = importlib.import_module("loader.__main__")
    done = importlib.import_module("loader.page").Load(program.settings([url, *argv]))
    done.run()
    report: dict[str, Any] = json.loads(json.dumps(program.report(done)))
    return report


# ---- the modes


@pytest.mark.parametrize("mode", ["serial", "parallel", "persistent", "pipelined"])
@pytest.mark.parametrize("http", ["1.0", "1.1"])
def test_every_mode_fetches_the_page_and_what_it_refers_to(mode: str, http: str) -> None:
    if (mode, http) == ("pipelined", "1.0"):
        return  # refused: see below
    origin = Origin()
    with listening(origin.serve) as where:
        report = load(where, "--mode", mode, "--http", http)
    assert report["complete"], report["because"]
    assert [each["url"] for each in report["objects"]] == [f"http://{where}{path}" for path in FILES]
    assert [each["body_bytes"] for each in report["objects"]] == [len(body) for body in FILES.values()]
    one_line = mode in ("persistent", "pipelined")
    assert origin.connections == len(report["connections_opened"]) == (1 if one_line else 4)
    assert all(each["asked_s"] <= each["first_byte_s"] <= each["done_s"] for each in report["objects"])
    if not one_line:
        assert {each["closed_by"] for each in report["connections_opened"]} == {"server"}


def test_parallel_has_as_many_requests_at_once_as_was_said() -> None:
    origin = Origin()
    origin.files["/"] = b"".join(b'<img src="/%d.jpg">' % number for number in range(9))
    origin.files |= {f"/{number}.jpg": b"x" for number in range(9)}
    with listening(origin.serve) as where:
        assert load(where, "--mode", "parallel", "--connections", "3")["complete"]
    assert origin.most_at_once == 3
    assert origin.connections == 10


def test_serial_and_persistent_have_one_request_at_a_time() -> None:
    for mode in ("serial", "persistent"):
        origin = Origin()
        with listening(origin.serve) as where:
            load(where, "--mode", mode)
        assert origin.most_at_once == 1


def test_pipelined_asks_for_all_objects_before_the_first_answer() -> None:
    """The server answers nothing after the base file until it has read three requests."""
    read: list[bytes] = []

    def serve(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(HTML), HTML))
        while sum(data.count(b"GET ") for data in read) < 3:
            read.append(line.recv(65_536))
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx" * 3)
        line.recv(1)

    with listening(serve) as where:
        report = load(where, "--mode", "pipelined", "--deadline", "10")
    assert report["complete"], report["because"]


def test_what_a_closed_connection_left_unanswered_is_asked_again() -> None:
    """A server that closes after two answers, whatever is in the pipeline."""
    origin = Origin()
    origin.answers_a_connection = 2
    for mode in ("pipelined", "persistent"):
        origin.connections = 0
        with listening(origin.serve) as where:
            report = load(where, "--mode", mode, "--deadline", "10")
        assert report["complete"], report["because"]
        assert origin.connections == 2


@pytest.mark.parametrize("mode", ["persistent", "pipelined"])
def test_a_server_that_closes_later_than_it_said_costs_the_page_no_time(mode: str) -> None:
    def serve(line: socket.socket) -> None:
        head = line.recv(65_536)
        body = HTML if head.startswith(b"GET / ") else b"x"
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        time.sleep(0.8)

    with listening(serve) as where:
        report = load(where, "--mode", mode, "--deadline", "10")
    assert report["complete"], report["because"]
    last_s = max(each["done_s"] for each in report["objects"])
    assert last_s - report["objects"][0]["asked_s"] < 0.8, "four connections, and not one of them was waited for"
    assert len(report["connections_opened"]) == 4
    assert {each["closed_by"] for each in report["connections_opened"]} == {"server"}


def test_through_a_proxy_the_whole_url_is_asked_for() -> None:
    origin = Origin()
    with listening(origin.serve) as where:
        report = load("http://www.someschool.edu/", "--proxy", where)
    assert report["complete"], report["because"]
    assert {target for _, target, _ in origin.requests} == {f"http://www.someschool.edu{path}" for path in FILES}
    assert {headers["host"] for *_, headers in origin.requests} == {"www.someschool.edu"}


def test_only_the_first_objects_and_further_headers() -> None:
    origin = Origin()
    with listening(origin.serve) as where:
        report = load(where, "--at-most", "1", "--header", "Cache-Control: no-cache")
    assert len(report["objects"]) == 2
    assert {headers["cache-control"] for *_, headers in origin.requests} == {"no-cache"}


def test_a_kept_connection_is_watched_until_the_server_closes_it() -> None:
    def serve(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.3)  # this server's idle time-out

    with listening(serve) as where:
        (line,) = load(where, "--stay", "10")["connections_opened"]
    assert line["closed_by"] == "server"
    assert line["closed_s"] - line["connected_s"] >= 0.3


# ---- bad weather


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    def serve(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(answer)

    return serve


@pytest.mark.parametrize("mode", ["serial", "parallel", "persistent", "pipelined"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "closed early: before an answer"),
        (b"\x00\xff\x13garbage\r\n\r\n", "garbage: "),
        (b"SSH-2.0-x\r\n\r\n", "garbage: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "closed early: after 3 bytes of the body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", "garbage: "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "garbage: "),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "garbage: "),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "status 500"),
    ],
)
def test_a_bad_answer_is_named_with_its_time(mode: str, answer: bytes, said: str) -> None:
    with listening(saying(answer)) as where:
        report = load(where, "--mode", mode, "--deadline", "10")
    assert not report["complete"]
    (base,) = report["objects"]
    assert base["error"].startswith(said)
    assert base["done_s"] >= base["asked_s"] > 0
    assert report["because"] == f"http://{where}/: {base['error']}"


@pytest.mark.parametrize("mode", ["serial", "parallel", "persistent", "pipelined"])
def test_a_server_that_never_answers_costs_no_more_than_the_deadline(mode: str) -> None:
    release = threading.Event()
    with listening(lambda line: bool(release.wait(20)) and None) as where:
        begun = time.monotonic()
        report = load(where, "--mode", mode, "--deadline", "0.5")
        release.set()
    assert report["because"].endswith("no answer: not complete before the deadline")
    assert time.monotonic() - begun < 5  # the deadline and the start of an interpreter, with room for a busy machine
    (base,) = report["objects"]
    assert 0.4 < base["done_s"] - base["asked_s"] < 1.5


def test_a_server_that_answers_a_byte_at_a_time_is_left_at_the_deadline() -> None:
    def serve(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            line.sendall(b"x")
            time.sleep(0.05)

    with listening(serve) as where:
        report = load(where, "--deadline", "0.5")
    assert "deadline" in report["because"]


def test_a_refused_connection_and_an_unknown_name_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
    assert "no connection: Connection refused" in load(where)["because"]
    assert "no connection: Connection refused" in load("http://www.someschool.edu/", "--proxy", where)["because"]
    assert "no address: " in load("http://no-such-name.invalid/", "--deadline", "5")["because"]


@pytest.mark.parametrize("mode", ["serial", "parallel", "persistent", "pipelined"])
def test_a_broken_reference_leaves_the_rest_of_the_page_whole(mode: str) -> None:
    origin = Origin()
    del origin.files["/b.jpg"]
    with listening(origin.serve) as where:
        report = load(where, "--mode", mode)
    assert [each["status"] for each in report["objects"]] == [200, 200, 404, 200]
    assert report["because"] == f"http://{where}/b.jpg: status 404"


@pytest.mark.parametrize(
    "markup", [b"<![x]>", b"<![", b"<!DOCTYPE html SYSTEM", b"\xff\xfe\x00<<<", b'<img src="http://[">']
)
def test_a_page_that_is_no_sound_html_is_read_as_far_as_it_is(markup: bytes) -> None:
    origin = Origin()
    origin.files["/"] = b'<img src="/a.jpg">' + markup + b'<img src="/d.jpg">'
    with listening(origin.serve) as where:
        report = load(where)
    assert report["complete"], report["because"]
    assert [each["url"] for each in report["objects"]][:2] == [f"http://{where}/", f"http://{where}/a.jpg"]


def test_references_are_found_wherever_a_page_is_cut_into_pieces() -> None:
    page = '<p>Gr\u00fc\u00dfe</p><img src="/\u00e4.jpg"><img alt="x" src="b.jpg">'.encode()
    references = importlib.import_module("loader.references").References
    for size in (1, 2, 3, 7, len(page)):
        found = references("http://x/")
        for begin in range(0, len(page), size):
            found.feed(page[begin : begin + size])
        assert found.urls == ["http://x/\u00e4.jpg", "http://x/b.jpg"], size


def test_a_server_that_keeps_open_what_it_should_close_is_left_after_a_second() -> None:
    release = threading.Event()

    def serve(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        release.wait(20)

    with listening(serve) as where:
        report = load(where, "--mode", "serial")
        release.set()
    assert report["complete"]
    assert report["connections_opened"][0]["closed_by"] == "client"


# ---- wrong arguments


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["www.someschool.edu"], "'www.someschool.edu' is no http URL; write http://HOST/PATH"),
        (["https://x/"], "'https://x/' is no http URL"),
        (["http://x/", "--mode", "fast"], "invalid choice: 'fast'"),
        (["http://x/", "--mode", "pipelined", "--http", "1.0"], "pipelining came with HTTP/1.1"),
        (["http://x/", "--connections", "0"], "'0' is not possible; choose 1 to 100"),
        (["http://x/", "--deadline", "0"], "a deadline of 0 s is none"),
        (["http://x/", "--header", "nonsense"], "a header is one line, NAME: VALUE"),
        ([], "the following arguments are required: url"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_64(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        importlib.import_module("loader.__main__").main(argv)
    assert caught.value.code == 64
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
