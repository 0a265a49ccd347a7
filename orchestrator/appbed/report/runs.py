"""Finished runs as a report needs them: whole, or without what is missing, and then saying so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from appbed import claims
from appbed.errors import AppbedError, InputError
from appbed.evidence import Evidence
from appbed.verdict import Outcome, Verdict

_Part = TypeVar("_Part")
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading a file raises that is JSON, but not what a run writes."""


class Run:
    """A run's folder. What of it cannot be shown is None or empty, and `missing` says why, one line each."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self.folder = folder
        self.missing: list[str] = []

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.folder)

    @cached_property
    def prediction(self) -> dict[str, Any]:
        found = self.part("the prediction", lambda: _object(self.evidence.prediction))
        return found or {}

    @property
    def scenario(self) -> str:
        return str(self.prediction.get("scenario") or self.folder.name)

    @cached_property
    def claims(self) -> tuple[str, ...]:
        return self.part("the claims", lambda: tuple(map(str, self.prediction.get("claims", ())))) or ()

    @cached_property
    def verdict(self) -> Verdict | None:
        """As judged last; None where nobody did."""
        if not (self.folder / "verdict.json").exists():
            self.missing.append(f"verdict.json is missing: judge the run with `appbed check {self.folder}`")
            return None
        return self.part("the verdict", lambda: self.evidence.verdict)

    @cached_property
    def began(self) -> tuple[datetime, float] | None:
        """When the run did something first, and for how many seconds it went on."""
        if not (self.folder / "events.jsonl").exists():
            self.missing.append("events.jsonl is missing: when the run took place is not known")
            return None
        return self.part("the time of the run", self._time)

    def _time(self) -> tuple[datetime, float] | None:
        times = [float(event.time_s) for event in self.evidence.events]
        return (datetime.fromtimestamp(min(times), UTC), max(times) - min(times)) if times else None

    @cached_property
    def conditions(self) -> dict[str, Any] | None:
        """None also where the run ended before there were any."""
        if not (self.folder / "conditions.json").exists():
            self.missing.append("conditions.json is missing: no conditions, links or topology are shown")
            return None
        return self.part("the conditions", lambda: _object(self.evidence.conditions))

    @property
    def outcome(self) -> str:
        return self.verdict.outcome.value if self.verdict else "not judged"

    def part(self, what: str, made: Callable[[], _Part]) -> _Part | None:
        """A part of the report, or None and a line in `missing`: a damaged file costs its own part and no other."""
        try:
            return made()
        except AppbedError as error:
            if not any(error.message in line for line in self.missing):  # one file may be several parts
                self.missing.append(f"{what} cannot be shown: {error.message}")
        except _MALFORMED as error:
            said = f"{type(error).__name__}: {error}"
            self.missing.append(f"{what} cannot be shown: the evidence is not as a run writes it ({said})")
        return None


def _object(value: dict[str, Any]) -> dict[str, Any]:
    """JSON from a damaged file may be anything."""
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} where an object is written")
    return value


def chosen(folders: Iterable[Path]) -> list[Run]:
    """The runs of these folders, or of the folders in them, in the order of their claims; raises InputError where there is none."""
    found = dict.fromkeys(run for folder in folders for run in _found(folder))
    runs = [Run(folder) for folder in found]
    return sorted(runs, key=lambda run: (claims.order(run.claims), run.scenario, run.folder.name))


def _found(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", remedy="name a run's folder, or one that has runs in it")
    if (folder / "prediction.json").exists():
        yield folder
        return
    within = [below for below in sorted(folder.iterdir()) if _like_a_run(below)]
    if not within:
        raise InputError(
            f"{folder}: is no run (prediction.json is missing), and has none in it", remedy="appbed run tour"
        )
    yield from within


def _like_a_run(folder: Path) -> bool:
    """Also one whose prediction is gone: that it is damaged must be seen."""
    return folder.is_dir() and any((folder / name).exists() for name in ("prediction.json", "events.jsonl"))


def counted(runs: Iterable[Run]) -> dict[str, int]:
    """How many runs had which outcome, the worst first."""
    outcomes = [run.outcome for run in runs]
    known = (Outcome.FAILED, Outcome.INCONCLUSIVE, "not judged", Outcome.UNSUPPORTED, Outcome.PASSED)
    return {str(each): outcomes.count(str(each)) for each in known if str(each) in outcomes}
