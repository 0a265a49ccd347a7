"""The orchestrator's side of the talk, against streams that answer, refuse, end and fall silent."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from appbed.agent_client import AgentClient
from appbed.engine import Engine
from appbed.engine.fake import FakeEngine
from appbed.errors import AgentError, EngineError, InputError
from appbed.lab import Lab

Line = str | BaseException


class Scripted:
    """Streams that say what they are told; each ends when it has nothing left to say."""

    def __init__(self, *streams: Sequence[Line]) -> None:
        self._streams = deque(streams)
        self.opened = self.closed = 0
        self.asked: list[dict[str, Any]] = []
        self.waited_s: list[float] = []

    @contextmanager
    def stream(self, name: str, host: str, argv: Sequence[str]) -> Iterator[Scripted]:
        self.opened += 1
        self._lines = deque(self._streams.popleft())
        try:
            yield self
        finally:
            self.closed += 1

    def send(self, line: str) -> None:
        self.asked.append(json.loads(line))

    def lines(self, timeout_s: float) -> Iterator[str]:
        self.waited_s.append(timeout_s)
        while self._lines:
            line = self._lines.popleft()
            if isinstance(line, BaseException):
                raise line
            yield line


def client(*streams: Sequence[Line]) -> tuple[AgentClient, Scripted]:
    engine = Scripted(*streams)
    return AgentClient(cast(Engine, engine), "web", "agent"), engine


def test_one_question_one_answer_over_one_stream() -> None:
    asked, engine = client(['{"a": 1}', '{"b": 2}'])
    with asked:
        assert asked.ask("status") == {"a": 1}
        assert asked.ask("links", timeout_s=3, names=["x"]) == {"b": 2}
    assert engine.asked == [{"op": "status"}, {"op": "links", "names": ["x"]}]
    assert engine.waited_s[1] == 3
    assert (engine.opened, engine.closed) == (1, 1)


def test_answers_come_one_after_the_other() -> None:
    asked, _ = client(['{"n": 1}', '{"n": 2}', '{"n": 3}'])
    with asked:
        answers = asked.each("wait")
        assert [next(answers), next(answers)] == [{"n": 1}, {"n": 2}]


def test_a_refusal_carries_the_agent_s_words_and_remedy() -> None:
    asked, _ = client(['{"error": "no host \'x\'", "remedy": "known: client"}', '{"a": 1}'])
    with asked:
        with pytest.raises(AgentError, match="no host 'x'; known: client"):
            asked.ask("links")
        assert asked.ask("status") == {"a": 1}, "a refusal is not the end"


@pytest.mark.parametrize(
    ("said", "kind"), [('{"error": "no"}', AgentError), ('{"error": "no", "input": true}', InputError)]
)
def test_a_refusal_leaves_the_stream_open_for_the_holds_it_keeps(said: str, kind: type[Exception]) -> None:
    asked, engine = client([said, '{"a": 1}'])
    with asked:
        with pytest.raises(kind):
            asked.ask("hold")
        assert (engine.opened, engine.closed) == (1, 0)
        assert asked.ask("holds") == {"a": 1}
    assert (engine.opened, engine.closed) == (1, 1)


@pytest.mark.parametrize(
    "trouble",
    [TimeoutError(), BrokenPipeError(), ConnectionResetError(), EngineError("control.sock: no such file"), "not JSON"],
)
def test_after_trouble_the_next_question_goes_over_a_new_stream(trouble: Line) -> None:
    asked, engine = client([trouble, '{"stale": 1}'], ['{"fresh": 1}'])
    with asked:
        with pytest.raises(AgentError) as caught:
            asked.ask("status")
        assert engine.closed == 1
        assert str(caught.value).startswith("the agent of web does not answer (")
        assert "`appbed logs agent --name web`" in caught.value.remedy
        assert asked.ask("status") == {"fresh": 1}
    assert (engine.opened, engine.closed) == (2, 2)


def test_after_ctrl_c_the_next_question_gets_its_own_answer() -> None:
    """The capture is stopped while an interrupt goes up: its answer must not be the one that was waited for then."""
    asked, _ = client([KeyboardInterrupt(), '{"stale": 1}', '{"fresh": 1}'], ['{"fresh": 1}'])
    with asked:
        with pytest.raises(KeyboardInterrupt):
            asked.ask("links")
        assert asked.ask("capture-stop") == {"fresh": 1}


def test_an_agent_that_ends_says_so() -> None:
    asked, engine = client([], ['{"a": 1}'])
    with asked:
        with pytest.raises(AgentError, match="the agent of web ended; it is started again by itself; repeat"):
            asked.ask("status")
        assert asked.ask("status") == {"a": 1}
    assert engine.closed == 2


def test_an_engine_that_gives_no_stream_is_an_agent_that_does_not_answer() -> None:
    asked, engine = client()

    def refuse(name: str, host: str, argv: Sequence[str]) -> Any:
        raise EngineError("exec in agent: container is not running")

    engine.stream = refuse  # type: ignore[method-assign]
    with pytest.raises(AgentError, match="container is not running"):
        asked.ask("status")


@pytest.mark.parametrize("leave", [lambda asked: asked.close(), lambda asked: asked.__exit__()])
def test_closing_twice_or_unused_does_no_harm(leave: Callable[[AgentClient], None]) -> None:
    asked, engine = client(['{"a": 1}'])
    leave(asked)
    asked.ask("status")
    leave(asked)
    leave(asked)
    assert (engine.opened, engine.closed) == (1, 1)


def test_a_lab_that_is_down_again_keeps_no_stream_open(engine: FakeEngine, small: Path) -> None:
    with Lab.up(small, engine) as lab:
        lab.agent.ask("status")
        assert engine.open_streams == 1
    assert engine.open_streams == 0
