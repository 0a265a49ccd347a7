"""All that can go wrong while a lab comes up or goes down, Ctrl-C at every moment included: nothing is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appbed import leftovers, process
from appbed.engine import Completed
from appbed.engine.fake import FakeEngine
from appbed.errors import AgentError, AppbedError, EngineError, StartError
from appbed.lab import Lab
from small_lab import nothing_left

Break = Callable[[FakeEngine], object]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


# ---- failed starts


def set_unready(engine: FakeEngine) -> None:
    engine.unready = {"server": "port 80"}


def set_dead(*services: str) -> Break:
    def kill(engine: FakeEngine) -> None:
        engine.dead = set(services)

    return kill


FAILURES: dict[str, Break] = {
    "create refuses": lambda engine: engine.fail("create", EngineError("no space left on device")),
    "create stops half-way": lambda engine: engine.fail("create one", EngineError("no such image"), nth=2),
    "create fails at the end": lambda engine: engine.fail("create", EngineError("boom"), after=True),
    "the topology cannot be handed over": lambda engine: engine.fail("copy_in", EngineError("no space left")),
    "start refuses": lambda engine: engine.fail("start", EngineError("cgroups")),
    "start stops half-way": lambda engine: engine.fail("start one", EngineError("no memory"), nth=3),
    "the agent's container ends": set_dead("agent"),
    "a host's container ends": set_dead("server"),
    "a host never gets ready": set_unready,
    "a defect of ours": lambda engine: engine.fail("lines", ZeroDivisionError()),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_lab_that_does_not_come_up_is_gone_again(engine: FakeEngine, small: Path, failure: str) -> None:
    FAILURES[failure](engine)
    with pytest.raises((AppbedError, ZeroDivisionError)):
        Lab.up(small, engine)
    assert engine.instances() == []


def test_an_agent_that_refuses_once_is_asked_again(engine: FakeEngine, small: Path) -> None:
    engine.fail("lines", AgentError("not yet"))
    with Lab.up(small, engine) as lab:
        assert lab.agent.ask("status")["missing"] == {}


@pytest.mark.parametrize("failure", ["a host never gets ready", "a host's container ends"])
def test_a_lab_that_does_not_come_up_leaves_no_stream(engine: FakeEngine, small: Path, failure: str) -> None:
    FAILURES[failure](engine)
    with pytest.raises(StartError):
        Lab.up(small, engine)
    assert engine.open_streams == 0


def test_another_lab_does_not_go_with_the_one_that_failed(engine: FakeEngine, small: Path) -> None:
    Lab.up(small, engine, name="kept")
    engine.unready = {"server": "port 80"}
    with pytest.raises(StartError):
        Lab.up(small, engine, name="failed")
    assert [one.name for one in engine.instances()] == ["kept"]


def test_the_last_lines_of_the_host_that_is_not_ready_are_told(engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80", "client": "its network namespace"}
    engine.log["server"] = "".join(f"line {number}\n" for number in range(1, 21)) + "nginx: bind() failed\n"
    with pytest.raises(StartError) as caught:
        Lab.up(small, engine, timeout_s=5)
    said = str(caught.value)
    assert said.startswith("small: server is not ready after 5 s: waited for port 80 (and 1 more); its last lines: ")
    assert "line 14 | line 15" in said
    assert said.endswith("line 20 | nginx: bind() failed; it was taken down again")
    assert "line 13" not in said
    assert "\n" not in said
    assert caught.value.exit_code == 3


def test_a_host_that_logged_nothing_is_told_too(engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80"}
    with pytest.raises(StartError, match="waited for port 80; it logged nothing; it was taken down again"):
        Lab.up(small, engine)


def test_an_agent_that_died_is_told_at_once_with_its_last_lines(engine: FakeEngine, small: Path) -> None:
    engine.dead = {"agent"}
    engine.log["agent"] = "agent: APPBED_LINKS is 'fast'; known: auto, netem, relay\n"
    with pytest.raises(StartError) as caught:
        Lab.up(small, engine, timeout_s=3600)
    assert "small: agent is not ready: waited for its container, which ended; its last lines: agent: APPBED_LINKS" in (
        str(caught.value)
    )


def test_an_agent_that_never_answers_is_given_up_in_time(engine: FakeEngine, small: Path) -> None:
    engine.agent_late = 10**6
    with pytest.raises(StartError, match="agent is not ready after 0 s: waited for the agent; it logged nothing"):
        Lab.up(small, engine, timeout_s=0.1)
    assert nothing_left(engine)


def test_missing_images_are_named_before_anything_is_created(engine: FakeEngine, small: Path) -> None:
    engine.images = {"lab/client"}
    with pytest.raises(EngineError) as caught:
        Lab.up(small, engine)
    assert str(caught.value) == "images missing: lab/router, lab/web; run `appbed setup`"
    assert "create" not in engine.calls


def test_when_the_removal_fails_too_both_are_told(engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80"}
    engine.fail("down", EngineError("3 objects of small would not go"))
    with pytest.raises(EngineError) as caught:
        Lab.up(small, engine)
    assert "server is not ready" in str(caught.value)
    assert "would not go" in str(caught.value)


def test_when_the_removal_fails_after_ctrl_c_both_are_told(engine: FakeEngine, small: Path) -> None:
    engine.fail("start", KeyboardInterrupt())
    engine.fail("down", EngineError("3 objects of small would not go"))
    with pytest.raises(StartError) as caught:
        Lab.up(small, engine)
    assert str(caught.value).startswith("KeyboardInterrupt; and then 3 objects of small would not go")


# ---- Ctrl-C


def calls_of_a_good_start(small: Path) -> int:
    engine = FakeEngine()
    Lab.up(small, engine)
    return len(engine.calls)


@pytest.mark.parametrize("after", [False, True], ids=["before it happens", "when it has happened"])
def test_ctrl_c_at_any_call_leaves_nothing(quiet: None, small: Path, after: bool) -> None:
    for number in range(1, calls_of_a_good_start(small) + 1):
        engine = FakeEngine()
        engine.fail("", KeyboardInterrupt(), nth=number, after=after)
        with pytest.raises(KeyboardInterrupt):
            Lab.up(small, engine)
        assert engine.instances() == [], f"interrupted at call {number}, {engine.calls[number - 1]}"


def test_a_real_signal_at_any_call_leaves_nothing(quiet: None, small: Path) -> None:
    for number in range(1, calls_of_a_good_start(small) + 1):
        engine = FakeEngine()

        def interrupt(call: str, engine: FakeEngine = engine, number: int = number) -> None:
            if len(engine.calls) == number:
                os.kill(os.getpid(), signal.SIGINT)

        engine.on_call = interrupt
        with pytest.raises(KeyboardInterrupt):
            Lab.up(small, engine)
        assert engine.instances() == [], f"interrupted at call {number}, {engine.calls[number - 1]}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_impatience_does_not_stop_the_taking_down(engine: FakeEngine, small: Path, number: signal.Signals) -> None:
    """Ctrl-C again and again while containers are removed: the first failure is what is told."""
    engine.unready = {"server": "port 80"}
    engine.on_call = lambda call: call in ("down", "remove one") and os.kill(os.getpid(), number)
    with pytest.raises(StartError, match="server is not ready"):
        Lab.up(small, engine)
    assert engine.instances() == []


def test_impatience_does_not_stop_the_end_of_a_block(engine: FakeEngine, small: Path) -> None:
    engine.on_call = lambda call: call in ("down", "remove one") and os.kill(os.getpid(), signal.SIGINT)
    with Lab.up(small, engine):
        pass
    assert nothing_left(engine)


def test_an_interrupted_block_takes_its_lab_down(engine: FakeEngine, small: Path) -> None:
    def interrupted() -> None:
        with Lab.up(small, engine) as lab:
            engine.on_exec = lambda host, argv, stdin: os.kill(os.getpid(), signal.SIGINT) or Completed(0, "", "")
            lab.exec("client", "sleep", "9")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert nothing_left(engine)


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), EngineError("connection reset"), OSError("bad file")])
def test_trouble_with_the_stream_does_not_stop_the_taking_down(
    engine: FakeEngine, small: Path, trouble: BaseException
) -> None:
    lab = Lab.up(small, engine)
    engine.fail("hang up", trouble)
    with pytest.raises(type(trouble)):
        lab.down()
    assert engine.instances() == []


@pytest.mark.parametrize(("lives_on", "found"), [(False, ["small"]), (True, [])])
def test_a_process_that_was_killed_leaves_what_gc_finds(
    engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch, lives_on: bool, found: list[str]
) -> None:
    boot, space, pid, started = process.me().split(":")
    monkeypatch.setattr(process, "me", lambda: f"{boot}:{space}:{pid}:{int(started) - 1}")
    Lab.up(small, engine, lives_on=lives_on)
    assert [each.instance for each in leftovers.find(engine)] == found
