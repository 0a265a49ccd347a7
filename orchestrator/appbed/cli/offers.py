"""What a shell offers where a name belongs and Tab is pressed. It never fails and never speaks: at worst there is nothing to offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from appbed.topology import Topology

Offer = Callable[[typer.Context, str], list[str]]


def _offered(names: Callable[[typer.Context], Iterable[str]]) -> Offer:
    """Of the names those that begin with what is there already."""

    def offer(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return sorted(name for name in names(ctx) if name.startswith(incomplete))
        except Exception:
            return []

    return offer


def _topologies(ctx: typer.Context) -> Iterable[str]:
    from appbed import places

    return places.topologies()


def _instances(ctx: typer.Context) -> Iterable[str]:
    from appbed.cli.app import open_engine

    return [instance.name for instance in open_engine().instances()]


def _shape(ctx: typer.Context) -> Topology:
    """Of the instance that is named already, or the only one there is."""
    from appbed import bringup
    from appbed.cli.app import open_engine

    engine = open_engine()
    return bringup.shape(engine, bringup.the_one(engine.instances(), ctx.params.get("name")))


def _hosts(ctx: typer.Context) -> Iterable[str]:
    shape = _shape(ctx)
    return [*shape.hosts, shape.agent]


def _links(ctx: typer.Context) -> Iterable[str]:
    return map(str, _shape(ctx).attachments())


def _points(ctx: typer.Context) -> Iterable[str]:
    shape = _shape(ctx)
    return ["all", *shape.hosts, *shape.networks, *map(str, shape.attachments())]


def _scenarios(ctx: typer.Context) -> Iterable[str]:
    from appbed import scenario

    known = scenario.discover()
    claims = {claim for each in known.values() for claim in each.claims}
    return {"all", *known, *claims, *(name.partition(".")[0] for name in known)}


topologies, instances, hosts = _offered(_topologies), _offered(_instances), _offered(_hosts)
links, points, scenarios = _offered(_links), _offered(_points), _offered(_scenarios)
