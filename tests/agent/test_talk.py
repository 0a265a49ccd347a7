"""The program that `exec` runs in the agent's container, against a real socket."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The name is short and relative: a socket's path may have only 107 bytes.
PROGRAM = "from appbed.agent import talk; talk.PATH = 'control.sock'; talk.main()"
ARGV = (sys.executable, "-I", "-c", PROGRAM)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def agent(serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """One connection to the control socket, served as told."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("control.sock")
        server.listen()

        def one() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=one)
        thread.start()
        try:
            yield
        finally:
            thread.join(10)
    assert not thread.is_alive()


def talk(questions: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(ARGV, input=questions, capture_output=True, timeout=20, check=False)


def test_questions_go_in_and_answers_come_out_also_after_the_last_question() -> None:
    asked = []

    def echo(connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:  # ends when the questions do; only then it answers
            asked.extend(lines)
        connection.sendall(b'{"answer": 1}\n{"answer": 2}\n')

    with agent(echo):
        done = talk(b'{"op": "status"}\n{"op": "links"}\n')
    assert asked == [b'{"op": "status"}\n', b'{"op": "links"}\n']
    assert (done.returncode, done.stdout, done.stderr) == (0, b'{"answer": 1}\n{"answer": 2}\n', b"")


def test_a_talk_goes_back_and_forth() -> None:
    def echo(connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                connection.sendall(line.upper())

    with agent(echo), subprocess.Popen(ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word in (b"one\n", b"two\n"):
            process.stdin.write(word)
            process.stdin.flush()
            assert process.stdout.readline() == word.upper()
        process.stdin.close()
        assert process.wait(20) == 0


def test_much_comes_through_as_it_is() -> None:
    answer = bytes(range(256)) * 8192

    def pour(connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            pass
        connection.sendall(answer)

    with agent(pour):
        assert talk(b"x" * 300_000).stdout == answer


def test_it_ends_when_the_agent_does() -> None:
    with (
        agent(lambda connection: None),
        subprocess.Popen(ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.wait(20) == 0


def test_without_an_agent_it_says_where_it_looked() -> None:
    done = talk(b"")
    assert done.returncode == 1
    assert done.stderr == b"control.sock: No such file or directory\n"
