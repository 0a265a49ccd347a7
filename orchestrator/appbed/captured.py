"""A finished capture: fetched from the agent, with what a reader must know before believing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from appbed.engine import Engine
from appbed.errors import AgentError


@dataclass(frozen=True, slots=True)
class Captured:
    """The files, oldest first, and by point the `frames` in them, those `dropped` by the kernel and those `discarded` later.

    `problem` says why it ended before it was stopped, "" if it did not; `notes` are what happened at single points.
    """

    files: tuple[Path, ...]
    points: Mapping[str, Mapping[str, int]]
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """The file, or the oldest of several."""
        return self.files[0]

    @property
    def dropped(self) -> int:
        return sum(point["dropped"] for point in self.points.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each reason not to take what is missing in it for what did not happen."""
        lost = (f"{self.dropped} frames were not captured: the kernel had no room for them",) if self.dropped else ()
        discarded = sum(point.get("discarded", 0) for point in self.points.values())
        limited = (f"{discarded} frames were captured and not kept",) if discarded else ()
        return (*((self.problem,) if self.problem else ()), *lost, *limited, *self.notes)


def fetch(engine: Engine, instance: str, agent: str, name: str, answer: Mapping[str, Any], to: Path) -> Captured:
    """Moves a stopped capture's files to `to`, or beside it under dumpcap's names where there may be several."""
    paths = [PurePosixPath(file) for file in answer["files"]]
    if not paths:
        raise AgentError(f"capture {name!r}: its files are gone", remedy=answer.get("problem", ""))
    files = []
    for path in paths:
        part = path.stem.removeprefix(name)  # "" or "_00001_20260131235959"
        files.append(to.with_name(f"{to.stem}{part}{to.suffix}") if part else to)
        engine.copy_out(instance, agent, str(path), files[-1])
    engine.exec(instance, agent, ["rm", "-f", *map(str, paths)])
    points: dict[str, dict[str, int]] = {}
    notes = []
    for point in answer["points"]:
        points[point["name"]] = {key: value for key, value in point.items() if key not in ("name", "note")}
        if point.get("note"):
            notes.append(f"{point['name']}: {point['note']}")
    return Captured(tuple(files), points, answer.get("problem", ""), tuple(notes))
