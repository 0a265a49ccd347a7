"""Swarms of any size from the one topology `swarm`: a Compose file to lay over it, with more peers and the rates of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appbed import units
from appbed.errors import InputError

SHIPPED = {
    "peer-1": ("homes-a", 11),
    "peer-2": ("homes-a", 12),
    "peer-3": ("homes-b", 11),
    "peer-4": ("homes-b", 12),
    "peer-5": ("homes-a", 13),
}
"""The peers the topology has by itself: network, and last octet of the address."""
MOST = 400
_NETWORKS = {"homes-b": (8, 13), "homes-a": (7, 14)}
"""In turn, from peer 6 on: third octet of the addresses, and the first fourth octet that is free."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one home's line, in the words of `x-link`."""

    up: str
    down: str

    def x_link(self) -> dict[str, Any]:
        return {"up": {"rate": self.up}, "down": {"rate": self.down}}


def rates(text: str) -> Rates:
    """ "1mbit/10mbit": up and down; each more than 0."""
    up, slash, down = (part.strip() for part in text.partition("/"))
    if not slash:
        raise InputError(f"{text!r:.60} is no pair of rates", remedy="write up and down: 1mbit/10mbit")
    for rate in (up, down):
        units.rate_bit(rate)
    return Rates(up, down)


def override(peers: int, of_peers: Sequence[Rates], of_seed: Rates | None, role: Path) -> dict[str, Any]:
    """A Compose document for `peers` peers; `of_peers` are given to them in turn: one for all, or a class or a peer each.

    `role` is images/peer/service.yaml. Without rates a home keeps the topology's: 8 Mbit/s up and 32 down.
    """
    if not 1 <= peers <= MOST:
        raise InputError(f"a swarm of {peers} peers is not possible", remedy=f"write a number from 1 to {MOST}")
    services: dict[str, Any] = {}
    for number in range(1, peers + 1):
        name = f"peer-{number}"
        wanted = of_peers[(number - 1) % len(of_peers)] if of_peers else None
        if name not in SHIPPED:
            services[name] = _peer(number, wanted or Rates("8mbit", "32mbit"), role)
        elif wanted:
            services[name] = {"networks": {SHIPPED[name][0]: {"x-link": wanted.x_link()}}}
    if of_seed:
        services["seed"] = {"networks": {"homes-a": {"x-link": of_seed.x_link()}}}
    return {"services": services}


def _peer(number: int, wanted: Rates, role: Path) -> dict[str, Any]:
    """One more than the topology has: at one ISP and the other in turn."""
    more = number - len(SHIPPED) - 1
    network = list(_NETWORKS)[more % len(_NETWORKS)]
    third, first = _NETWORKS[network]
    octets = f"{third}.{first + more // len(_NETWORKS)}"
    return {
        "extends": {"file": str(role), "service": "peer"},
        "dns": "${APPBED_NET:-10.77}.3.50",
        "networks": {
            network: {"ipv4_address": f"${{APPBED_NET:-10.77}}.{octets}", "x-link": {"delay": "5ms", **wanted.x_link()}}
        },
    }
