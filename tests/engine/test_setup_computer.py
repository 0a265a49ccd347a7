"""The real computer and the real SDK at the edge: processes end when they must, engines that are not there are told apart."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appbed.engine.computer import ThisComputer
from appbed.engine.daemon import Unreachable, connect_sdk
from appbed.engine.endpoints import Endpoint
from appbed.errors import EngineError

STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
)


@pytest.fixture
def computer() -> Iterator[ThisComputer]:
    computer = ThisComputer()
    yield computer
    computer.stop()


def wait(condition: object, seconds: float = 5.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        pause.wait(0.01)


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


class TestRun:
    def test_both_outputs_in_order_and_line_by_line(self, computer: ThisComputer) -> None:
        lines: list[str] = []
        program = "import sys; print('out', flush=True); print('err', file=sys.stderr, flush=True); sys.exit(3)"
        result = computer.run(python(program), timeout_s=30, on_line=lines.append)
        assert (result.status, result.output, result.ok) == (3, "out\nerr", False)
        assert lines == ["out", "err"]

    def test_the_environment_is_added_to(self, computer: ThisComputer) -> None:
        program = "import os; print(os.environ['X_ADDED'], 'PATH' in os.environ)"
        assert computer.run(python(program), timeout_s=30, environment={"X_ADDED": "yes"}).output == "yes True"

    def test_no_such_program(self, computer: ThisComputer) -> None:
        assert computer.run(["no-such-program"], timeout_s=5).status == 127

    @pytest.mark.thorough  # seconds of a child
    def test_it_is_ended_at_its_time(self, computer: ThisComputer) -> None:
        result = computer.run(python("import time; time.sleep(60)"), timeout_s=0.3)
        assert result.status == 124
        assert "no result after 0 s" in result.output

    @pytest.mark.thorough
    def test_a_child_that_keeps_the_pipe_does_not_keep_us(self, computer: ThisComputer) -> None:
        child = "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(3)\nelse:\n    print('done')"
        started = time.monotonic()
        assert computer.run(python(child), timeout_s=30).output == "done"
        assert time.monotonic() - started < 2.5

    def test_stop_ends_what_runs_and_starts_nothing_more(self, computer: ThisComputer, tmp_path: Path) -> None:
        pids: list[int] = []
        program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
        thread = threading.Thread(
            target=lambda: computer.run(
                python(program), timeout_s=60, on_line=lambda line: pids.extend([int(line)] if line.isdigit() else [])
            )
        )
        thread.start()
        wait(lambda: bool(pids))
        computer.stop()
        thread.join(timeout=5)
        assert not thread.is_alive()
        assert not Path(f"/proc/{pids[0]}").exists() or sys.platform != "linux"
        assert computer.run(python(f"open({str(tmp_path / 'ran')!r}, 'w')"), timeout_s=5).status == 130
        assert not (tmp_path / "ran").exists()

    @pytest.mark.thorough  # seconds of a child
    def test_an_interrupt_ends_the_child(self, computer: ThisComputer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("appbed.engine.computer._GRACE_S", 0.3)
        seen: list[str] = []
        ran = threading.Thread(target=lambda: computer.run(python(STUBBORN), timeout_s=60, on_line=seen.append))
        ran.start()
        wait(lambda: seen == ["on"])
        computer.stop()  # SIGINT is ignored by this one, SIGTERM follows
        ran.join(timeout=5)
        assert not ran.is_alive()


def test_a_daemon_outlives_the_command_and_writes_its_log(computer: ThisComputer, tmp_path: Path) -> None:
    log = tmp_path / "new" / "log"
    daemon = computer.spawn(
        python("import os, time; print(os.getsid(0) == os.getpid(), flush=True); time.sleep(60)"), log
    )
    try:
        assert computer.wait_until(lambda: log.read_text(encoding="utf-8") == "True\n", 10)
        computer.stop()
        assert daemon.runs()
    finally:
        daemon.end()
    assert not daemon.runs()


def test_waiting_ends(computer: ThisComputer) -> None:
    assert computer.wait_until(lambda: True, 0)
    assert not computer.wait_until(lambda: False, 0.1)


def test_files_that_cannot_be_read(computer: ThisComputer, tmp_path: Path) -> None:
    assert computer.read(str(tmp_path)) is None
    assert computer.read(str(tmp_path / "nothing")) is None
    assert computer.free_bytes(str(tmp_path / "nothing")) is None
    assert (computer.free_bytes(str(tmp_path)) or 0) > 0


class TestConnect:
    def endpoint(self, path: Path) -> Endpoint:
        return Endpoint(f"unix://{path}", "test")

    def reason(self, path: Path) -> str:
        with pytest.raises(Unreachable) as error:
            connect_sdk(self.endpoint(path))
        return error.value.reason

    def test_nothing_there(self, tmp_path: Path) -> None:
        assert self.reason(tmp_path / "docker.sock") == "absent"

    def test_a_socket_that_nobody_listens_on(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / "s"))
        assert self.reason(tmp_path / "s") == "absent"

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
    def test_a_socket_that_is_not_ours(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            listening.listen()
            (tmp_path / "s").chmod(0)
            assert self.reason(tmp_path / "s") == "forbidden"

    def test_something_else_answers(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            listening.listen()

            def answer() -> None:
                for _ in ("is anybody there?", "the question"):
                    accepted, _ = listening.accept()
                    with accepted:
                        if accepted.recv(1000):
                            accepted.sendall(b"220 mail ready\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            assert self.reason(tmp_path / "s") == "broken"
            thread.join()

    def test_a_name_that_leads_nowhere(self) -> None:
        with pytest.raises(Unreachable) as error:
            connect_sdk(Endpoint("tcp://nowhere.invalid:2375", "DOCKER_HOST", chosen=True))
        assert error.value.reason == "broken"


@pytest.mark.docker
def test_a_real_engine_says_what_it_is() -> None:
    from appbed.engine.find_engine import find_engine

    engine = find_engine(ThisComputer())
    assert engine.facts.api_version >= (1, 41)
    assert engine.facts.data_root
    assert engine.daemon.image("appbed/no-such-image:ever") is None
    assert isinstance(engine.daemon.subnets(), dict)
    with pytest.raises(EngineError):
        engine.daemon.pull("localhost:1/no-such-image:ever", lambda said: None)
