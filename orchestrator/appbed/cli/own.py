"""init, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from appbed.cli.app import Json, app
from appbed.cli.files import written
from appbed.cli.show import out, print_json

PANEL = "Your own lab"


@app.command(rich_help_panel=PANEL)
def init(
    folder: Annotated[Path, typer.Argument(help="an empty folder, or one that is not there yet")], as_json: Json = False
) -> None:
    """Begin a topology of your own: a Compose file that takes shipped parts, and a test of it."""
    from appbed import starter

    files = starter.write(folder)
    if as_json:
        print_json([str(file) for file in files])
        return
    for file in files:
        out.print(file)
    out.print(f"try it: cd {folder} && pytest")


@app.command(rich_help_panel=PANEL)
def schema(
    to: Annotated[Path | None, typer.Option("--out", help="write it to this file")] = None,
) -> None:
    """JSON schema of the keys x-testbed, x-role and x-link, with which editors complete and check a Compose file."""
    from appbed.schema import json_schema

    if to is None:
        print_json(json_schema())
    else:
        out.print(written(to, json.dumps(json_schema(), indent=2) + "\n"))
