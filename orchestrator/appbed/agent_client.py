"""Speaks to an instance's agent over the engine's own exec stream: JSON lines, no port, no token."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from appbed.engine import Engine, Stream
from appbed.errors import AgentError, EngineError, InputError

_TALK = ("python3", "-I", "-m", "appbed.agent.talk")
_ANSWER_S = 30.0
_QUOTED = 200  # characters of what is no answer
BACK_S = 30.0  # an agent that was killed is there again within this, also if it is not for the first time: the engine waits longer


class AgentClient:
    """`ask` one thing at a time; use it as a context manager, the stream ends with it."""

    def __init__(self, engine: Engine, instance: str, service: str) -> None:
        self._engine, self._instance, self._service = engine, instance, service
        self._stack = contextlib.ExitStack()
        self._stream: Stream | None = None

    def __enter__(self) -> AgentClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream = None
        self._stack.close()

    def ask(self, op: str, *, timeout_s: float = _ANSWER_S, **details: object) -> dict[str, Any]:
        """The agent's one answer; AgentError carries its refusal."""
        return next(self.each(op, timeout_s=timeout_s, **details))

    def ask_again(self, op: str, **details: Any) -> dict[str, Any]:
        """As `ask`, also while the agent is just being started again; what is asked must be the same asked twice."""
        deadline = time.monotonic() + BACK_S
        while True:
            try:
                return self.ask(op, **details)
            except AgentError:
                if time.monotonic() > deadline:
                    raise
                threading.Event().wait(0.1)  # between two tries: nothing tells us when it is there again

    def each(self, op: str, *, timeout_s: float = _ANSWER_S, **details: object) -> Iterator[dict[str, Any]]:
        """Answers as they come; the caller knows which is the last. A refusal leaves the stream, and the holds it keeps, as it was."""
        refused: AgentError | InputError
        try:
            if self._stream is None:
                self._stream = self._stack.enter_context(self._engine.stream(self._instance, self._service, _TALK))
            stream = self._stream
            stream.send(json.dumps({"op": op, **details}))
            for line in stream.lines(timeout_s):
                answer = _read(line)
                if "error" in answer:
                    refusal = InputError if answer.get("input") else AgentError
                    refused = refusal(str(answer["error"]), remedy=str(answer.get("remedy") or ""))
                    break
                yield answer
            else:
                raise AgentError(
                    f"the agent of {self._instance} ended", remedy="it is started again by itself; repeat the command"
                )
        except (OSError, TimeoutError, EngineError) as error:
            self.close()
            if isinstance(error, AgentError):
                raise
            raise AgentError(
                f"the agent of {self._instance} does not answer ({error or type(error).__name__})",
                remedy=f"see `appbed logs {self._service} --name {self._instance}`",
            ) from None
        except GeneratorExit:
            raise
        except BaseException:  # a Ctrl-C: the answer that is still to come must not be the next question's
            self.close()
            raise
        raise refused


def _read(line: str) -> dict[str, Any]:
    """An answer; EngineError quotes what is none, as are the engine's own words when the agent's container has stopped."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise EngineError(line.strip()[:_QUOTED])
    return answer
