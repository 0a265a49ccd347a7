"""images/client/talk: each line is said once the answer to the one before is whole; against servers of a few lines, on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough  # each runs the instrument as a process

TALK = Path(__file__).parents[2] / "images" / "client" / "talk"
Answer = Callable[[bytes], bytes]


@contextmanager
def server(greeting: bytes, answer: Answer, heard: list[bytes]) -> Iterator[int]:
    """Answers each piece it hears; what is heard in one piece was said in one piece."""

    def serve() -> None:
        with listening.accept()[0] as line:
            line.sendall(greeting)
            while data := line.recv(65_536):
                heard.append(data)
                line.sendall(answer(data))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join(10)
        assert not thread.is_alive()


def talk(protocol: str, port: int, *lines: str, stay: str = "0") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(TALK), protocol, "127.0.0.1", str(port), "--stay", stay]
    said = "\n".join(lines)
    return subprocess.run(argv, input=said, capture_output=True, text=True, check=False, timeout=30)


def test_smtp_waits_for_the_last_line_of_an_answer_and_sends_a_message_in_one_piece() -> None:
    heard: list[bytes] = []

    def answer(said: bytes) -> bytes:
        return {b"EHLO": b"250-first\r\n250 last\r\n", b"DATA": b"354 go on\r\n"}.get(said[:4], b"250 ok\r\n")

    with server(b"220 here\r\n", answer, heard) as port:
        done = talk("smtp", port, "EHLO me", "DATA", "Subject: x", "", "..dot", ".", "QUIT")
    assert heard == [b"EHLO me\r\n", b"DATA\r\n", b"Subject: x\r\n\r\n..dot\r\n.\r\n", b"QUIT\r\n"]
    assert done.stdout == "220 here\n250-first\n250 last\n354 go on\n250 ok\n250 ok\n"


def test_pop3_reads_up_to_the_dot_only_where_the_command_asks_for_lines() -> None:
    heard: list[bytes] = []

    def answer(said: bytes) -> bytes:
        return (
            b"+OK\r\n1 120\r\n.\r\n" if said == b"LIST\r\n" else b"-ERR no\r\n" if said[:4] == b"RETR" else b"+OK\r\n"
        )

    with server(b"+OK here\r\n", answer, heard) as port:
        done = talk("pop3", port, "LIST", "LIST 1", "RETR 7", "QUIT")
    assert [each[:4] for each in heard] == [b"LIST", b"LIST", b"RETR", b"QUIT"]
    assert done.stdout.split("\n")[-4:] == ["+OK", "-ERR no", "+OK", ""]


def test_imap_reads_up_to_its_tag_and_over_a_literal_that_looks_like_it() -> None:
    heard: list[bytes] = []

    def answer(said: bytes) -> bytes:
        tag = said.split()[0]
        return b"* 1 FETCH (BODY {9}\r\n" + tag + b" OK x\r\n" + b"\r\n)\r\n" + tag + b" OK done\r\n"

    with server(b"* OK here\r\n", answer, heard) as port:
        talk("imap", port, "a1 FETCH", "a2 LOGOUT")
    assert heard == [b"a1 FETCH\r\n", b"a2 LOGOUT\r\n"]


def test_nobody_there_and_a_server_that_hangs_up_are_told_in_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = talk("smtp", unused.getsockname()[1], "QUIT")
    assert (refused.returncode, refused.stderr) == (1, "talk: Connection refused\n")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: listening.accept()[0].close())
        thread.start()
        left = talk("smtp", int(listening.getsockname()[1]), "QUIT")
        thread.join(10)
    assert (left.returncode, left.stderr) == (1, "talk: the server closed the connection\n")


def test_a_connection_that_is_held_outlives_the_command_and_then_ends_without_a_word() -> None:
    heard: list[bytes] = []
    with server(b"+OK here\r\n", lambda said: b"+OK\r\n", heard) as port:
        done = talk("pop3", port, "DELE 1", stay="1")
        assert done.returncode == 0
    assert heard == [b"DELE 1\r\n"]
