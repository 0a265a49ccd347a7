"""A run's links for its report: what was set, what was measured before and after, and what the points of a sweep changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appbed import fidelity
from appbed.fidelity import Checked, Reading
from appbed.verdict import Outcome

UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Row:
    """One setting of one direction; a link nobody measured has its settings only."""

    what: str
    set: str
    before: str
    after: str
    allowed: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of an attachment, "up" from its host or "down" to it; `settings` as in `x-link`, "" for a plain cable."""

    attachment: str
    direction: str
    cable: str
    settings: str
    rows: tuple[Row, ...]

    @property
    def host(self) -> str:
        return self.attachment.partition("@")[0]

    @property
    def network(self) -> str:
        return self.attachment.partition("@")[2]

    @property
    def sound(self) -> bool:
        return not any(row.outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE) for row in self.rows)

    @property
    def worth_a_line(self) -> bool:
        """Shaped, or not as it should be; the others are plain cables and as set."""
        return bool(self.settings) or not self.sound


@dataclass(frozen=True, slots=True)
class Links:
    """Every direction; `absent` could not be measured, and why; `points` of the sweep with what each set."""

    directions: tuple[Direction, ...]
    absent: Mapping[str, str]
    points: Mapping[str, str]

    @property
    def told(self) -> tuple[Direction, ...]:
        return tuple(each for each in self.directions if each.worth_a_line)

    @property
    def measured(self) -> bool:
        return any(row.before != UNMEASURED for each in self.directions for row in each.rows)

    @property
    def plain(self) -> int:
        """How many directions were plain cables, and as such as set."""
        return len(self.directions) - len(self.told)


def links(conditions: Mapping[str, Any], prediction: Mapping[str, Any]) -> Links:
    """Raises what reading a malformed file raises."""
    moments = {when: fidelity.judged(kept) for when, kept in conditions.get("measured", {}).items()}
    found = {when: {(one.attachment, one.direction): one for one in checked} for when, checked in moments.items()}
    directions = [
        _direction(line, direction, found.get("before", {}), found.get("after", {}))
        for line in conditions["links"]
        for direction in ("up", "down")
    ]
    absent = {
        f"{at}, {when}": str(why)
        for when, kept in conditions.get("measured", {}).items()
        for at, why in kept.get("absent", {}).items()
    }
    sweep = prediction.get("under", {}).get("sweep", {})
    return Links(tuple(directions), absent, {name: _settings(point["set"]) for name, point in sweep.items()})


_Found = Mapping[tuple[str, str], Checked]


def _direction(line: Mapping[str, Any], direction: str, before: _Found, after: _Found) -> Direction:
    at = str(line["attachment"])
    settings = {key: value for key, value in line["set"][direction].items() if key != "seed"}
    one, other = before.get((at, direction)), after.get((at, direction))
    cable = (one or other).cable if one or other else str(line.get("cable", ""))  # type: ignore[union-attr]
    readings = {reading.what: reading for each in (other, one) if each for reading in each.readings}
    rows = [
        Row(what, reading.set, _measured(one, what), _measured(other, what), reading.allowed, _worst(one, other, what))
        for what, reading in readings.items()
    ]
    if not rows:
        rows = [Row(key, str(value), UNMEASURED, UNMEASURED, "", UNMEASURED) for key, value in settings.items()]
    return Direction(at, direction, cable, _words(settings), tuple(rows))


def _reading(checked: Checked | None, what: str) -> Reading | None:
    return next((reading for reading in checked.readings if reading.what == what), None) if checked else None


def _measured(checked: Checked | None, what: str) -> str:
    found = _reading(checked, what)
    return (found.measured or found.because) if found else UNMEASURED


def _worst(one: Checked | None, other: Checked | None, what: str) -> str:
    outcomes = [found.outcome for each in (one, other) if (found := _reading(each, what))]
    return next((each for each in (Outcome.FAILED, Outcome.INCONCLUSIVE) if each in outcomes), Outcome.PASSED).value


def _settings(changes: Mapping[str, Any]) -> str:
    """What a point of a sweep sets, link by link: "gateway@access: delay 10ms"."""
    return "; ".join(f"{at}: {_words(settings)}" for at, settings in changes.items()) or "as above"


def _words(settings: Mapping[str, Any]) -> str:
    said = (
        f"{key} ({_words(value)})" if isinstance(value, Mapping) else f"{key} {value}"
        for key, value in settings.items()
    )
    return ", ".join(said)
