"""The shell that stays in a host, over a real sh and the engine's frames, without the engine."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appbed.engine import Completed, ShellEnded
from appbed.engine.docker_streams import SHELL, Lines, Shell
from appbed.errors import EngineError

pytestmark = pytest.mark.thorough  # starts processes


class Carrier:
    """Carries what a process says into a socket, in the engine's frames, and what the socket says to the process."""

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self.process, self._socket = process, sock

    def carry(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        channels = {self.process.stdout.fileno(): 1, self.process.stderr.fileno(): 2}
        while channels:
            readable, _, _ = select.select([*channels, self._socket], [], [])
            for each in readable:
                if each is self._socket:
                    if not (told := self._told()):
                        self.process.stdin.close()  # as the engine does when whoever asked is gone
                        return
                    with contextlib.suppress(BrokenPipeError):
                        os.write(self.process.stdin.fileno(), told)
                elif said := os.read(each, 700):
                    self._socket.sendall(struct.pack(">BxxxL", channels[each], len(said)) + said)
                else:
                    del channels[each]
        self._socket.shutdown(socket.SHUT_RDWR)

    def _told(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except ConnectionResetError:  # whoever asked left something unread
            return b""


@contextlib.contextmanager
def started(argv: tuple[str, ...]) -> Iterator[tuple[Shell, subprocess.Popen[bytes]]]:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    carrier = threading.Thread(target=Carrier(process, theirs).carry)
    carrier.start()
    try:
        yield Shell(Lines(ours, lambda: process.poll() is None), "host"), process
    finally:
        ours.close()
        process.wait(10)
        carrier.join(10)
        theirs.close()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe
            pipe.close()


@pytest.fixture
def shell() -> Iterator[Shell]:
    with started(SHELL) as (shell, _):
        yield shell


def program(folder: Path, text: str, name: str = "program") -> str:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def test_a_program_gives_its_status_and_both_of_its_outputs(shell: Shell, tmp_path: Path) -> None:
    says = program(tmp_path, "echo one; echo two >&2; printf three; exit 7")
    assert shell.run(says, 10) == Completed(7, "one\nthree", "two\n")
    assert shell.run(program(tmp_path, ":", "silent"), 10) == Completed(0, "", "")


def test_one_after_the_other_each_has_its_own(shell: Shell, tmp_path: Path) -> None:
    for number in range(30):
        assert shell.run(program(tmp_path, f"echo {number}"), 10).stdout == f"{number}\n"


def test_much_that_comes_in_many_frames_is_whole(shell: Shell, tmp_path: Path) -> None:
    said = shell.run(program(tmp_path, "seq 20000; seq 20000 >&2"), 20)
    assert said.stdout == said.stderr == "".join(f"{number}\n" for number in range(1, 20001))


def test_a_program_that_reads_does_not_get_what_the_shell_is_told(shell: Shell, tmp_path: Path) -> None:
    assert shell.run(program(tmp_path, "cat"), 10) == Completed(0, "", "")
    assert shell.run(program(tmp_path, "echo still"), 10).stdout == "still\n"


def test_a_name_is_no_command_line(shell: Shell, tmp_path: Path) -> None:
    odd = program(tmp_path, "echo odd", "a b;exit 3")
    assert shell.run(odd, 10).stdout == "odd\n"


def test_what_is_no_program_has_the_shells_status(shell: Shell, tmp_path: Path) -> None:
    absent = shell.run(str(tmp_path / "absent"), 10)
    assert (absent.status, absent.stdout) == (127, "")
    assert "not found" in absent.stderr
    closed = tmp_path / "closed"
    closed.write_text("echo never")
    assert shell.run(str(closed), 10).status == 126


def test_a_shell_that_is_killed_says_so(tmp_path: Path) -> None:
    with started(SHELL) as (shell, process):
        assert shell.run(program(tmp_path, ":"), 10).status == 0
        process.kill()
        with pytest.raises(ShellEnded, match="host"):
            shell.run(program(tmp_path, ":"), 10)


def test_what_is_no_shell_is_no_shell() -> None:
    with started(("true",)) as (shell, _), pytest.raises(ShellEnded, match="host"):
        shell.run("/bin/true", 10)


def test_a_program_that_does_not_end_is_not_waited_for(tmp_path: Path) -> None:
    endless = program(tmp_path, 'echo $$ > "$0.new" && mv "$0.new" "$0.pid" && exec tail -f /dev/null')
    with started(SHELL) as (shell, _):
        with pytest.raises(EngineError, match=r"host: .*program: no answer in 0 s"):
            shell.run(endless, 0.3)
        begun, deadline = Path(f"{endless}.pid"), time.monotonic() + 20
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.01)  # between two looks
        os.kill(int(begun.read_text()), signal.SIGKILL)


def test_a_shell_ends_when_nobody_tells_it_anything_any_more() -> None:
    with started(SHELL) as (_, process):
        pass
    assert process.returncode == 0
