"""ladder, analyze."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from appbed.cli.app import Json, app
from appbed.cli.show import out, print_json

PANEL = "Links and packets"
Points = Annotated[str | None, typer.Option(help="as seen at this point, for example host:client")]


@app.command(rich_help_panel=PANEL)
def ladder(
    file: Annotated[list[Path], typer.Argument(help="a capture, several of one set, or a run's folder")],
    protocol: Annotated[
        list[str] | None, typer.Option(help="dns, http, smtp, pop3, imap, ...; several tell a story")
    ] = None,
    point: Points = None,
    host: Annotated[list[str] | None, typer.Option(help="only messages between these")] = None,
    html: Annotated[Path | None, typer.Option(help="write a self-contained page instead")] = None,
    limit: Annotated[int, typer.Option(help="messages at most")] = 200,
    as_json: Json = False,
) -> None:
    """Draw who said what to whom, from packets: hosts as columns, messages as arrows, round trips marked."""
    from appbed.analysis import Capture, ladder_svg, ladder_text
    from appbed.analysis import ladder as ladders

    capture = Capture.open([_file(each) for each in file])
    chosen = {"protocols": protocol} if protocol else {}
    drawn = ladders.draw(capture, **chosen, point=point, hosts=host or (), known=_names(file[0]), limit=limit)
    if html is not None:
        html.write_text(ladder_svg.html(drawn, file[0].name), encoding="utf-8")
    if as_json:
        print_json(asdict(drawn))
    elif html is not None:
        out.print(f"{html}: {len(drawn.arrows)} messages")
    else:
        sys.stdout.write(ladder_text.text(drawn, out.width))


@app.command(rich_help_panel=PANEL)
def analyze(
    file: Annotated[
        list[Path], typer.Argument(help="a capture made here or elsewhere, several of one set, or a run's folder")
    ],
    as_json: Json = False,
) -> None:
    """What is in a capture: points, protocols, flows, round trips, losses."""
    from appbed.analysis import Capture
    from appbed.analysis import analyze as analysed

    analysis = analysed(Capture.open([_file(each) for each in file]))
    if as_json:
        print_json(analysis.as_json())
        return
    for table in analysis.tables:
        out.print(table.text())
    for note in analysis.notes:
        out.print(f"note: {note}")


def _file(path: Path) -> Path:
    """A run's folder means its capture, any other folder all captures in it."""
    capture = path / "capture.pcapng"
    return capture if capture.is_file() else path


def _names(path: Path) -> dict[str, str]:
    """Names of the lab's hosts by address, if the capture lies in a run's folder."""
    conditions = (path if path.is_dir() else path.parent) / "conditions.json"
    if not conditions.is_file():
        return {}
    hosts = json.loads(conditions.read_text(encoding="utf-8"))["hosts"]
    return {address: name for name, addresses in hosts.items() for address in addresses}
