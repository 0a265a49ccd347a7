"""Labs come, stand side by side, fail cleanly and go without a trace."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appbed import places
from appbed.engine.docker import DockerEngine
from appbed.errors import InputError, StartError
from appbed.lab import Lab

from .conftest import TOPOLOGIES, devices, objects_of, wait_for

pytestmark = pytest.mark.docker
PAIR = TOPOLOGIES / "pair.yaml"


def _cli(*argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appbed.cli", *argv], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_two_instances_side_by_side_and_nothing_left(engine: DockerEngine) -> None:
    before, names = devices(), [f"test-side-{number}-{os.getpid()}" for number in (1, 2)]
    with Lab.up(PAIR, engine, name=names[0]) as first, Lab.up(PAIR, engine, name=names[1]) as second:
        assert first.topology.host("server").address != second.topology.host("server").address
        for lab in (first, second):
            lab.exec(
                "client",
                "curl",
                "-s",
                "--max-time",
                "5",
                "-o",
                "/dev/null",
                f"http://{lab.topology.host('server').address}/",
            )
        crossed = first.exec(
            "client", "ping", "-n", "-c", "1", "-W", "1", str(second.topology.host("server").address), check=False
        )
        assert crossed.status != 0
        assert devices() > before
    assert [objects_of(name) for name in names] == [[], []]
    assert devices() == before


def test_a_name_that_is_up_is_refused(pair: Lab) -> None:
    with pytest.raises(InputError, match="already up"):
        Lab.up(PAIR, pair.engine, name=pair.name)
    assert pair.exec("client", "true").status == 0


def test_a_host_that_does_not_come_up_is_named_with_its_last_lines(engine: DockerEngine, tmp_path: Path) -> None:
    name = f"test-broken-{os.getpid()}"
    over = tmp_path / "over.yaml"
    over.write_text("services: {server: {environment: {KEEPALIVE_TIMEOUT: soon}}}\n")
    with pytest.raises(StartError, match=r"server is not ready.*KEEPALIVE_TIMEOUT='soon'"):
        Lab.up(PAIR, engine, name=name, overrides=[over], timeout_s=4)
    assert objects_of(name) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_coming_up_leaves_nothing(engine: DockerEngine, number: signal.Signals) -> None:
    name = f"test-interrupted-{os.getpid()}"
    argv = [sys.executable, "-m", "appbed.cli", "up", str(PAIR), "--name", name]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "started" in line)
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert objects_of(name) == []


def test_a_terminal_that_goes_away_while_a_lab_comes_up_leaves_nothing(engine: DockerEngine) -> None:
    name, argv = f"test-hangup-{os.getpid()}", [sys.executable, "-m", "appbed.cli", "up", str(PAIR), "--name"]
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [*argv, name])
    said, left = b"", True

    def ended() -> bool:
        nonlocal left
        left = left and os.waitpid(pid, os.WNOHANG)[0] == 0
        return not left

    try:
        while b"started" not in said:
            said += os.read(terminal, 4096)
        assert objects_of(name)
        os.close(terminal)  # the kernel says SIGHUP to who sits before it
        wait_for(ended, "the command ended", 60)
    finally:
        if left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert objects_of(name) == []


def test_two_that_take_one_lab_down_at_once_do_so(engine: DockerEngine) -> None:
    name = f"test-twice-{os.getpid()}"
    Lab.up(PAIR, engine, name=name, lives_on=True).agent.close()
    argv = [sys.executable, "-m", "appbed.cli", "down", "--name", name]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert objects_of(name) == []
    assert min(process.returncode for process in both) == 0
    assert all(process.returncode == 0 or "is up" in words for process, words in zip(both, said, strict=True)), said


def test_a_role_that_ends_again_and_again_is_told_and_taken_down(engine: DockerEngine, tmp_path: Path) -> None:
    name, over = f"test-loop-{os.getpid()}", tmp_path / "over.yaml"
    over.write_text('services: {server: {entrypoint: [sh, -c, "echo no room; exit 1"], restart: always}}\n')
    with pytest.raises(StartError, match=r"server is not ready.*no room"):
        Lab.up(PAIR, engine, name=name, overrides=[over], timeout_s=4)
    assert objects_of(name) == []


def test_gc_takes_down_what_a_killed_run_left(engine: DockerEngine, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "appbed.cli", "run", "tour"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "started" in line)
        process.kill()
        process.wait()
    name = f"run-internet-{process.pid}"
    wait_for(lambda: objects_of(name), "the killed run left something")
    assert name in [each["instance"] for each in json.loads(_cli("gc", "--dry-run", "--json").stdout)]
    assert name in _cli("gc").stdout
    assert objects_of(name) == []
    assert _cli("gc").stdout.strip() == "nothing to remove"


def test_command_line_around_a_lab(engine: DockerEngine, tmp_path: Path) -> None:
    name = f"test-cli-{os.getpid()}"
    try:
        up = _cli("up", str(PAIR), "--name", name, "--json")
        assert up.returncode == 0, up.stderr
        assert json.loads(up.stdout)["hosts"] == ["client", "gateway", "isp", "server"]
        assert name in _cli("ps").stdout
        assert _cli("exec", "--name", name, "client", "--", "sh", "-c", "echo hello; exit 7").returncode == 7
        changed = json.loads(_cli("link", "set", "--name", name, "--json", "client", "up.delay=5ms", "loss=1%").stdout)
        assert changed[0]["set"] == {"up": {"delay": "5ms", "loss": "1%"}, "down": {"loss": "1%"}}
        wrong = _cli("link", "set", "--name", name, "client", "delay=fast")
        assert wrong.returncode == 2
        assert "'fast' is not a time" in wrong.stderr
        assert "Traceback" not in wrong.stderr
        assert _cli("logs", "--name", name, "agent").stdout.count('"event"') > 3
    finally:
        down = _cli("down", "--name", name)
    assert down.returncode == 0
    assert objects_of(name) == []


@pytest.mark.parametrize("name", sorted(places.topologies()))
def test_every_topology_comes_up(engine: DockerEngine, name: str) -> None:
    with Lab.up(places.topology_file(name), engine, name=f"test-up-{name}-{os.getpid()}") as lab:
        status = lab.agent.ask("status")
        assert not status["missing"]
        assert status["hosts"] == sorted(lab.topology.hosts)
