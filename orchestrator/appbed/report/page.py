"""Runs as pages of HTML that need nothing beside them: no script, no font, no picture from outside."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from appbed import claims
from appbed.analysis import Capture, ladder, ladder_svg
from appbed.report import curves, drawing, links
from appbed.report.links import Links
from appbed.report.runs import Run, counted
from appbed.verdict import Finding, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_ACROSS = "Across the chapter"
ARROWS = ladder_svg.ARROWS_A_PANEL  # what fits on a page; the command `ladder` draws all of it
_OFF = 10.0  # so many times the prediction and more is no error to draw beside others; nor is what is no number
_MOST_BYTES = 2**24  # of a capture: its first messages are in them, and a page is not to take longer for a long run


@dataclass(frozen=True, slots=True)
class Ladder:
    """The first messages of a run, drawn; how many more there are, in all or in the part that was read; what a reader must know."""

    drawing: Markup
    left_out: int
    cut: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """All of a run that a page shows."""

    name: str
    run: Run
    sentences: Mapping[str, str]
    verdict: Verdict | None
    plots: tuple[Markup, ...]
    ladder: Ladder | None
    links: Links | None
    topology: Markup | None
    conditions: Mapping[str, str]
    missing: tuple[str, ...]

    @property
    def headline(self) -> Finding | None:
        return self.verdict.headline if self.verdict else None


def page(runs: Sequence[Run], title: str = "") -> str:
    """One self-contained page of these runs."""
    sections = [_section(run, f"run-{number}") for number, run in enumerate(runs, 1)]
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title or (runs[0].scenario if len(runs) == 1 else "appbed: predicted and measured"),
            sections=sections,
            groups=_grouped(sections),
            counts=counted(runs),
            errors=_errors(sections) if len(sections) > 1 else None,
            arrows=ARROWS,
        )
    )


def _grouped(sections: Sequence[Section]) -> list[tuple[str, list[Section]]]:
    """By section of the chapter, in its order."""
    groups = itertools.groupby(sections, lambda section: claims.section(section.run.claims))
    return [(claims.SECTIONS.get(letter, _ACROSS), list(found)) for letter, found in groups]


def index(runs: Sequence[Run]) -> str:
    """A page of all runs, the newest first, with a link to each one's own page beside it."""
    newest = sorted(
        runs, key=lambda run: (run.began[0].timestamp() if run.began else 0.0, run.folder.name), reverse=True
    )
    return _environment().get_template("index.html").render(runs=newest, counts=counted(runs))


@cache
def _environment() -> Environment:
    """Every value is escaped where it is put into a page; a name that a template has wrong is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("appbed.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["shown"] = _shown
    made.filters["link"] = _link
    return made


def _section(run: Run, name: str) -> Section:
    """Each part by itself: one that cannot be made is missing, the others are there."""
    verdict, conditions = run.verdict, run.conditions
    found = run.part("links", lambda: links.links(conditions, run.prediction)) if conditions is not None else None
    return Section(
        name,
        run,
        {claim: claims.sentence(claim) for claim in run.claims},
        verdict,
        (run.part("plots", lambda: _plots(verdict, name)) or ()) if verdict else (),
        _ladder(run),
        found,
        run.part("topology", lambda: _drawn(drawing.svg(conditions, found)))
        if conditions is not None and found
        else None,
        run.part("conditions", lambda: _conditions(run)) or {},
        tuple(run.missing),
    )


def _drawn(svg: str) -> Markup:
    """Text in a drawing was escaped by whoever drew it."""
    from markupsafe import Markup

    return Markup(svg)


def _plots(verdict: Verdict, name: str) -> tuple[Markup, ...]:
    from appbed.report import plots

    return tuple(_drawn(plots.svg(plot, f"{name}-{at}")) for at, plot in enumerate(curves.plots(verdict.findings)))


def _errors(sections: Sequence[Section]) -> Markup | None:
    """How far each run's numbers were from their predictions, one row for each run that has any."""
    from appbed.report import plots

    rows = []
    for section in sections:
        lines = section.verdict.findings if section.verdict else ()
        if errors := [
            (line.error, line.outcome) for line in lines if line.error is not None and abs(line.error) < _OFF
        ]:
            rows.append((f"{' '.join(section.run.claims)}  {section.run.scenario}".strip(), errors))
    return _drawn(plots.errors_svg(rows, "errors")) if rows else None


def _ladder(run: Run) -> Ladder | None:
    if not (run.folder / "capture.pcapng").exists():
        run.missing.append("capture.pcapng is missing: no ladder is drawn")
        return None
    return run.part("the ladder", lambda: _first_messages(run))


def _first_messages(run: Run) -> Ladder:
    file = run.folder / "capture.pcapng"
    cut = file.stat().st_size > _MOST_BYTES
    if cut:
        with file.open("rb") as opened:
            capture = Capture.open(opened.read(_MOST_BYTES))
    else:
        capture = run.evidence.capture
    drawn = ladder.draw(capture, known=_names(run.conditions or {}), limit=ARROWS)
    notes = () if cut else drawn.notes  # a file that was cut here has no end, and says so
    return Ladder(_drawn("".join(ladder_svg.svg_panels(drawn))), drawn.left_out, cut, notes)


def _names(conditions: Mapping[str, Any]) -> dict[str, str]:
    """Hosts by address; where conditions are damaged addresses stay what they are."""
    hosts = conditions.get("hosts")
    lists = hosts.items() if isinstance(hosts, dict) else ()
    return {str(each): str(name) for name, addresses in lists if isinstance(addresses, list) for each in addresses}


def _conditions(run: Run) -> dict[str, str]:
    """What the run took place under, in a reader's order."""
    found: Mapping[str, Any] = run.conditions or {}
    began, lasted_s = run.began or (None, 0.0)
    captured = found.get("capture", {})
    frames, dropped = (sum(int(counts[key]) for counts in captured.values()) for key in ("frames", "dropped"))
    agent = found.get("agent", {})
    said = {
        "began": f"{began:%Y-%m-%d %H:%M:%S} UTC" if began else None,
        "lasted": f"{lasted_s:.1f} s" if began else None,
        "links made by": found.get("backend"),
        "seed": found.get("seed"),
        "processors busy": f"{float(found['processor_busy']):.0%}" if "processor_busy" in found else None,
        "captured": f"{frames} frames at {len(captured)} points, {dropped} dropped" if captured else None,
        "agent": "was started again during the run" if agent.get("before") != agent.get("after") else None,
        "engine": found.get("engine"),
        "machine": found.get("machine"),
    }
    warnings = {f"warning {at}": str(each) for at, each in enumerate(found.get("capture_warnings", ()), 1)}
    return {key: str(value) for key, value in said.items() if value is not None} | warnings


def _shown(value: float) -> str:
    return f"{value:.4g}"


def _link(name: str) -> str:
    """A folder's name in an address, whatever bytes it is of."""
    return quote(name, safe="", errors="surrogateescape")


def _printable(value: object) -> object:
    """No control characters, and none that turn the direction of writing; what was drawn here has none."""
    if type(value) is not str or value.isprintable():
        return value
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in value)
