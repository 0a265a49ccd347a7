"""A ladder as SVG and as a page of HTML: nothing is loaded, black on white, in panels that fit on paper."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import atan2, degrees
from statistics import median

from appbed.analysis.ladder import Arrow, Ladder

ARROWS_A_PANEL = 36
_LEFT, _TOP, _COLUMN, _RIGHT, _TIMES = 132, 46, 190, 110, 66
_STEP, _ARRIVAL_STEP, _SLACK, _BREAK = 22, 3, 40, 20
_CHARACTER = 6.1
# A style inside a page holds for all of the page, so every rule says that it is about ladders.
_STYLE = "".join(
    f".ladder {rule}"
    for rule in (
        "text{font:11px Helvetica,Arial,sans-serif;fill:#000}",
        ".host{font-weight:bold;font-size:13px;text-anchor:middle}",
        ".time{text-anchor:end;fill:#555;font-size:9.5px}",
        ".life{stroke:#888;stroke-width:1}",
        ".arrow{stroke:#000;stroke-width:1.2}",
        ".label{text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-width:3px}",
        ".trip{stroke:#000;stroke-width:.8;fill:none}",
        ".trip-label{font-style:italic;font-size:9.5px}",
        ".break{stroke:#888;stroke-dasharray:2 3}",
    )
)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Time to height: in proportion while little happens, never so dense that labels meet; long waits are cut."""

    starts: tuple[float, ...]
    ends: tuple[float | None, ...]
    marks: tuple[tuple[float, float], ...]
    breaks: tuple[tuple[float, float], ...]
    bottom: float

    def height(self, time_s: float) -> float:
        """The height of the first instant at this time or after; the top for what came before."""
        row = bisect_left(self.marks, (time_s - 1e-9, 0.0))
        return self.marks[min(row, len(self.marks) - 1)][1]


def html(ladder: Ladder, title: str = "Ladder") -> str:
    """A self-contained page with the diagram, in panels that a printer does not cut."""
    notes = "".join(f"<p><strong>{escape(note)}</strong></p>" for note in ladder.notes)
    if ladder.left_out:
        notes += f"<p>{ladder.left_out} more messages are not shown.</p>"
    panels = "".join(f"<figure>{panel}</figure>" for panel in svg_panels(ladder))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>body{{font-family:Helvetica,Arial,sans-serif;margin:1.5em}}"
        "figure{margin:0 0 1em;break-inside:avoid}svg{max-width:100%;height:auto}"
        f"@page{{margin:12mm}}</style><h1>{escape(title)}</h1>{notes}{panels or '<p>No messages.</p>'}"
        "<p>Times in milliseconds from the first message; slanted arrows where both ends were captured; "
        "the vertical scale is in proportion only between cuts.</p></html>\n"
    )


def svg_panels(ladder: Ladder, arrows_a_panel: int = ARROWS_A_PANEL) -> tuple[str, ...]:
    """The diagram as SVG documents of so many arrows each."""
    starts = range(0, len(ladder.arrows), arrows_a_panel)
    return tuple(_panel(ladder.hosts, ladder.arrows[start : start + arrows_a_panel]) for start in starts)


def _panel(hosts: Sequence[str], arrows: Sequence[Arrow]) -> str:
    scale = _scale(arrows)
    width = _LEFT + _COLUMN * (len(hosts) - 1) + _RIGHT
    height = scale.bottom + 24
    parts = [
        f'<svg class="ladder" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
        f'height="{height:.0f}" role="img"><style>{_STYLE}</style>'
        '<defs><marker id="head" viewBox="0 0 10 8" refX="10" refY="4" markerWidth="9" markerHeight="8" orient="auto">'
        '<path d="M0,0L10,4L0,8z"/></marker></defs>'
    ]
    for column, host in enumerate(hosts):
        x = _x(column)
        parts.append(f'<text class="host" x="{x}" y="20">{escape(_printable(host))}</text>')
        parts.append(f'<line class="life" x1="{x}" y1="28" x2="{x}" y2="{scale.bottom + 12:.1f}"/>')
    for y, wait_s in scale.breaks:
        parts.append(f'<line class="break" x1="{_TIMES + 6}" y1="{y:.1f}" x2="{width - 20}" y2="{y:.1f}"/>')
        parts.append(f'<text class="time" x="{_TIMES}" y="{y + 3:.1f}">+{_duration(wait_s)}</text>')
    parts += [_arrow(arrow, number, scale) for number, arrow in enumerate(arrows)]
    return "".join(parts) + "</svg>"


