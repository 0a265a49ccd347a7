"""The engine in memory's shells: they run what `exec` would, and end with their host's container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appbed.engine import Completed, ShellEnded
from appbed.errors import EngineError

if TYPE_CHECKING:
    from appbed.engine.fake import FakeEngine


class FakeShell:
    """A shell in a host; `act` on that host ends it."""

    def __init__(self, engine: FakeEngine, name: str, host: str) -> None:
        self._engine, self._name, self._host = engine, name, host
        self._acted = engine.acted(name, host)

    def __enter__(self) -> FakeShell:
        self._engine.open_streams += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.open_streams -= 1

    def run(self, program: str, timeout_s: float) -> Completed:
        with self._engine._call("run"):
            try:
                acted = self._engine.acted(self._name, self._host)
            except EngineError as error:
                raise ShellEnded(str(error)) from None
            if acted != self._acted:
                raise ShellEnded(f"{self._host}: its shell ended at {program}")
            return self._engine.on_exec(self._host, (program,), "")
