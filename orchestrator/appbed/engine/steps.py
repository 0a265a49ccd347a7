"""What a long piece of work says while it goes on: Events, for whoever shows them (cli.py does)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["started", "progress", "done", "skipped"]


@dataclass(frozen=True, slots=True)
class Event:
    """`step` started, goes on, and ends "done" or "skipped" (nothing had to be done); `seconds` since it started."""

    step: str
    state: State
    detail: str
    seconds: float


Emit = Callable[[Event], None]


class Step:
    """step = Step("engine", emit); step.say("starting dockerd"); step.done("20.10.24")

    A step that fails says nothing more: its error does.
    """

    def __init__(self, name: str, emit: Emit, detail: str = "") -> None:
        self.name = name
        self._emit = emit
        self._started = time.monotonic()
        self._tell("started", detail)

    def say(self, detail: str) -> None:
        self._tell("progress", detail)

    def done(self, detail: str) -> None:
        self._tell("done", detail)

    def skipped(self, detail: str) -> None:
        self._tell("skipped", detail)

    def _tell(self, state: State, detail: str) -> None:
        self._emit(Event(self.name, state, detail, time.monotonic() - self._started))
