"""Shells that stay in hosts: what runs in them, and what happens when they do not stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appbed.engine import Completed, ShellEnded
from appbed.engine.fake import FakeEngine
from appbed.errors import CommandError, EngineError
from appbed.lab import Lab
from small_lab import write_small

RESET = "/appbed/reset"


@pytest.fixture
def lab(engine: FakeEngine, small: Path) -> Iterator[Lab]:
    with Lab.up(small, engine) as up:
        engine.calls.clear()
        yield up


def count(engine: FakeEngine) -> tuple[int, int, int]:
    """Shells opened, programs run in them, commands that the engine started."""
    return engine.calls.count("shell"), engine.calls.count("run"), engine.calls.count("exec")


def test_one_shell_for_each_host_runs_all_that_is_asked_there(engine: FakeEngine, lab: Lab) -> None:
    lab.renewed()
    lab.reset()
    assert count(engine) == (2, 6, 0)


def test_what_a_program_said_is_told_with_its_host(engine: FakeEngine, lab: Lab) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(0, f"{host} {argv[0]}", "")
    assert lab.renewed()["client"] == Completed(0, "client /appbed/remembers", "")
    engine.on_exec = lambda host, argv, stdin: Completed(3 * (host == "server"), f"{host} {argv[0]}", "")
    with pytest.raises(CommandError, match=r"^server: /appbed/reset: exit status 3: server /appbed/reset$"):
        lab.reset()


@pytest.mark.parametrize("status", [69, 126, 127])
def test_hosts_that_cannot_say_what_they_know_are_left_out(status: int, engine: FakeEngine, lab: Lab) -> None:
    unable = ("client", ("/appbed/remembers",))
    engine.on_exec = lambda host, argv, stdin: Completed(status * ((host, argv) == unable), "", "")
    assert list(lab.renewed()) == ["server"]


def test_local_dns_servers_forget_last_and_are_asked_last(engine: FakeEngine, tmp_path: Path) -> None:
    """A server that starts again asks them for names; the others are asked meanwhile."""
    asked: list[str] = []

    def on_exec(host: str, argv: tuple[str, ...], stdin: str) -> Completed:
        asked.append(f"{argv[0].rpartition('/')[2]} {host}")
        return Completed(0, "", "")

    engine.on_exec = on_exec
    with Lab.up(write_small(tmp_path, ("x-role: {name: client}", "x-role: {name: resolver}")), engine) as lab:
        assert set(lab.renewed()) == {"client", "server"}
    assert asked[0] == "reset server"
    assert sorted(asked[1:3]) == ["remembers server", "reset client"]
    assert asked[3] == "remembers client"


def test_a_local_dns_server_that_does_not_forget_is_told(engine: FakeEngine, tmp_path: Path) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(int(host == "client"), "", "no root server answered")
    with (
        Lab.up(write_small(tmp_path, ("x-role: {name: client}", "x-role: {name: resolver}")), engine) as lab,
        pytest.raises(CommandError, match=r"^client: /appbed/reset: exit status 1: no root server answered$"),
    ):
        lab.renewed()


@pytest.mark.parametrize("action", ["restart", "kill"])
def test_a_host_that_was_started_again_gets_another_shell(action: str, engine: FakeEngine, lab: Lab) -> None:
    lab.reset()
    engine.act("small", "server", action)  # type: ignore[arg-type]
    lab.faults.heal()
    lab.reset()
    assert count(engine) == (2, 4, 1)
    lab.reset()
    assert count(engine) == (3, 6, 1)
    assert engine.open_streams == 3, "the agent's and two hosts'"


def test_a_host_without_a_shell_is_asked_by_the_engine(engine: FakeEngine, lab: Lab) -> None:
    asked = []
    engine.on_exec = lambda host, argv, stdin: asked.append((host, argv)) or Completed(0, "", "")
    engine.fail("run", ShellEnded("server: its shell ended"))
    lab.reset("server")
    assert asked == [("server", (RESET,))]
    assert count(engine) == (1, 1, 1)


@pytest.mark.parametrize("trouble", [EngineError("server: no answer in 60 s"), KeyboardInterrupt()])
def test_what_was_not_waited_for_is_not_the_next_ones_answer(
    trouble: BaseException, engine: FakeEngine, lab: Lab
) -> None:
    engine.fail("run", trouble)
    with pytest.raises(type(trouble)):
        lab.reset("server")
    assert engine.open_streams == 1
    lab.reset("server")
    assert count(engine) == (2, 2, 0)


def test_shells_end_with_the_lab_and_with_the_talk_to_it(engine: FakeEngine, small: Path) -> None:
    with Lab.up(small, engine) as lab:
        lab.reset()
        assert engine.open_streams == 3
        lab.close()
        assert engine.open_streams == 0
        lab.reset()
    assert engine.open_streams == 0


def test_a_host_that_is_gone_fails_by_its_name(engine: FakeEngine, lab: Lab) -> None:
    engine.act("small", "server", "stop")
    with pytest.raises(EngineError, match="server"):
        lab.reset()
