"""A shell in each host of an instance, opened when it is first needed: programs run there without an exec of the engine for each."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from appbed.engine import Completed, Engine, Shell, ShellEnded

_RUN_S = 60.0
_AT_ONCE = 16  # most of them wait for the engine or for their server


class Shells:
    """`run` one program at a time; the shells end with `close`, with their hosts, and with this process."""

    def __init__(self, engine: Engine, instance: str) -> None:
        self._engine, self._instance = engine, instance
        self._open: dict[str, tuple[contextlib.ExitStack, Shell]] = {}

    def run(self, program: str, hosts: Sequence[str]) -> dict[str, Completed]:
        """In all these hosts at once; the first failure is raised when all have ended."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(hosts, pool.map(lambda host: self._one(program, host), hosts), strict=True))

    def close(self) -> None:
        for host in list(self._open):
            self._drop(host)

    def _one(self, program: str, host: str) -> Completed:
        """Where no shell is any more, or none in the image, the engine starts the program."""
        try:
            return self._shell(host).run(program, _RUN_S)
        except ShellEnded:
            self._drop(host)
            return self._engine.exec(self._instance, host, [program], timeout_s=_RUN_S)
        except BaseException:  # what it has still to say must not be the next program's answer
            self._drop(host)
            raise

    def _shell(self, host: str) -> Shell:
        if host not in self._open:
            with contextlib.ExitStack() as stack:
                shell = stack.enter_context(self._engine.shell(self._instance, host))
                self._open[host] = (stack.pop_all(), shell)
        return self._open[host][1]

    def _drop(self, host: str) -> None:
        if host in self._open:
            self._open.pop(host)[0].close()
