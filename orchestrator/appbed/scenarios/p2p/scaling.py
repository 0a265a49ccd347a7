"""Peers serve each other: a swarm takes max{F/us, F/dmin, NF/(us + sum ui)}, and its time flattens where a server's grows (P2, P3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from appbed import impairment
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.p2p_parts import chunks, fetching, swarm
from appbed.scenarios.p2p_parts.bounds import bounds
from appbed.scenarios.p2p_parts.chunks import AtPeer
from appbed.scenarios.p2p_parts.swarm import FIVE, KIB, SEED
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.verdict import BUSY, Finding, Outcome, Verdict, finding, judged, timed

SIZES = {"N = 1": 1, "N = 2": 2, "N = 5": 5}
PATH, FILE_BYTES = fetching.LARGE, fetching.LARGE_BYTES
CHUNK_BYTES = 16 * KIB
SETTINGS = (f"PIECE_SIZE={CHUNK_BYTES}", "CONTENT=lines", "UNCHOKE_SLOTS=all", "REQUEST_QUEUE=2")
"""Two requests, of 131 ms each at 1 Mbit/s: a neighbour always has a next one, and at the end nobody waits for a long queue."""
SEED_SETTINGS = (*SETTINGS[:-1], "REQUEST_QUEUE=16")
"""At the seed more are open: a request waits in the uplink of whoever makes it, behind what it uploads."""
SWEEP = {name: {fetching.LINK: swarm.SOURCE_LINE, **swarm.LINES} for name in SIZES}
"""The source is the server, and then the seed; downloads are no limit."""
_SERVER_SHARE, _SWARM_SHARE = 0.10, 0.25
"""Over their bounds in wire bytes: the server by its handshake, the swarm by its chunks, which are passed on once they are whole."""
_RATE = 0.02
"""What a link's rate may be off by: below a bound by more than that cannot be."""
_CLEARLY = 0.7
"""Where the bounds differ that much the measured times must, too."""


def predict(conditions: Conditions) -> dict[str, Any]:
    joined = sum(SIZES[name] for name in conditions["sweep"])
    return {
        "points": {name: _bounds(point["links"], SIZES[name]) for name, point in conditions["sweep"].items()},
        "announces": dict.fromkeys(("started", "completed", "stopped"), joined),
    }


def _bounds(links: Mapping[str, Any], peers: int) -> dict[str, float]:
    """In wire bytes, with the textbook's in payload beside them."""
    homes = [impairment.resolve(swarm.link(peer), links[swarm.link(peer)]) for peer in FIVE[:peers]]
    sources = {impairment.resolve(name, links[name]).up.rate_bit or 0.0 for name in (fetching.LINK, swarm.link(SEED))}
    source = min(sources)  # one rate, for both
    uploads, slowest = [home.up.rate_bit or 0.0 for home in homes], min(home.down.rate_bit or 0.0 for home in homes)
    return {"peers": peers, **bounds(FILE_BYTES, source, uploads, slowest)}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, fetching.SERVER, {PATH: f"/srv/site{PATH}"}))
    for name in points(lab, record):
        peers = FIVE[: SIZES[name]]
        fetching.fetch(lab, peers, PATH)
        record.step(f"{name}: a swarm")
        swarm.settle(lab, [SEED], *SEED_SETTINGS)
        swarm.settle(lab, peers, *SETTINGS)
        given = swarm.torrent(lab, record, FILE_BYTES, f"scaling-{len(peers)}")
        swarm.join(lab, given, peers)
        swarm.join(lab, given, [SEED])  # the last one: all begin at the same moment
        swarm.complete(lab, given, peers)
        swarm.conclude(lab, record, (SEED, *peers))


# ---- judging


def check(evidence: Evidence) -> Verdict:
    figures: dict[str, float] = {}
    found = [swarm.announced(evidence, evidence.prediction["expected"]["announces"], FIVE)]
    for at, (name, expected) in enumerate(evidence.prediction["expected"]["points"].items()):
        found += _point(evidence, at, name, expected, figures)
    return judged([*found, *_flattens(list(evidence.prediction["expected"]["points"]), figures)], figures)


