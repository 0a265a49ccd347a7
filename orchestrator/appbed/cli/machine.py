"""setup, doctor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import typer

from appbed import places
from appbed.cli.app import Json, app
from appbed.cli.show import coloured, err, out, print_json, spinner, table

PANEL = "The machine"


@app.command(rich_help_panel=PANEL)
def setup(as_json: Json = False) -> None:
    """Make this machine able: engine, Compose, base image, role images. What is there is left as it is."""
    from appbed.engine.setup import setup as make_able

    with _steps(quiet=as_json) as emit:
        machine = make_able(places.root(), emit)
    if as_json:
        print_json({**asdict(machine), "endpoint": str(machine.endpoint)})
    else:
        out.print(f"ready: engine {machine.engine}, Compose {machine.compose}, {len(machine.images)} role images")


@app.command(rich_help_panel=PANEL)
def doctor(as_json: Json = False) -> None:
    """Say what this machine has and lacks, each with its fix. Changes nothing."""
    from appbed import leftovers
    from appbed.engine import doctor as machine

    checks = machine.doctor(places.root(), leftovers.find)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [(check.name, coloured(check.state), check.found, check.fix) for check in checks]
        table("check", "", "found", "fix", rows=rows)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(3)


@contextmanager
def _steps(*, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """A line for each finished step, unless `quiet`; on a terminal the one under way is shown moving."""
    with spinner("setup") as say:

        def emit(event: Any) -> None:
            if event.state in ("done", "skipped"):
                if not quiet:
                    out.print(f"{event.step:<26} {event.state:<8} {event.seconds:6.1f} s  {event.detail}")
            elif err.is_terminal or event.state == "progress":
                say(f"{event.step}: {event.detail}" if event.detail else event.step)

        yield emit
