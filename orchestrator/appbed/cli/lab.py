"""list, up, down, ps, exec, logs, gc."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from appbed import lease, places
from appbed.cli import offers
from appbed.cli.app import Foreign, Json, Name, app, attached, open_engine
from appbed.cli.show import out, print_json, spinner, table
from appbed.errors import EngineError, InputError

PANEL = "The lab"
Host = Annotated[
    str, typer.Argument(help="a host of the lab, or its agent (see `appbed ps`)", autocompletion=offers.hosts)
]


@app.command("list", rich_help_panel=PANEL)
def list_topologies(as_json: Json = False) -> None:
    """The topologies that can be brought up."""
    from appbed import topology

    _wanted_net()
    shown = {name: topology.load(path, os.environ) for name, path in places.topologies().items()}
    if as_json:
        print_json(
            [
                {"topology": name, "about": it.about, "hosts": sorted(it.hosts), "networks": sorted(it.networks)}
                for name, it in shown.items()
            ]
        )
        return
    rows = [(name, str(len(it.hosts)), str(len(it.networks)), it.about) for name, it in shown.items()]
    table("topology", "hosts", "networks", "about", rows=rows)


@app.command(rich_help_panel=PANEL)
def up(
    topology: Annotated[
        str,
        typer.Argument(
            help="a shipped topology (see `appbed list`) or a Compose file", autocompletion=offers.topologies
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", envvar="APPBED_NAME", help="of the instance; default: the topology's name"),
    ] = None,
    over: Annotated[list[Path] | None, typer.Option("--file", "-f", help="Compose file laid over the topology")] = None,
    links: Annotated[str, typer.Option(help="back-end of the links: auto, netem, relay")] = "auto",
    timeout: Annotated[float, typer.Option(min=1, help="seconds to wait until every host is ready")] = 60.0,
    as_json: Json = False,
) -> None:
    """Bring a topology up and wait until every host is ready."""
    from appbed.bringup import undone
    from appbed.engine import pages
    from appbed.lab import Lab
    from appbed.topology import load as parse

    file, back_end, net = places.topology_file(topology), checked_links(links), _wanted_net()
    parse(file, os.environ, *(over or ()))  # what a person wrote comes first, also where no engine is
    with spinner(f"up {topology}") as say, ExitStack() as undo:
        engine = open_engine()
        lab = Lab.up(
            file,
            engine,
            name=name,
            overrides=over or (),
            links=back_end,
            net=net,
            timeout_s=timeout,
            lives_on=True,
            say=lambda step: say(f"{step.seconds:5.1f} s  {step.what}"),
        )
        undo.enter_context(undone(engine, lab.name))
        undo.callback(lab.agent.close)
        status, found = lab.agent.ask("status"), pages(engine.containers(lab.name))
    if as_json:
        shown = {"name": lab.name, "topology": lab.topology.name, "hosts": status["hosts"], "links": status["links"]}
        print_json({**shown, "pages": found})
    else:
        out.print(f"{lab.name} is up: {len(status['hosts'])} hosts, links by {status['links']}")
        _show_pages(found)


def _show_pages(found: Mapping[str, str]) -> None:
    for page, url in found.items():
        out.print(f"  {page:<24} {url}")


def checked_links(links: str) -> str:
    if links not in ("auto", "netem", "relay"):
        raise InputError(f"--links {links!r} is unknown", remedy="choose one of auto, netem, relay")
    return links


def _wanted_net() -> str | None:
    """APPBED_NET, which every topology's addresses begin with; None: any free one."""
    wanted = os.environ.get("APPBED_NET")
    return lease.checked(wanted) if wanted else None


@app.command(rich_help_panel=PANEL)
def down(
    name: Name = None,
    everything: Annotated[bool, typer.Option("--all", help="every instance")] = False,
    as_json: Json = False,
) -> None:
    """Take an instance down; nothing of it stays."""
    from appbed.bringup import take_down, the_one

    engine = open_engine()
    instances = engine.instances()
    gone = {}
    for instance in instances if everything else [the_one(instances, name)]:
        with spinner(f"down {instance.name}"):
            gone[instance.name] = take_down(engine, instance.name)
        if not as_json:
            out.print(f"{instance.name} is down: {gone[instance.name]} containers and networks removed")
    if as_json:
        print_json([{"name": each, "removed": removed} for each, removed in gone.items()])


@app.command(rich_help_panel=PANEL)
def ps(name: Name = None, as_json: Json = False) -> None:
    """What is up: instances and their hosts."""
    from appbed.bringup import the_one
    from appbed.engine import pages

    instances = open_engine().instances()
    if name is not None:
        instances = [the_one(instances, name)]
    if as_json:
        print_json([{**asdict(instance), "pages": pages(instance.containers)} for instance in instances])
        return
    if not instances:
        out.print("nothing is up")
    for instance in instances:
        files = " + ".join(file.stem for file in instance.files)
        rows = [(each.service, each.state, each.health, each.image) for each in instance.containers]
        title = f"{instance.name} ({files}, {instance.net}.0.0/16)"
        table("host", "state", "health", "image", rows=rows, title=title)
        _show_pages(pages(instance.containers))


@app.command("exec", cls=Foreign, rich_help_panel=PANEL)
def execute(
    host: Host,
    command: Annotated[list[str], typer.Argument(help="what to run, after --")],
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Run a command inside a host: appbed exec client -- curl -s http://www.someschool.edu/"""
    with attached(name) as lab:
        done = lab.exec(host, *command, check=False, timeout_s=600)
    if as_json:
        print_json(asdict(done))
    else:
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
    raise typer.Exit(done.status)


@app.command(rich_help_panel=PANEL)
def logs(
    host: Host,
    name: Name = None,
    tail: Annotated[int | None, typer.Option(min=0, help="only the last lines")] = None,
    as_json: Json = False,
) -> None:
    """What a host's server logged."""
    with attached(name) as lab:
        said = lab.logs(host, tail=tail)
    if as_json:
        print_json({"host": host, "lines": said.splitlines()})
    else:
        sys.stdout.write(said)


@app.command(rich_help_panel=PANEL)
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False, as_json: Json = False
) -> None:
    """Remove what killed commands left behind; running instances that somebody brought up stay."""
    from appbed import leftovers

    engine = open_engine()
    ended = 0 if dry_run else leftovers.end_orphans()
    found = leftovers.find(engine)
    if not dry_run and (ended or found):
        leftovers.settle(engine)
        found = leftovers.find(engine)
    stayed: dict[str, EngineError] = {}
    for leftover in found:
        try:
            if not dry_run:
                leftovers.remove(engine, leftover)
        except EngineError as error:  # the others shall go all the same
            stayed[leftover.instance] = error
            continue
        if not as_json:
            out.print(f"{'would remove' if dry_run else 'removed'} {leftover}")
    if as_json:
        gone = {each.instance for each in found if not dry_run} - set(stayed)
        print_json([{**asdict(each), "removed": each.instance in gone} for each in found])
    elif not found:
        out.print(f"ended {ended} processes of killed commands" if ended else "nothing to remove")
    for failure in stayed.values():
        raise failure
