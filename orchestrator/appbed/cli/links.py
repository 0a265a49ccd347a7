"""link show, set, reset; capture start, stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from appbed.cli.app import Json, Name, attached, capture_app, link_app
from appbed.cli.show import out, print_json, table, words
from appbed.errors import InputError

_DROPPED = ("lost", "overflowed", "down", "refused")


@link_app.command("show")
def link_show(
    attachment: Annotated[str | None, typer.Argument(help="host or host@network")] = None,
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
    attachment: Annotated[str, typer.Argument(help="host or host@network")],
    settings: Annotated[
        list[str], typer.Argument(help="delay=20ms loss=1% rate=10mbit ...; up.delay=20ms for one direction")
    ],
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Change a link of a running instance; what is not named stays."""
    with attached(name) as lab:
        _show_links([lab.link(attachment).change(**_settings(settings))], as_json)


@link_app.command("reset")
def link_reset(
    attachment: Annotated[list[str] | None, typer.Argument()] = None, name: Name = None, as_json: Json = False
) -> None:
    """Back to what the topology declares; without a name all links."""
    with attached(name) as lab:
        names = attachment or [str(each) for each in lab.topology.attachments()]
        _show_links([lab.link(each).reset() for each in names], as_json)


@capture_app.command("start")
def capture_start(
    points: Annotated[list[str], typer.Argument(help="hosts, host@network, networks, or all")],
    label: Annotated[str, typer.Option(help="name of the capture")] = "capture",
    bpf: Annotated[str, typer.Option("--filter", help="pcap-filter(7) expression")] = "",
    snaplen: Annotated[int, typer.Option(help="bytes kept of each frame; 0 is all")] = 0,
    name: Name = None,
) -> None:
    """Capture on hosts (what the application lived through) and networks (what the wire carried)."""
    with attached(name) as lab:
        lab.start_capture(label, points, filter=bpf, snaplen=snaplen)
    out.print(f"capturing as {label!r}; `appbed capture stop FILE` ends it")


@capture_app.command("stop")
def capture_stop(
    file: Annotated[Path, typer.Argument(help="where the pcapng file goes")],
    label: Annotated[str, typer.Option(help="name of the capture")] = "capture",
    name: Name = None,
    as_json: Json = False,
) -> None:
    """End a capture and fetch its file."""
    with attached(name) as lab:
        captured = lab.stop_capture(label, file)
    if as_json:
        print_json({"file": str(captured.file), "points": dict(captured.points), "dropped": captured.dropped})
        return
    rows = [(point, str(counts["frames"]), str(counts["dropped"])) for point, counts in captured.points.items()]
    table("point", "frames", "dropped", rows=rows)


def _settings(words: Sequence[str]) -> dict[str, Any]:
    """["delay=20ms", "up.loss=1%"] as an x-link block."""
    block: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} is no setting", remedy="write key=value, for example delay=20ms or up.loss=1%")
        direction, dot, inner = key.partition(".")
        if dot and direction not in ("up", "down"):
            raise InputError(
                f"{word!r}: direction {direction!r} is unknown", remedy="write up.KEY=VALUE or down.KEY=VALUE"
            )
        if dot:
            block.setdefault(direction, {})[inner] = value
        else:
            block[key] = value
    return block


def _show_links(lines: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(list(lines))
        return
    columns = ("link", "address", "by", "direction", "declared", "set", "carried", "dropped")
    table(*columns, rows=[_row(line, direction) for line in lines for direction in ("up", "down")])


def _row(line: Mapping[str, Any], direction: str) -> tuple[str, ...]:
    counted = (line["counters"] or {}).get(direction, {})
    named = (line["attachment"], line["address"], line["cable"]) if direction == "up" else ("", "", "")
    dropped = str(sum(counted.get(cause, 0) for cause in _DROPPED)) if counted else ""
    carried = str(counted.get("frames_out", ""))
    return (*named, direction, words(line["declared"][direction]), words(line["set"][direction]), carried, dropped)
