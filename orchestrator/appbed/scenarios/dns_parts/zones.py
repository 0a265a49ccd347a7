"""Which zones are on the way to a name, and how often their servers are asked for many names: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

DOMAINS: Mapping[str, str] = {
    "edu": "edu",
    "com": "com",
    "fr": "fr",
    "someschool.edu": "someschool.edu",
    "umass.edu": "umass.edu",
    "cs.umass.edu": "cs.umass.edu",
    "hamburger.edu": "hosting",
    "shop.com": "hosting",
    "registrar.com": "hosting",
    "crepes.fr": "hosting",
}
"""Every domain that has a zone of its own, and who serves it (`hierarchy.SERVERS`)."""


def way(name: str) -> tuple[str, ...]:
    """The domains whose servers are asked for a name nobody remembers, below the root."""
    labels = name.split(".")
    above = (".".join(labels[at:]) for at in range(len(labels) - 1, -1, -1))
    return tuple(domain for domain in above if domain in DOMAINS)


def below(domain: str, names: Iterable[str]) -> list[str]:
    """Of the names, those that nobody can learn while the servers of a domain are silent."""
    return sorted(name for name in names if domain in way(name))


def questions(names: Iterable[str]) -> dict[str, int]:
    """How often each zone's servers are asked by one that remembers who serves what: each name of its own server, each domain once
    of the one above it."""
    known: set[str] = set()
    counts: Counter[str] = Counter()
    for name in names:
        servers = ["root", *(DOMAINS[domain] for domain in way(name))]
        remembered = sum(domain in known for domain in way(name))
        counts.update(servers[remembered:])
        known.update(way(name))
    return dict(counts)
