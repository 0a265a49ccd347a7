"""What a plot shows: measured points over predicted ones, with an axis found in the names of a sweep's points; pure."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from appbed.verdict import Finding, Outcome

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_EXPECTED = re.compile(r"(-?[\d.]+) ?(ms|s|%)?(?: |$)")
_MOST = 1e15
_SCALES = {"ms": 1000.0, "%": 100.0}

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Dot:
    """One finding that has numbers; `x` is None where the point's name has no number of its own."""

    name: str
    x: float | None
    predicted: float
    measured: float
    outcome: Outcome
    allowed: Interval | None = None
    spread: Interval | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """`series` by what their points' names have in common; over `axis` if it is not "", else one dot below the other."""

    quantity: str
    unit: str
    axis: str
    series: dict[str, tuple[Dot, ...]]


def plots(findings: Iterable[Finding]) -> list[Plot]:
    """A plot for each quantity that was predicted and measured at two points or more."""
    quantities: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for line in findings:
        if _numeric(line):
            point, colon, quantity = line.what.rpartition(": ")
            quantities[quantity].append((point if colon else "", line))
    return [plot for quantity, lines in quantities.items() for plot in _of(quantity, lines)]


def _numeric(line: Finding) -> bool:
    """Neither words, nor what is no number or beyond all measure."""
    numbers = (line.predicted, line.measured, *(line.allowed or ()), *(line.spread or ()))
    return (
        line.predicted is not None and line.measured is not None and all(abs(each or 0.0) < _MOST for each in numbers)
    )


def _of(quantity: str, lines: Sequence[tuple[str, Finding]]) -> Iterator[Plot]:
    """What has an axis in common is one plot; what is left is another, without an axis."""
    unit, scale = _unit([line for _, line in lines])
    dots = {point: _dot(point, line, scale) for point, line in lines}
    left = dict(dots)
    for axis, series in _axes(list(dots)).items():
        if len({x for names in series.values() for x in names.values()}) > 1:
            placed = {
                label: tuple(_at(dots[name], x) for name, x in sorted(names.items(), key=lambda item: item[1]))
                for label, names in series.items()
            }
            yield Plot(quantity, unit, axis, placed)
            left = {name: dot for name, dot in left.items() if not any(name in names for names in series.values())}
    if len(left) > 1:
        yield Plot(quantity, unit, "", {"": tuple(left.values())})


def _axes(names: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """axis -> series -> point -> place: "RTT 20 ms" and "RTT 100 ms" lie on "RTT, ms"; "N = 4, slow" is of series "slow" on "N"."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[_NUMBER.sub("#", name)].append(name)
    axes: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for shape, members in alike.items():
        if "#" not in shape:
            continue
        numbers = [list(_NUMBER.finditer(name)) for name in members]
        varying = max(range(len(numbers[0])), key=lambda at: len({found[at][0] for found in numbers}))
        for name, found in zip(members, numbers, strict=True):
            number = found[varying]
            before, (unit, comma, label) = name[: number.start()].rstrip(" =,"), name[number.end() :].partition(",")
            axis = ", ".join(filter(None, (before, unit.strip())))
            axes[axis][label.strip() if comma else ""][name] = float(number[0])
    return {axis: {label: dict(points) for label, points in series.items()} for axis, series in axes.items()}


def _dot(name: str, line: Finding, scale: float) -> Dot:
    assert line.predicted is not None  # _numeric
    assert line.measured is not None
    allowed, spread = (pair and (pair[0] * scale, pair[1] * scale) for pair in (line.allowed, line.spread))
    return Dot(name, None, line.predicted * scale, line.measured * scale, line.outcome, allowed, spread)


def _at(dot: Dot, x: float) -> Dot:
    return Dot(dot.name, x, dot.predicted, dot.measured, dot.outcome, dot.allowed, dot.spread)


def _unit(lines: Sequence[Finding]) -> tuple[str, float]:
    """The unit in which all of them say what is expected, and by what their numbers are multiplied for it."""
    units = {match[2] or "" if (match := _EXPECTED.match(line.expected)) else "" for line in lines}
    unit = units.pop() if len(units) == 1 else ""
    said = [float(match[1]) for line in lines if (match := _EXPECTED.match(line.expected)) and _plain(match[1])]
    scale = _SCALES.get(unit, 1.0)
    agree = len(said) == len(lines) and all(
        math.isclose((line.predicted or 0.0) * scale, number, rel_tol=0.02, abs_tol=0.6)
        for line, number in zip(lines, said, strict=True)
    )
    return (unit, scale) if agree else ("", 1.0)


def _plain(number: str) -> bool:
    return _NUMBER.fullmatch(number.removeprefix("-")) is not None
