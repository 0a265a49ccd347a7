"""swarm."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from appbed.cli.app import app

PANEL = "The lab"
_PAIR = "rates up and down of a peer's line, for example 1mbit/10mbit; several are given to the peers in turn"


@app.command(rich_help_panel=PANEL)
def swarm(
    peers: Annotated[int, typer.Argument(help="how many peers, beside the seed")],
    peer: Annotated[list[str] | None, typer.Option("--peer", help=_PAIR)] = None,
    seed: Annotated[str | None, typer.Option("--seed", help="rates of the seed's line")] = None,
) -> None:
    """Write a Compose file for a swarm of any size: `appbed swarm 20 > 20.yaml`, then `appbed up swarm -f 20.yaml`."""
    import yaml

    from appbed import places, swarms

    role = places.root() / "images" / "peer" / "service.yaml"
    of_peers = [swarms.rates(text) for text in peer or ()]
    document = swarms.override(peers, of_peers, swarms.rates(seed) if seed else None, role)
    yaml.safe_dump(document, sys.stdout, sort_keys=False)