def _x(column: int) -> int:
    return _LEFT + column * _COLUMN


def _scale(arrows: Sequence[Arrow]) -> _Scale:
    """Heights of all sendings and arrivals: a sending goes on by a line of text at least, an arrival by little."""
    sendings = [(arrow.sent_s, number, 0) for number, arrow in enumerate(arrows)]
    arrivals = [(arrow.received_s, number, 1) for number, arrow in enumerate(arrows) if arrow.received_s is not None]
    instants, unit_s = sorted(sendings + arrivals), _unit_s(arrows)
    starts, ends = [0.0] * len(arrows), list[float | None]([None] * len(arrows))
    marks, breaks = list[tuple[float, float]](), list[tuple[float, float]]()
    y, last_label, before = float(_TOP), float(_TOP - _STEP), instants[0][0]
    for now, number, arrival in instants:
        wait_s, before = now - before, now
        y += min(_SLACK, _SLACK * wait_s / unit_s)
        if wait_s > 10 * unit_s:
            breaks.append((y, wait_s))
            y += _BREAK
        if arrival:
            y += _ARRIVAL_STEP
            ends[number] = y
        else:
            y = last_label = max(y, last_label + _STEP)
            starts[number] = y
        marks.append((now, y))
    return _Scale(tuple(starts), tuple(ends), tuple(marks), tuple(breaks), y)


def _unit_s(arrows: Sequence[Arrow]) -> float:
    """The time that is drawn as one slack: the usual round trip, else the usual time between messages."""
    trips = [arrow.round_trip_s for arrow in arrows if arrow.round_trip_s]
    steps = [after.sent_s - before.sent_s for before, after in pairwise(arrows) if after.sent_s > before.sent_s]
    return median(trips or steps or [1.0])


def _arrow(arrow: Arrow, number: int, scale: _Scale) -> str:
    y1, end = scale.starts[number], scale.ends[number]
    y2 = y1 if end is None else end
    x1, x2 = _x(arrow.source), _x(arrow.destination)
    time = f'<text class="time" x="{_TIMES}" y="{y1 + 3:.1f}">{arrow.sent_s * 1000:.3f}</text>'
    if x1 == x2:
        return f'{time}<text x="{x1 + 8}" y="{y1 + 4:.1f}">(to itself) {escape(_printable(arrow.label))}</text>'
    shift = 2 if x1 < x2 else -2
    fitting = _shortened(arrow.label, abs(x2 - x1) - 16)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    slant = degrees(atan2(y2 - y1, abs(x2 - x1))) * (1 if x1 < x2 else -1)
    return (
        f"{time}<g><title>{escape(_printable(arrow.label))}</title>"
        f'<line class="arrow" x1="{x1 + shift}" y1="{y1:.1f}" x2="{x2 - shift}" y2="{y2:.1f}" marker-end="url(#head)"/>'
        f'<text class="label" x="{x:.0f}" y="{y - 4:.1f}" transform="rotate({slant:.2f} {x:.0f} {y:.1f})">'
        f"{escape(fitting)}</text></g>" + _trip(arrow, y2, scale)
    )


def _trip(arrow: Arrow, y: float, scale: _Scale) -> str:
    """The mark of a round trip, beside the column of the host that asked."""
    if arrow.round_trip_s is None or arrow.asked_s is None:
        return ""
    outward = -1 if arrow.destination < arrow.source else 1
    x, top = _x(arrow.destination), scale.height(arrow.asked_s)
    inner, outer = x + 3 * outward, x + 8 * outward
    anchor = "end" if outward < 0 else "start"
    return (
        f'<path class="trip" d="M{inner},{top:.1f}H{outer}V{y:.1f}H{inner}"/>'
        f'<text class="trip-label" text-anchor="{anchor}" x="{outer + 3 * outward}" y="{(top + y) / 2 + 3:.1f}">'
        f"{_duration(arrow.round_trip_s)}</text>"
    )


def _duration(time_s: float) -> str:
    return f"{time_s:.2f} s" if time_s >= 1 else f"{time_s * 1000:.1f} ms"


def _shortened(label: str, width: float) -> str:
    room = int(width / _CHARACTER)
    label = _printable(label)
    return label if len(label) <= room else label[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _printable(label: str) -> str:
    """XML allows no control characters."""
    return "".join(char if char.isprintable() else "?" for char in label)
