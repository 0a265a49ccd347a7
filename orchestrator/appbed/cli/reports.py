"""report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appbed import places
from appbed.cli.app import Json, app
from appbed.cli.files import written
from appbed.cli.runs import PANEL
from appbed.cli.show import complain, out, print_json
from appbed.errors import InputError

if TYPE_CHECKING:  # it brings the analysis with it
    from appbed.report import Run

PAGE, INDEX = "report.html", "index.html"
_WHAT = "a run's folder, or one with runs in it; default: all below runs/, and a page that lists them"


@app.command(rich_help_panel=PANEL)
def report(
    run: Annotated[list[Path] | None, typer.Argument(help=_WHAT)] = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="one page of all of them, instead of one beside each")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="write JUnit XML too, a test case for each run")] = None,
    csv: Annotated[Path | None, typer.Option(help="write CSV too, a row for each finding")] = None,
    as_json: Json = False,
) -> None:
    """Pages for people, from saved evidence: verdicts, plots, ladders, topology, conditions; self-contained, for phone and paper."""
    from appbed import report as reports

    everything = run is None
    if everything and not places.runs().is_dir():
        raise InputError("runs/: there are no runs here", remedy="make one, for example: appbed run tour")
    runs = reports.chosen(run or [places.runs()])
    for file, made in ((junit, reports.junit), (csv, reports.csv)):
        if file:
            written(file, made(runs))
    pages = [written(to, reports.page(runs))] if to else _each(runs, everything)
    if everything and not to:
        pages.append(written(places.runs() / INDEX, reports.index(runs)))
    if as_json:
        print_json(reports.plain(runs))
        return
    for each in runs:
        for line in each.missing:
            complain(f"{each.folder}: {line}")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in reports.counted(runs).items())
    out.print(f"{pages[-1]}: {len(runs)} runs: {counts}" if len(runs) > 1 else f"{pages[-1]}: {counts}")


def _each(runs: Sequence[Run], everything: bool) -> list[Path]:
    """Each run's own page; where all were asked for, only of those whose evidence is newer."""
    from appbed import report as reports

    stale = [each for each in runs if not everything or _stale(each.folder)]
    return [written(each.folder / PAGE, reports.page([each])) for each in stale]


def _stale(folder: Path) -> bool:
    page = folder / PAGE
    return not page.exists() or any(
        file.stat().st_mtime >= page.stat().st_mtime for file in folder.iterdir() if file != page
    )
