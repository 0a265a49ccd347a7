"""Rarest first evens out the copies: by it, and by a sequential picker, the same swarm on the same links (claim P7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from statistics import pstdev
from typing import Any

from appbed.analysis import Endpoint
from appbed.analysis.bittorrent import PeerMessage
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.p2p_parts import chunks, swarm
from appbed.scenarios.p2p_parts.chunks import AtPeer
from appbed.scenarios.p2p_parts.swarm import HOSTS, KIB, PEERS, SEED
from appbed.verdict import Finding, Verdict, finding, judged

FILE_BYTES, CHUNK_BYTES = 1024 * KIB, 16 * KIB
_LINES = {
    swarm.link(SEED): {"up": {"rate": "2500kbit", "queue": "300ms"}},
    **{swarm.link(peer): {"up": {"rate": "125kbit", "queue": "20"}} for peer in PEERS},
}
"""u_s = 20u, and slow: a chunk takes long beside the round trip in which its news reaches everybody."""
_SETTINGS = (f"PIECE_SIZE={CHUNK_BYTES}", "CONTENT=lines", "UNCHOKE_SLOTS=all", "REQUEST_QUEUE=1")
"""One request at a time, so that each is made with what is known when its chunk begins to come."""
PICKERS = ("rarest-first", "sequential")
_AT_MOST = 0.5
"""Of the sequential picker's spread. There all peers have the same chunks, the first ones, and nobody the last ones."""
_RAREST = 0.75
"""Of requests for a new chunk: what neighbours tell while a request is being made is known too late for it."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "chunk_bytes": chunks.sizes(FILE_BYTES, CHUNK_BYTES),
        "spread_at_most": _AT_MOST,
        "rarest_at_least": _RAREST,
        "announces": dict.fromkeys(("started", "completed", "stopped"), len(PICKERS) * len(PEERS)),
    }


def run(lab: Lab, record: Recorder) -> None:
    for picker in PICKERS:
        record.step(picker)
        swarm.settle(lab, HOSTS, f"PICKER={picker}", *_SETTINGS)
        given = swarm.torrent(lab, record, FILE_BYTES, picker)
        swarm.join(lab, given, PEERS)
        swarm.join(lab, given, [SEED])
        swarm.complete(lab, given, PEERS)
        swarm.conclude(lab, record, HOSTS)


# ---- judging


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    sizes = expected["chunk_bytes"]
    spreads: dict[str, float] = {}
    found = [swarm.announced(evidence, expected["announces"], PEERS)]
    for number, picker in enumerate(PICKERS):
        info_hash = evidence.of("torrent")[number].data["info_hash"]
        at = [AtPeer(evidence, peer, info_hash) for peer in PEERS]
        done = {each.host: each.whole_s(sizes) for each in at}
        whole = sum(len(chunk_s) == len(sizes) for chunk_s in done.values())
        found += [
            swarm.whole_files(evidence, PEERS, number),
            finding(f"{picker}: peers that got every chunk", len(PEERS), whole, whole == len(PEERS)),
        ]
        spreads[picker] = spread(done, len(sizes)) if whole == len(PEERS) else 0.0
        if picker == PICKERS[0]:
            found += _requests(at, expected["rarest_at_least"])
    found += _spread(spreads, expected["spread_at_most"])
    return judged(found, {f"{picker}: spread_of_copies": value for picker, value in spreads.items()})


def spread(done: Mapping[str, Mapping[int, float]], count: int) -> float:
    """Standard deviation of the copies per chunk among the peers, its mean over the time until the first peer has all."""
    ends_s = min(max(chunk_s.values()) for chunk_s in done.values())
    came = sorted((when_s, piece) for chunk_s in done.values() for piece, when_s in chunk_s.items() if when_s <= ends_s)
    copies, area, begun_s = dict.fromkeys(range(count), 0), 0.0, came[0][0]
    for (here_s, piece), (next_s, _) in pairwise([*came, (ends_s, -1)]):
        copies[piece] += 1
        area += pstdev(copies.values()) * (next_s - here_s)
    return area / (ends_s - begun_s) if ends_s > begun_s else 0.0


def _spread(spreads: Mapping[str, float], at_most: float) -> Iterator[Finding]:
    first, second = (spreads[picker] for picker in PICKERS)
    shown = f"{first:.2f} beside {second:.2f} copies"
    agrees = second > 0 and 0 < first <= at_most * second
    yield finding("spread of copies per chunk", f"at most {at_most:g} of sequential", shown, agrees)


def _requests(at: list[AtPeer], at_least: float) -> Iterator[Finding]:
    """Of requests where the neighbour had chunks of different rarity to give, how many were for one of the rarest."""
    rarest, choices, by_chance = 0, 0, 0.0
    for peer in at:
        for chosen, offered in _chosen(peer):
            least = min(offered.values())
            if len(set(offered.values())) > 1:
                choices += 1
                rarest += offered[chosen] == least
                by_chance += sum(count == least for count in offered.values()) / len(offered)
    share, chance = (rarest / choices, by_chance / choices) if choices else (0.0, 0.0)
    shown = f"{share:.0%} of {choices}, by chance {chance:.0%}"
    agrees = chance < at_least <= share
    yield finding("requests for one of the rarest chunks offered", f"{at_least:.0%} or more", shown, agrees)


def _chosen(peer: AtPeer) -> Iterator[tuple[int, dict[int, int]]]:
    """Each chunk a peer asked for the first time, and what that neighbour offered: chunk -> neighbours that have it.

    The neighbours' bitfields and haves as they had reached the peer by then.
    """
    has = Counter[int]()
    held: dict[Endpoint, set[int]] = {}
    asked = set[int]()
    for each in peer.messages:
        if each.sender.host != peer.address:
            new = _told(each) - held.setdefault(each.sender, set())
            held[each.sender] |= new
            has.update(new)
        elif each.kind == "request" and each.piece not in asked:
            offered = held.get(each.receiver, set()) - asked
            if each.piece in offered:
                yield each.piece, {piece: has[piece] for piece in offered}
            asked.add(each.piece)


def _told(message: PeerMessage) -> set[int]:
    """The chunks a message says its sender has."""
    if message.kind == "have all":
        return set(range(FILE_BYTES // CHUNK_BYTES))
    if message.kind == "bitfield":
        return set(message.pieces)
    return {message.piece} if message.kind == "have" else set()


SCENARIO = Scenario(
    about="Copies per chunk while a swarm fills: rarest-first keeps them even, a sequential picker does not",
    topology="swarm",
    predict=predict,
    run=run,
    check=check,
    claims=("P7",),
    links=_LINES,
    capture=PEERS,
    roles=("peer", "tracker", "resolver"),
    indifferent={"times stretched": "both pickers' times are stretched alike, and they are compared with each other"},
)
