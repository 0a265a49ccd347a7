"""Calls counted by name, any of which can be told to fail: how a test reaches every moment of a command."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Fault:
    """Raised at the `nth` call named `call` ("" is any), before it does anything or, with `after`, when it has done it."""

    call: str
    nth: int
    error: BaseException
    after: bool


class CountedCalls:
    """`calls` are those made so far; `on_call` hears of each before it does anything."""

    def __init__(self) -> None:
        self.on_call: Callable[[str], object] = lambda call: None
        self.calls: list[str] = []
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def fail(self, call: str, error: BaseException, *, nth: int = 1, after: bool = False) -> None:
        """The `nth` call named `call` raises; "" counts every call, so that no moment is left out."""
        self._faults.append(_Fault(call, nth, error, after))

    @contextlib.contextmanager
    def _call(self, name: str) -> Iterator[None]:
        with self._lock:
            self.calls.append(name)
            counted = Counter(self.calls)
            counted[""] = len(self.calls)
        self.on_call(name)
        due = [fault for fault in self._faults if fault.call in ("", name) and counted[fault.call] == fault.nth]
        for fault in due:
            if not fault.after:
                raise fault.error
        yield
        for fault in due:
            raise fault.error
