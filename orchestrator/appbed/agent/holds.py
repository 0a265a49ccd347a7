"""A hold: what keeps links otherwise than they were set until its time is over or its holder is gone. Pure.

A hold is a plan of steps, so what it does at a moment follows from the moment alone: an agent that was killed in the middle of a
schedule or of a flap goes on where the clock stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appbed.errors import InputError
from appbed.topology import Topology

FAULTS = ("cut", "partition", "flap")
SHORTEST_S = 0.01  # a cable changes in a millisecond or two; quicker plans would keep the agent from everything else
_STEPS = 200
_ROUNDING_S = 1e-6  # a moment computed in floats may come out a hair before the boundary it stands for

Block = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Step:
    """From `at_s` until `until_s` after the hold began, these `x-link` blocks lie over what is below, by attachment."""

    at_s: float
    until_s: float
    links: Mapping[str, Block]


@dataclass(frozen=True, slots=True)
class Hold:
    """`began` and `until` in seconds of the monotonic clock; with a period the steps come again and again.

    `targets` are what no second hold may have. A hold without steps marks a host that the agent itself cannot mend.
    """

    name: str
    kind: str
    targets: tuple[str, ...]
    steps: tuple[Step, ...]
    began: float
    until: float = math.inf
    period_s: float = math.inf
    holder: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def links(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for step in self.steps for name in step.links))

    def active(self, now: float) -> list[Step]:
        """The steps that count at a moment; later ones lie over earlier ones."""
        if now + _ROUNDING_S < self.began or now + _ROUNDING_S >= self.until:
            return []
        since = math.fmod(now + _ROUNDING_S - self.began, self.period_s)
        return [step for step in self.steps if step.at_s <= since < step.until_s]

    def moments(self, now: float) -> Iterator[float]:
        """When something of it begins or ends, after `now`: all of it, or as much as one period has."""
        rounds = max(0.0, (now - self.began) // self.period_s) if math.isfinite(self.period_s) else 0.0
        for number in (rounds, rounds + 1) if math.isfinite(self.period_s) else (0.0,):
            begins = self.began + (number * self.period_s if number else 0.0)
            for step in self.steps:
                yield from (at for at in (begins + step.at_s, begins + step.until_s) if now < at < self.until)
        if now < self.until < math.inf:
            yield self.until

    def over(self, now: float) -> bool:
        return now + _ROUNDING_S >= self.until

    def plain(self) -> dict[str, Any]:
        """As JSON: an end that never comes is null."""
        steps = [{"at_s": step.at_s, "until_s": _null(step.until_s), "links": step.links} for step in self.steps]
        return {
            "name": self.name,
            "kind": self.kind,
            "targets": list(self.targets),
            "steps": steps,
            "began": self.began,
            "until": _null(self.until),
            "period_s": _null(self.period_s),
            "holder": self.holder,
        }


def restored(plain: Mapping[str, Any]) -> Hold:
    """What `plain` wrote."""
    steps = tuple(Step(step["at_s"], _never(step["until_s"]), step["links"]) for step in plain["steps"])
    return Hold(
        plain["name"],
        plain["kind"],
        tuple(plain["targets"]),
        steps,
        plain["began"],
        _never(plain["until"]),
        _never(plain["period_s"]),
        plain["holder"],
    )


def planned(name: str, request: Mapping[str, Any], shape: Topology, now: float, clock: float) -> Hold:
    """A hold as asked for at `now`, when the wall clock shows `clock`; InputError says which time cannot be."""
    start = clock if request.get("start") is None else number(request["start"], "start")
    if start < clock:
        raise InputError(
            f"the schedule would have begun {clock - start:.1f} s ago", remedy="name a time that is still to come"
        )
    began = now + (start - clock)
    steps = tuple(_step(step, shape) for step in request.get("steps", ()))
    if len(steps) > _STEPS:
        raise InputError(f"{len(steps)} steps in one schedule", remedy=f"write at most {_STEPS}; `fault flap` repeats")
    length = _length(request.get("for_s"), "for")
    period = _length(request.get("period_s"), "period")
    last = max((step.until_s for step in steps), default=math.inf) if math.isinf(period) else math.inf
    return Hold(
        name,
        str(request["kind"]),
        tuple(map(str, request.get("targets", ()))),
        steps,
        began,
        began + min(length, last),
        period,
        str(request.get("holder") or ""),
    )


def _step(plain: Mapping[str, Any], shape: Topology) -> Step:
    at, length = number(plain.get("at_s", 0), "at"), _length(plain.get("for_s"), "for")
    if at < 0:
        raise InputError(f"a step {-at:g} s before its schedule begins", remedy="write a time from 0s on")
    for name, block in plain["links"].items():
        if not isinstance(block, Mapping):
            raise InputError(f"{name}: {block!r:.40} is no setting of a link", remedy="write {delay: 5ms}")
    return Step(at, at + length, {str(shape.attachment(name)): block for name, block in plain["links"].items()})


def number(value: object, what: str) -> float:
    """Finite: Python's JSON knows NaN, and no moment ever comes that is not before one nor after it."""
    try:
        found = float(str(value))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InputError(f"{what} {value!r:.40} is no number", remedy="write seconds, for example 2.5")
    return found


def _length(seconds: object, what: str) -> float:
    if seconds is None:
        return math.inf
    value = number(seconds, what)
    if value < SHORTEST_S:
        raise InputError(f"{what} {value * 1000:g}ms is too short", remedy=f"the shortest is {SHORTEST_S * 1000:g}ms")
    return value


def _null(value: float) -> float | None:
    return None if math.isinf(value) else value


def _never(value: float | None) -> float:
    return math.inf if value is None else value