def _point(
    evidence: Evidence, at: int, name: str, expected: Mapping[str, float], figures: dict[str, float]
) -> Iterator[Finding]:
    peers = FIVE[: int(expected["peers"])]
    seen = fetching.exchanges(evidence, peers, name, PATH)
    whole = {each.client.host for each in seen if each.status == 200 and each.response and each.response.complete}
    yield finding(f"{name}: clients with the whole file", len(peers), len(whole), len(whole) == len(peers))
    yield same_bytes(f"{name}: files equal to the origin's", evidence, seen)
    yield swarm.whole_files(evidence, peers, at)
    yield _same_file(evidence, at)
    swarms = [AtPeer(evidence, peer, evidence.of("torrent")[at].data["info_hash"]) for peer in peers]
    sizes = chunks.sizes(FILE_BYTES, CHUNK_BYTES)
    done = [each.whole_s(sizes) for each in swarms]
    complete = sum(len(chunk_s) == len(sizes) for chunk_s in done)
    yield finding(f"{name}: peers that got every chunk", len(peers), complete, complete == len(peers))
    if len(whole) < len(peers) or complete < len(peers):
        return  # what did not reach everybody has no distribution time
    last_s = max(max(chunk_s.values()) for chunk_s in done)
    took = {"client_server": fetching.seconds(seen), "peer_to_peer": last_s - _begun_s(evidence, swarms)}
    for who, architecture, share in (
        ("server", "client_server", _SERVER_SHARE),
        ("swarm", "peer_to_peer", _SWARM_SHARE),
    ):
        bound_s, seen_s = expected[f"{architecture}_s"], took[architecture]
        figures |= {f"{name}: {architecture}_s": seen_s, f"{name}: {architecture}_over_bound": seen_s / bound_s}
        yield from _over(f"{name}, {who}", bound_s, seen_s, share, evidence)
    if expected["peer_to_peer_s"] <= _CLEARLY * expected["client_server_s"]:
        shown = f"{took['peer_to_peer']:.2f} s and {took['client_server']:.2f} s"
        yield finding(
            f"{name}: swarm and server", "the swarm first", shown, took["peer_to_peer"] < took["client_server"]
        )


def _same_file(evidence: Evidence, at: int) -> Finding:
    """What the swarm distributes is what the server serves."""
    wanted, seen = evidence.of("origin")[0].data["sha256"][PATH], evidence.of("torrent")[at].data["sha256"]
    return finding("the swarm's file is the server's (SHA-256)", wanted[:12], seen[:12], wanted == seen)


def _begun_s(evidence: Evidence, swarms: list[AtPeer]) -> float:
    """The first SYN between the seed, which came last, and a peer: the counterpart of a client's SYN to the server."""
    seed = evidence.address(SEED)
    sessions = [session for each in swarms for session in each.sessions]
    return min((each.start_s for each in sessions if seed in (each.client.host, each.server.host)), default=0.0)


def _over(what: str, bound_s: float, seen_s: float, share: float, evidence: Evidence) -> Iterator[Finding]:
    """Not below the bound, and above it by no more than a share."""
    if seen_s < (1 - _RATE) * bound_s:
        shown = f"{seen_s * 1000:.0f} ms"
        because = f"{shown} is below the bound of {bound_s * 1000:.0f} ms: a link was faster than set"
        yield Finding(f"{what}: bound", "or more", shown, Outcome.FAILED, because, bound_s, seen_s)
    busy = evidence.conditions["processor_busy"]
    if busy > BUSY:
        because = f"the machine's processors were {busy:.0%} busy"
        yield Finding(f"{what}: last one finished", "", "", Outcome.INCONCLUSIVE, because)
    yield timed(f"{what}: last one finished", bound_s, seen_s, share * bound_s, busy)


def _flattens(names: list[str], figures: dict[str, float]) -> Iterator[Finding]:
    """From the smallest swarm to the largest one: the swarm's time grows by less than the server's."""
    ends = [names[0], names[-1]]
    if len(names) > 1 and all(f"{name}: peer_to_peer_s" in figures for name in ends):
        grown = {
            which: figures[f"{ends[1]}: {which}_s"] / figures[f"{ends[0]}: {which}_s"]
            for which in ("client_server", "peer_to_peer")
        }
        shown = f"{grown['peer_to_peer']:.2f} times beside {grown['client_server']:.2f} times"
        flatter = grown["peer_to_peer"] < grown["client_server"]
        yield finding(f"{ends[0]} to {ends[1]}: the swarm's time grows", "by less than the server's", shown, flatter)


SCENARIO = Scenario(
    about="One file by a server and by a swarm: the server's time grows with N, the swarm's has a ceiling; both near their bounds",
    topology="swarm",
    predict=predict,
    run=run,
    check=check,
    claims=("P2", "P3"),
    sweep=SWEEP,
    short=("N = 1", "N = 5"),
    capture=FIVE,
    roles=("peer", "tracker", "web", "resolver"),
)
