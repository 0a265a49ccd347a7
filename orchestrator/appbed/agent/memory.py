"""What the agent knows again after it was killed: a few files in its container's own layer, gone with the instance."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from appbed import process

FOLDER = Path("/appbed")
_EVENTS = 10_000  # kept; a link that flaps for days says more than anybody reads


class Memory:
    """State as it was last kept, events, and when the last sign of life was given (None: this is the first start)."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._state, self._log, self._alive = (folder / name for name in ("state.json", "events.jsonl", "alive"))
        self.last_alive = self._alive.stat().st_mtime if self._alive.exists() else None
        self.state = self._kept()
        self.same_boot = self.state.get("boot") == process.boot()  # else the monotonic clock has begun anew
        self.events: deque[dict[str, Any]] = deque(self._events(), _EVENTS)
        self._written = 0

    def keep(self, **parts: object) -> None:
        """On disk as a whole before it returns: a kill at any moment leaves the old state or the new one, and so does OSError."""
        state = {**self.state, **parts, "boot": process.boot()}
        partial = self._state.with_suffix(".new")
        partial.write_text(json.dumps(state))
        partial.replace(self._state)
        self.state = state

    def note(self, what: str, **details: object) -> None:
        """One event, and one line of the agent's log. A full disk loses it when the agent ends, and does not end the agent."""
        event = {"time": round(time.time(), 4), "event": what, **details}
        line = json.dumps(event)
        print(line, flush=True)
        self.events.append(event)
        with contextlib.suppress(OSError):
            with self._log.open("a", encoding="utf-8") as log:
                log.write(line + "\n")
            self._written += 1
            if self._written >= _EVENTS:
                self._written = 0
                self._shorten()

    def sign_of_life(self) -> None:
        """Seen after a kill: the outage began at most one such sign later."""
        with contextlib.suppress(OSError):
            self._alive.touch()

    def _kept(self) -> dict[str, Any]:
        """Nothing, where a power cut left the file empty or half of it."""
        with contextlib.suppress(OSError, ValueError):
            state = json.loads(self._state.read_text(encoding="utf-8"))
            return state if isinstance(state, dict) else {}
        return {}

    def _events(self) -> list[dict[str, Any]]:
        events = []
        for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log.exists() else ():
            with contextlib.suppress(ValueError):  # the line that was being written when the agent was killed
                events.append(json.loads(line))
        return events

    def _shorten(self) -> None:
        partial = self._log.with_suffix(".new")
        partial.write_text("".join(json.dumps(event) + "\n" for event in self.events), encoding="utf-8")
        partial.replace(self._log)
