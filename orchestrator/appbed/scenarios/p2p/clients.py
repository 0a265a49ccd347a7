"""Distribution from one server takes longer with every client: max{NF/us, F/dmin} (claim P1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed import impairment, models
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.p2p_parts import fetching, swarm
from appbed.scenarios.p2p_parts.bounds import HEAD_BYTES
from appbed.scenarios.p2p_parts.swarm import FIVE
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.verdict import Finding, Outcome, Verdict, finding, judged, timed

_SLOW = "N = 1, slow"
CLIENTS = {"N = 1": 1, "N = 2": 2, "N = 5": 5, _SLOW: 1}
_SERVER = {fetching.LINK: {"up": {"rate": "5mbit", "queue": "300ms"}}}
SWEEP = {
    name: {
        **_SERVER,
        **({swarm.link(FIVE[0]): {"down": {"rate": "2mbit", "queue": "300ms"}}} if name == _SLOW else {}),
    }
    for name in CLIENTS
}
"""The server's line is the narrow one; in the last one a client's own is. Queues hold what TCP has under way."""
_SHARE = 0.10
_RATE = 0.02
"""What a link's rate may be off by: below the bound by more than that cannot be."""


def predict(conditions: Conditions) -> dict[str, Any]:
    at = {}
    size_bit = 8 * models.wire_bytes(fetching.FILE_BYTES + HEAD_BYTES)
    for name, point in conditions["sweep"].items():
        clients = FIVE[: CLIENTS[name]]
        server = impairment.resolve(fetching.LINK, point["links"][fetching.LINK]).up.rate_bit or 0.0
        slowest = min(_download_bit(point["links"], client) for client in clients)
        at[name] = {
            "clients": len(clients),
            "bound_s": models.client_server_s(size_bit, len(clients), server, slowest),
            "payload_bound_s": models.client_server_s(8 * fetching.FILE_BYTES, len(clients), server, slowest),
        }
    return {"points": at}


def _download_bit(links: dict[str, Any], client: str) -> float:
    name = swarm.link(client)
    return impairment.resolve(name, links[name]).down.rate_bit or 0.0


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, fetching.SERVER, {fetching.PATH: f"/srv/site{fetching.PATH}"}))
    for name in points(lab, record):
        fetching.fetch(lab, FIVE[: CLIENTS[name]])


def check(evidence: Evidence) -> Verdict:
    figures: dict[str, float] = {}
    found: list[Finding] = []
    for name, expected in evidence.prediction["expected"]["points"].items():
        found += _point(evidence, name, expected, figures)
    return judged(found, figures)


def _point(evidence: Evidence, name: str, expected: dict[str, float], figures: dict[str, float]) -> Iterator[Finding]:
    clients = FIVE[: int(expected["clients"])]
    seen = fetching.exchanges(evidence, clients, name)
    whole = {each.client.host for each in seen if each.status == 200 and each.response and each.response.complete}
    yield finding(f"{name}: clients with the whole file", len(clients), len(whole), len(whole) == len(clients))
    yield same_bytes(f"{name}: files equal to the origin's", evidence, seen)
    if len(whole) < len(clients):
        return  # what did not reach everybody has no distribution time
    took_s, bound_s = fetching.seconds(seen), expected["bound_s"]
    figures[f"{name}: distribution_s"] = took_s
    figures[f"{name}: over_bound"] = took_s / bound_s
    if took_s < (1 - _RATE) * bound_s:
        shown = f"{took_s * 1000:.0f} ms"
        because = f"{shown} is below the bound of {bound_s * 1000:.0f} ms: a link was faster than set"
        yield Finding(
            f"{name}: last one finished", "the bound or more", shown, Outcome.FAILED, because, bound_s, took_s
        )
    busy = evidence.conditions["processor_busy"]
    yield timed(f"{name}: last one finished", bound_s, took_s, _SHARE * bound_s, busy)


SCENARIO = Scenario(
    about="One server, N clients: the time until the last has the file grows with N, max{NF/us, F/dmin}",
    topology="swarm",
    predict=predict,
    run=run,
    check=check,
    claims=("P1",),
    sweep=SWEEP,
    short=("N = 1", "N = 5", _SLOW),
    capture=FIVE,
    roles=("peer", "web"),
)
