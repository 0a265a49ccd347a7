"""link show, set, schedule, reset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appbed.cli import offers
from appbed.cli.app import Json, Name, attached, link_app
from appbed.cli.show import print_json, table, words
from appbed.errors import LinkError

if TYPE_CHECKING:
    from appbed.lab import Lab

Attachment = Annotated[str, typer.Argument(help="host or host@network", autocompletion=offers.links)]
_DROPPED = ("lost", "overflowed", "down", "refused")


@link_app.command("show")
def link_show(
    attachment: Annotated[str | None, typer.Argument(help="host or host@network", autocompletion=offers.links)] = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Links as declared, as set, and what they carried and dropped."""
    with attached(name) as lab:
        lines = lab.links()
        if attachment:
            wanted = (
                {str(lab.topology.attachment(attachment))}
                if "@" in attachment
                else {str(at) for at in lab.topology.host(attachment).attachments}
            )
            lines = [line for line in lines if line["attachment"] in wanted]
    _show_links(lines, as_json)


@link_app.command("set")
def link_set(
    attachment: Attachment,
    settings: Annotated[
        list[str], typer.Argument(help="delay=20ms loss=1% rate=10mbit ...; up.delay=20ms for one direction")
    ],
    lasting: Annotated[str | None, typer.Option("--for", help="then it goes back by itself: 10s")] = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Change a link of a running instance; what is not named stays."""
    from appbed.links import read_settings

    with attached(name) as lab:
        link = lab.link(attachment)
        with _shown(lab, [link.name], as_json):
            link.change(lasting=lasting, **read_settings(settings))


@link_app.command("schedule")
def link_schedule(
    attachment: Attachment,
    entries: Annotated[list[str], typer.Argument(help='"at 2s for 5s: loss=5% up.delay=20ms", any number of them')],
    start: Annotated[str | None, typer.Option(help="date and time it begins: 2026-11-22T20:15:00; else now")] = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Changes planned ahead; the agent makes them by its own clock, and takes them back. `link reset` ends them."""
    from appbed.links import plan, take

    with attached(name) as lab:
        link = lab.link(attachment)
        take(lab.agent, "schedule", **plan({link.name: entries}, start))
        _show_links([link.show()], as_json)


@link_app.command("reset")
def link_reset(
    attachment: Annotated[
        list[str] | None, typer.Argument(help="host or host@network", autocompletion=offers.links)
    ] = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Back to what the topology declares; without a name all links."""
    with attached(name) as lab:
        names = [lab.link(each).name for each in attachment or map(str, lab.topology.attachments())]
        with _shown(lab, names, as_json):
            lab.change_links({each: {} for each in names}, base="declared")


@contextlib.contextmanager
def _shown(lab: Lab, names: Sequence[str], as_json: bool) -> Iterator[None]:
    """Links as they are after a change, also after one that a cable has not done."""
    try:
        yield
    except LinkError:
        _show_links([line for line in lab.links() if line["attachment"] in names], as_json)
        raise
    _show_links([line for line in lab.links() if line["attachment"] in names], as_json)


def _show_links(lines: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(list(lines))
        return
    columns = ("link", "address", "by", "direction", "declared", "set", "held by", "carried", "dropped")
    table(*columns, rows=[_row(line, direction) for line in lines for direction in ("up", "down")])


def _row(line: Mapping[str, Any], direction: str) -> tuple[str, ...]:
    counted = (line["counters"] or {}).get(direction, {})
    by = f"{line['cable']} (not {', '.join(line['unused'])})" if line.get("unused") else line["cable"]
    named = (line["attachment"], line["address"], by) if direction == "up" else ("", "", "")
    dropped = str(sum(counted.get(cause, 0) for cause in _DROPPED)) if counted else ""
    carried = str(counted.get("frames_out", ""))
    held = ", ".join(line["holds"]) if direction == "up" else ""
    mark = " (failed)" if line.get("failed") else ""
    shown = (words(line["declared"][direction]), words(line["set"][direction]) + mark)
    return (*named, direction, *shown, held, carried, dropped)
