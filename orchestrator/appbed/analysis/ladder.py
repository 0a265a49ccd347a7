"""The ladder diagram of a textbook, from packets: hosts as columns, messages as arrows, round trips marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appbed.analysis.capture import Capture
from appbed.analysis.steps import STEPS, STORY, Step
from appbed.errors import CaptureError

MAX_ARROWS = 400


@dataclass(frozen=True, slots=True)
class Arrow:
    """A message: columns by number, times in seconds from the ladder's beginning.

    `received_s` is None where only one point saw it. `round_trip_s` is set on a message that answers another: the
    time since that one, at the point that saw both; `asked_s` is when that one was seen.
    """

    source: int
    destination: int
    sent_s: float
    received_s: float | None
    label: str
    protocol: str
    round_trip_s: float | None = None
    asked_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """A diagram's content; `left_out` messages did not fit, `notes` are what a reader must know (drops, faults)."""

    hosts: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    start_s: float
    left_out: int = 0
    notes: tuple[str, ...] = ()


def draw(
    capture: Capture,
    protocols: Sequence[str] = STORY,
    *,
    point: str | None = None,
    hosts: Iterable[str] = (),
    known: Mapping[str, str] | None = None,
    limit: int = MAX_ARROWS,
) -> Ladder:
    """The ladder of a capture: of some protocols, as seen at one point or each conversation at its best one.

    `hosts` keeps only messages between these (names or addresses); `known` gives names to addresses beyond those of the
    points. Raises CaptureError for a protocol or point that
    is not known. Columns stand in the order in which hosts first speak.
    """
    unknown = [name for name in protocols if name not in STEPS]
    if unknown:
        raise CaptureError(f"protocol {unknown[0]!r}: not known; known: {', '.join(STEPS)}", remedy="name one of them")
    names, wanted = {**(known or {}), **host_names(capture)}, set(hosts)
    steps = [step for name in protocols for step in STEPS[name](capture, point)]
    if wanted:
        steps = [s for s in steps if all({host, names.get(host, host)} & wanted for host in (s.source, s.destination))]
    steps.sort(key=lambda step: step.time_s)
    kept = steps[:limit]
    columns: dict[str, int] = {}
    for step in kept:
        for host in (step.source, step.destination):
            columns.setdefault(names.get(host, host), len(columns))
    times = _times(capture, kept) if point is None else {}
    start_s = min((times.get(step, (step.time_s,))[0] for step in kept), default=0.0)
    arrows = [_arrow(step, times.get(step, (step.time_s, None)), start_s, names, columns) for step in kept]
    arrows.sort(key=lambda arrow: arrow.sent_s)
    return Ladder(tuple(columns), tuple(arrows), start_s, len(steps) - len(kept), capture.notes)


def host_names(capture: Capture) -> dict[str, str]:
    """The lab's name of each address, from the points captured at; other addresses stay as they are."""
    return {address: point.place for point in capture.points if point.plane == "host" for address in point.addresses}


def _arrow(
    step: Step, times: tuple[float, float | None], start_s: float, names: dict[str, str], columns: dict[str, int]
) -> Arrow:
    sent_s, received_s = times
    return Arrow(
        columns[names.get(step.source, step.source)],
        columns[names.get(step.destination, step.destination)],
        sent_s - start_s,
        None if received_s is None else received_s - start_s,
        step.label,
        step.protocol,
        None if step.answers_s is None else step.time_s - step.answers_s,
        None if step.answers_s is None else step.answers_s - start_s,
    )


def _times(capture: Capture, steps: Sequence[Step]) -> dict[Step, tuple[float, float | None]]:
    """When each message was first and last seen, for those whose first packet several points saw."""
    index, numbers = capture.index, {point.name: point.number for point in capture.points}
    if len(numbers) < 2:
        return {}
    wanted: dict[tuple[int, float], list[Step]] = {}
    for step in steps:
        wanted.setdefault((numbers[step.point], step.time_s), []).append(step)
    found: dict[Step, tuple[float, float | None]] = {}
    for number in range(len(index)):
        for step in wanted.get((index.points[number], index.time_s(number)), ()):
            sightings = capture.timeline.sightings(number)
            if len(sightings) > 1 and index.name(index.sources[number]) == step.source:
                found.setdefault(step, (index.time_s(sightings[0]), index.time_s(sightings[-1])))
    return found
