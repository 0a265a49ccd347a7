"""A torrent's peers exchange chunks of equal size, and upload while they download (claim P4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.p2p_parts import chunks, swarm
from appbed.scenarios.p2p_parts.chunks import AtPeer
from appbed.scenarios.p2p_parts.swarm import HOSTS, KIB, PEERS, SEED
from appbed.verdict import Finding, Verdict, finding, judged

FILE_BYTES, CHUNK_BYTES = 1024 * KIB + 1, 32 * KIB
"""One byte more than the chunks hold: the last chunk is what is left."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "chunk_bytes": chunks.sizes(FILE_BYTES, CHUNK_BYTES),
        "peers": len(PEERS),
        "announces": {"started": len(HOSTS), "completed": len(PEERS), "stopped": len(HOSTS)},
    }


def run(lab: Lab, record: Recorder) -> None:
    swarm.settle(lab, HOSTS, f"PIECE_SIZE={CHUNK_BYTES}", "CONTENT=lines")
    given = swarm.torrent(lab, record, FILE_BYTES, "pieces")
    swarm.join(lab, given, PEERS)
    swarm.join(lab, given, [SEED])  # the last one: nobody has anything before all are there
    swarm.complete(lab, given, PEERS)
    swarm.conclude(lab, record, HOSTS)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    info_hash = evidence.of("torrent")[0].data["info_hash"]
    at = [AtPeer(evidence, host, info_hash) for host in HOSTS]
    found = [swarm.whole_files(evidence), swarm.announced(evidence, expected["announces"])]
    found += _chunks(at, expected["chunk_bytes"])
    found += _both_ways(at, expected)
    return judged(found, {"pairs_that_exchanged": len(_pairs(at, expected["chunk_bytes"]))})


def _chunks(at: list[AtPeer], sizes: list[int]) -> Iterator[Finding]:
    """Each peer got every chunk, of the size predicted; the seed got none."""
    shown = _shown(sizes)
    for peer in at:
        got = peer.bytes_of
        if peer.host == SEED:
            yield finding(f"{SEED}: chunks received", 0, len(got), not got)
        else:
            agrees = got == dict(enumerate(sizes))
            yield finding(f"{peer.host}: chunks received", shown, _shown(list(got.values())), agrees)


def _shown(sizes: list[int]) -> str:
    counts = sorted(Counter(sizes).items(), reverse=True)
    return ", ".join(f"{count} of {size} bytes" for size, count in counts) or "none"


def _both_ways(at: list[AtPeer], expected: dict[str, Any]) -> Iterator[Finding]:
    """Between its first block and its last one, a peer had already given blocks to others."""
    sizes, uploading = expected["chunk_bytes"], 0
    for peer in at:
        done = peer.whole_s(sizes)
        if peer.host != SEED and len(done) == len(sizes):
            uploading += any(each.end_s < max(done.values()) for each in peer.sent)
    wanted = expected["peers"]
    yield finding("peers that uploaded before they had all", wanted, uploading, uploading == wanted)
    pairs = _pairs(at, sizes)
    yield finding("pairs that gave each other chunks before either had all", "1 or more", len(pairs), bool(pairs))


def _pairs(at: list[AtPeer], sizes: list[int]) -> set[frozenset[str]]:
    done = {peer.address: max(peer.whole_s(sizes).values(), default=0.0) for peer in at if peer.host != SEED}
    gave = {
        (each.sender.host, each.receiver.host)
        for peer in at
        for each in peer.sent
        if each.end_s < min(done.get(each.sender.host, 0.0), done.get(each.receiver.host, 0.0))
    }
    return {frozenset(pair) for pair in gave if pair[::-1] in gave}


SCENARIO = Scenario(
    about="Chunks of one size go both ways between peers that still lack others; the last chunk is what is left",
    topology="swarm",
    predict=predict,
    run=run,
    check=check,
    claims=("P4",),
    links={swarm.link(SEED): {"up": {"rate": "4mbit"}}},
    capture=HOSTS,
    roles=("peer", "tracker", "resolver"),
    indifferent={"times stretched": "what came before what is an order, and no length of time"},
)
