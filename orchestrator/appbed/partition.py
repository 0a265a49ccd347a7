"""Which cables to cut so that groups of hosts and networks cannot reach each other, and each group stays whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from appbed.errors import InputError
from appbed.topology import Topology


def cables(topology: Topology, groups: Sequence[Iterable[str]]) -> list[str]:
    """Attachments to cut. One group stands against all the rest; who is in none of several belongs to the nearest."""
    side = _named(topology, groups)
    if len({*side.values()}) == 1:
        side = {node: side.get(node, 1) for node in _neighbours(topology)}
    if len({*side.values()}) < 2:
        raise InputError("a partition needs two groups", remedy="name hosts and networks: client,campus server")
    sides = _spread(topology, side)
    _refuse_broken(topology, side, sides)
    return [str(at) for at in topology.attachments() if sides[at.host] != sides[_node(at.network)]]


def _node(network: str) -> str:
    """A host and a network may have one name."""
    return f"network {network}"


def _named(topology: Topology, groups: Sequence[Iterable[str]]) -> dict[str, int]:
    side: dict[str, int] = {}
    for number, group in enumerate(groups):
        for name in group:
            if name not in topology.hosts and name not in topology.networks:
                known = ", ".join([*topology.hosts, *topology.networks])
                raise InputError(f"no host or network {name!r}; known: {known}")
            node = name if name in topology.hosts else _node(name)
            if side.setdefault(node, number) != number:
                raise InputError(f"{name} is in two groups of one partition", remedy="name it once")
    return side


def _neighbours(topology: Topology) -> dict[str, list[str]]:
    """Who is joined to whom by a cable."""
    joined: dict[str, list[str]] = {name: [] for name in topology.hosts}
    joined |= {_node(name): [] for name in topology.networks}
    for at in topology.attachments():
        joined[at.host].append(_node(at.network))
        joined[_node(at.network)].append(at.host)
    return joined


def _spread(topology: Topology, side: Mapping[str, int]) -> dict[str, int]:
    """Everybody's group: the nearest, at equal distance the one named first."""
    joined, sides = _neighbours(topology), dict(side)
    edge = sorted(side, key=lambda node: side[node])
    while edge:
        reached: dict[str, int] = {}
        for node in edge:
            for other in joined[node]:
                if other not in sides:
                    reached.setdefault(other, sides[node])
        sides |= reached
        edge = sorted(reached, key=lambda node: reached[node])
    return sides | {node: -1 for node in joined if node not in sides}  # joined to nobody who was named


def _refuse_broken(topology: Topology, named: Mapping[str, int], sides: Mapping[str, int]) -> None:
    """Hosts of one group that only reach each other through another group would be parted too, which nobody asked for."""
    joined = _neighbours(topology)
    whole = _pieces(joined)
    inside = _pieces(
        {node: [other for other in others if sides[other] == sides[node]] for node, others in joined.items()}
    )
    for node, group in named.items():
        for other, its in named.items():
            if group == its and whole[node] == whole[other] and inside[node] != inside[other]:
                raise InputError(
                    f"{node} and {other} are in one group and would be parted too: they reach each other only through another",
                    remedy="a cable is cut as a whole: give what joins them to their group, or name other groups",
                )


def _pieces(joined: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """By node, the first node of all that hang together with it."""
    piece: dict[str, str] = {}
    for first in joined:
        waiting = [first] if first not in piece else []
        while waiting:
            node = waiting.pop()
            if node not in piece:
                piece[node] = first
                waiting.extend(joined[node])
    return piece
