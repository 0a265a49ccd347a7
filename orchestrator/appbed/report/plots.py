"""Plots as SVG that stands in a page: drawn by matplotlib, without scripts, fonts or anything else from outside."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from appbed.report.curves import Dot, Plot
from appbed.verdict import Outcome

if TYPE_CHECKING:  # it takes half a second to import, which a page without plots need not wait for
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _ROW, _CHARACTER = 6.2, 3.1, 0.3, 0.075  # inches
_MARKS = {
    Outcome.PASSED: ("o", "#1a7f37"),
    Outcome.FAILED: ("X", "#b3261e"),
    Outcome.INCONCLUSIVE: ("s", "#9a6700"),
    Outcome.UNSUPPORTED: ("D", "#6e7781"),
}
_LINES = ("#0a58ca", "#8250df", "#bf5600", "#0f766e", "#a3195b")
_PREDICTED = "predicted"
_LONGEST = 38  # characters of a name, which then takes half of the width
_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: found by a search, read aloud, small
    "text.parse_math": False,  # a dollar sign begins no formula
    "font.size": 9.0,
    "font.sans-serif": ["DejaVu Sans", "Arial"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
}
# Names of groups, the style that would hold for the whole page, and line breaks.
_NEEDLESS = re.compile(r'(?<=<g) id="[^"]*"|<defs>\s*<style.*?</style>\s*</defs>|\s*\n\s*', re.DOTALL)


def svg(plot: Plot, salt: str) -> str:
    """The plot; `salt` is different for each of a page, whose ids must be."""
    dots = [dot for each in plot.series.values() for dot in each]
    height = _HEIGHT if plot.axis else 0.9 + _ROW * len(dots)
    with _figure(salt, height, [] if plot.axis else [dot.name for dot in dots]) as (figure, axes):
        (_curves if plot.axis else _rows)(axes, plot)
        _legend(axes, plot)
        return _written(figure)


def errors_svg(rows: Sequence[tuple[str, Sequence[tuple[float, Outcome]]]], salt: str) -> str:
    """Of each row's findings, how far they were from their predictions, in percent."""
    with _figure(salt, 0.9 + 0.22 * len(rows), [name for name, _ in rows]) as (figure, axes):
        for at, (_, errors) in enumerate(rows):
            for error, outcome in errors:
                mark, colour = _MARKS[outcome]
                axes.plot([100 * error], [at], mark, color=colour, markersize=4.5, alpha=0.8)
        axes.axvline(0, color="#24292f", linewidth=0.8)
        _name_rows(axes, [name for name, _ in rows])
        axes.set_xlabel("measured over predicted, less one, %")
        return _written(figure)


@contextmanager
def _figure(salt: str, height: float, names: Sequence[str]) -> Iterator[tuple[Figure, Axes]]:
    """Room for names on the left; what a user's own settings of the library say does not matter here."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_SETTINGS, "svg.hashsalt": salt})
        figure = Figure(figsize=(_WIDTH, height))
        left = min(_WIDTH / 2, max(0.8, 0.2 + _CHARACTER * max((len(_shortened(name)) for name in names), default=0)))
        figure.subplots_adjust(left=left / _WIDTH, right=1 - 0.15 / _WIDTH, top=1 - 0.1 / height, bottom=0.55 / height)
        yield figure, figure.add_subplot()


def _curves(axes: Axes, plot: Plot) -> None:
    """Predictions as lines with what is allowed around them, measurements as points with error bars."""
    for number, (label, dots) in enumerate(plot.series.items()):
        colour = _LINES[number % len(_LINES)]
        places = [dot.x or 0.0 for dot in dots]
        bands = [dot.allowed for dot in dots if dot.allowed]
        if len(bands) == len(dots):
            axes.fill_between(
                places, [low for low, _ in bands], [high for _, high in bands], color=colour, alpha=0.13, lw=0
            )
        shown = _text(f"{_PREDICTED}, {label}" if label else _PREDICTED)
        axes.plot(places, [dot.predicted for dot in dots], "-", color=colour, linewidth=1.2, marker="_", label=shown)
        for dot, x in zip(dots, places, strict=True):
            mark, outcome_colour = _MARKS[dot.outcome]
            axes.errorbar(
                [x], [dot.measured], yerr=_bars(dot), fmt=mark, color=outcome_colour, mec=colour, ms=5, capsize=3
            )
    axes.set_xlabel(_text(plot.axis))
    axes.set_ylabel(_text(f"{plot.quantity}, {plot.unit}" if plot.unit else plot.quantity))
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), high)  # from zero on, so that errors look as large as they are


def _rows(axes: Axes, plot: Plot) -> None:
    dots = [dot for each in plot.series.values() for dot in each]
    for at, dot in enumerate(dots):
        mark, colour = _MARKS[dot.outcome]
        if dot.allowed:
            axes.plot(dot.allowed, [at, at], "-", color=_LINES[0], alpha=0.2, linewidth=7, solid_capstyle="butt")
        axes.plot([dot.predicted], [at], "|", color=_LINES[0], ms=12, mew=1.6, label=None if at else _PREDICTED)
        axes.errorbar([dot.measured], [at], xerr=_bars(dot), fmt=mark, color=colour, markersize=5, capsize=3)
    low, high = axes.get_xlim()
    axes.set_xlim(min(0.0, low), high)
    _name_rows(axes, [dot.name or plot.quantity for dot in dots])
    axes.set_xlabel(_text(f"{plot.quantity}, {plot.unit}" if plot.unit else plot.quantity))


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_text(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def _bars(dot: Dot) -> list[list[float]] | None:
    """From the measured point to the lowest and to the highest of repeated measurements."""
    if dot.spread is None:
        return None
    low, high = dot.spread
    return [[max(0.0, dot.measured - low)], [max(0.0, high - dot.measured)]]


def _legend(axes: Axes, plot: Plot) -> None:
    """Predictions by their lines; measurements once for each verdict there is."""
    dots = [dot for each in plot.series.values() for dot in each]
    for outcome in dict.fromkeys(dot.outcome for dot in dots):
        mark, colour = _MARKS[outcome]
        axes.plot([], [], mark, color=colour, markersize=5, label=f"measured: {outcome.value}")
    if any(dot.allowed for dot in dots):
        axes.plot([], [], "-", color=_LINES[0], alpha=0.2, linewidth=7, label="allowed")
    axes.legend(loc="best")


def _text(words: str) -> str:
    """What is not printable is not allowed in XML."""
    return "".join(char if char.isprintable() else "?" for char in _shortened(words))


def _shortened(words: str) -> str:
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _written(figure: Figure) -> str:
    """The <svg> element alone, without the document around it and ids that nothing refers to."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    document = out.getvalue()
    found = _NEEDLESS.sub(lambda match: "" if match[0].strip() else " ", document[document.index("<svg") :])
    return found.replace("<svg ", '<svg class="plot" role="img" ', 1)
