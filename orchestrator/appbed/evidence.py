"""A run on disk: what was predicted, done, captured and judged.

runs/<time>-<scenario>/
  prediction.json   written before anything runs, and where a scenario asks for the idle way again when that was measured
  conditions.json   versions, links as set and as measured, back-end, seed, drops
  events.jsonl      what the scenario did, when
  capture.pcapng    every packet at every point
  verdict.json
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from appbed.analysis import Capture
from appbed.errors import EngineError, InputError
from appbed.verdict import Verdict


class _HasTime(Protocol):
    @property
    def start_s(self) -> float: ...


_Timed = TypeVar("_Timed", bound=_HasTime)


@dataclass(frozen=True, slots=True)
class Event:
    """Something the scenario did; `time_s` since 1970."""

    time_s: float
    kind: str
    data: dict[str, Any]


class Evidence:
    """Read-only view of a finished run."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "prediction.json").is_file():
            raise InputError(f"{folder}: is no run (prediction.json is missing)", remedy="name a folder below runs/")
        self.folder = folder
        self._others: dict[str, Capture] = {}

    @functools.cached_property
    def prediction(self) -> dict[str, Any]:
        return self._json("prediction.json")

    @functools.cached_property
    def conditions(self) -> dict[str, Any]:
        return self._json("conditions.json")

    @functools.cached_property
    def verdict(self) -> Verdict:
        """As judged last."""
        return Verdict.read(self._json("verdict.json"))

    @functools.cached_property
    def events(self) -> tuple[Event, ...]:
        path = self.folder / "events.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return tuple(Event(entry.pop("time_s"), entry.pop("kind"), entry) for entry in map(json.loads, lines))

    @functools.cached_property
    def capture(self) -> Capture:
        return Capture.open(self.folder / "capture.pcapng")

    def other(self, name: str) -> Capture:
        """A capture the scenario made beside the main one."""
        if name not in self._others:
            self._others[name] = Capture.open(self.folder / name)
        return self._others[name]

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Why frames may be missing from the captures that were looked at, one line each."""
        used = {**({"capture.pcapng": self.capture} if "capture" in self.__dict__ else {}), **self._others}
        return tuple(f"{name}: {why}" for name, capture in used.items() for why in capture.incomplete)

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    def step(self, name: str) -> Event:
        """The event that began a step."""
        return next(event for event in self.of("step") if event.data["name"] == name)

    def window(self, name: str) -> tuple[float, float]:
        """When a step began, and when the next one did (or the acting ended); seconds since 1970."""
        marks = [event for event in self.events if event.kind in ("step", "acted")]
        at = next(at for at, event in enumerate(marks) if event.data.get("name") == name)
        return marks[at].time_s, marks[at + 1].time_s

    def address(self, host: str) -> str:
        """A host's first address, as the topology of the run had it."""
        return str(self.conditions["hosts"][host][0])

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}", remedy="the run is incomplete; run the scenario again") from None
        return value


def within(records: Iterable[_Timed], window: tuple[float, float]) -> list[_Timed]:
    """The records that began in a window."""
    return [record for record in records if window[0] <= record.start_s < window[1]]


class Recorder:
    """Writes a run's folder while it happens."""

    def __init__(self, folder: Path, told: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder
        self._told = told
        self._events = (folder / "events.jsonl").open("a", encoding="utf-8")

    def event(self, kind: str, **data: Any) -> None:
        """One line in events.jsonl, on disk at once."""
        self._events.write(json.dumps({"time_s": time.time(), "kind": kind, **data}) + "\n")
        self._events.flush()

    def step(self, name: str, **data: Any) -> None:
        """The beginning of a part of the run; what follows until the next step belongs to it."""
        self._told(name)
        self.event("step", name=name, **data)

    def close(self) -> None:
        self._events.close()

    def write(self, name: str, value: dict[str, Any]) -> None:
        write(self.folder, name, value)


def write(folder: Path, name: str, value: dict[str, Any]) -> None:
    """NAME.json in a run's folder, whole or not at all."""
    path = folder / f"{name}.json"
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise EngineError(f"{path}: {error.strerror}", remedy="runs/ must be writable and have room") from None


def new_folder(below: Path, scenario: str) -> Path:
    """runs/<time>-<scenario>, a number added if two begin in one second."""
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{scenario}"
    for number in range(1000):
        folder = below / (stem if not number else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(
                f"{folder}: {error.strerror}", remedy="runs/ must be writable; change to another folder"
            ) from None
    raise InputError(f"{below / stem}: a thousand runs in one second")
