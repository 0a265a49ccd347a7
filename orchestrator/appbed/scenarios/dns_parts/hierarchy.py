"""Who serves what in the lab's hierarchy, and how far away it is: constants and a formula, held against the topology by a test."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from appbed import impairment, models
from appbed.evidence import Evidence

SITE = "www.someschool.edu"
REPLICAS = ("www-1", "www-2", "www-3")
ACCESS = "gateway@access"
"""The link between the local server and all others."""
FAR = {ACCESS: {"delay": "75ms"}}
"""Where times are judged: what the servers and the machine take is little beside round trips of 150 ms."""
SERVERS: Mapping[str, tuple[str, ...]] = {
    "root": ("root-a", "root-b"),
    "com": ("tld-com",),
    "edu": ("tld-edu",),
    "fr": ("tld-fr",),
    "someschool.edu": ("ns-school",),
    "umass.edu": ("ns-umass", "ns-umass-2"),
    "cs.umass.edu": ("ns-cs",),
    "hosting": ("ns-hosting",),
}
"""By what they are: the hosts that serve it. A hosting company's server has several zones."""
_DNS_BYTES = 120
"""A query or a reply, for the estimate: what they take on a link of 10 Mbit/s is a tenth of a millisecond."""


def by_address(evidence: Evidence) -> dict[str, str]:
    """What each name server of the run's topology serves, by its address."""
    known = evidence.conditions["hosts"]
    return {evidence.address(host): zone for zone, hosts in SERVERS.items() for host in hosts if host in known}


def at_core(evidence: Evidence, number: int) -> str:
    """An address in the network of servers, also of a host that is not in this topology."""
    return str(IPv4Network(evidence.conditions["networks"]["core"])[number])


def round_trip_s(settings: Mapping[str, Any]) -> float:
    """A small message and its answer through a link as set."""
    link = impairment.resolve("access", settings)
    return sum(side.delay_ms / 1000 + models.wire_time_s(_DNS_BYTES, side.rate_bit) for side in (link.up, link.down))
