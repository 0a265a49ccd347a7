"""capture start, stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appbed.cli import offers
from appbed.cli.app import Json, Name, attached, capture_app
from appbed.cli.show import complain, out, print_json, table

Label = Annotated[str, typer.Option(help="name of the capture")]


@capture_app.command("start")
def capture_start(
    points: Annotated[
        list[str], typer.Argument(help="hosts, host@network, networks, or all", autocompletion=offers.points)
    ],
    label: Label = "capture",
    bpf: Annotated[str, typer.Option("--filter", help="pcap-filter(7) expression")] = "",
    snaplen: Annotated[int, typer.Option(help="bytes kept of each frame; 0 is all")] = 0,
    filesize: Annotated[str, typer.Option(help="a new file begins when one has this size, for example 10MB")] = "0",
    files: Annotated[int, typer.Option(help="only the newest so many files are kept; 0 is all")] = 0,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Capture on hosts (what the application lived through) and networks (what the wire carried)."""
    with attached(name) as lab:
        lab.start_capture(label, points, filter=bpf, snaplen=snaplen, filesize=filesize, files=files)
    if as_json:
        print_json({"capture": label, "points": points})
    else:
        out.print(f"capturing as {label!r}; `appbed capture stop FILE` ends it")


@capture_app.command("stop")
def capture_stop(
    file: Annotated[Path, typer.Argument(help="where the pcapng file goes; several go beside it, numbered")],
    label: Label = "capture",
    name: Name = None,
    as_json: Json = False,
) -> None:
    """End a capture and fetch its file. Exit code 4 if the kernel dropped frames or an interface went away, 3 if it ended before.

    What a limited capture discarded, so that only the newest files stay, is counted and no failure.
    """
    with attached(name) as lab:
        captured = lab.stop_capture(label, file)
    if as_json:
        print_json(
            {
                "file": str(captured.file),
                "files": [str(each) for each in captured.files],
                "points": dict(captured.points),
                "dropped": captured.dropped,
                "warnings": list(captured.warnings),
            }
        )
    else:
        columns = ("frames", "dropped", "discarded")
        rows = [(at, *(str(n.get(column, 0)) for column in columns)) for at, n in captured.points.items()]
        table("point", *columns, rows=rows)
        for each in captured.files if captured.files != (file,) else ():
            out.print(each)
    if captured.warnings:
        complain("; ".join(captured.warnings))
    raise typer.Exit(3 if captured.problem else 4 if captured.dropped or captured.notes else 0)
