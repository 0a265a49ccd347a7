"""Peers come and go: the seed leaves after one full copy is out, a peer is killed, another comes late; all finish (claim P8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from appbed.analysis.bittorrent import PeerMessage
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.p2p_parts import chunks, swarm
from appbed.scenarios.p2p_parts.chunks import AtPeer
from appbed.scenarios.p2p_parts.swarm import HOSTS, KIB, PEERS, SEED
from appbed.verdict import Finding, Verdict, finding, judged

FILE_BYTES, CHUNK_BYTES = 1024 * KIB, 32 * KIB
STAY, FALLS, LATE = ("peer-1", "peer-3"), "peer-2", "peer-4"
_SEEN = (SEED, *STAY, LATE)
"""Who is captured: the interface of one that is killed goes with it."""
_OUT_S = 60.0


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "peers": len(PEERS),
        "chunk_bytes": chunks.sizes(FILE_BYTES, CHUNK_BYTES),
        "announces": {"started": len(HOSTS) + 1, "completed": len(PEERS), "stopped": len(HOSTS)},
    }


def run(lab: Lab, record: Recorder) -> None:
    swarm.settle(lab, HOSTS, f"PIECE_SIZE={CHUNK_BYTES}", "CONTENT=lines")
    given = swarm.torrent(lab, record, FILE_BYTES, "churn")
    swarm.join(lab, given, [*STAY, FALLS])
    swarm.join(lab, given, [SEED])
    lab.until(lambda: bool(swarm.have(lab, FALLS)), f"{FALLS} has something to lose", _OUT_S)
    with lab.faults.kill(FALLS):  # its disk is memory: it comes back with nothing
        lab.until(lambda: len(swarm.have(lab, *STAY)) == FILE_BYTES // CHUNK_BYTES, "one full copy is out", _OUT_S)
        swarm.leave(lab, [SEED])
    swarm.join(lab, given, [LATE, FALLS])  # neither ever meets the seed again
    swarm.complete(lab, given, PEERS)
    swarm.conclude(lab, record, PEERS)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    info_hash = evidence.of("torrent")[0].data["info_hash"]
    at = {host: AtPeer(evidence, host, info_hash) for host in _SEEN}
    found = [swarm.whole_files(evidence), swarm.announced(evidence, expected["announces"], ["tracker"])]
    found += _seed(evidence, at, expected)
    found += _killed(evidence, at, expected)
    found += _late(evidence, at, expected)
    return judged(found)


def _goodbye_s(evidence: Evidence) -> float:
    seen = evidence.capture.announces(f"host:{SEED}")
    return min((each.start_s for each in seen if each.event == "stopped"), default=0.0)


def _seed(evidence: Evidence, at: dict[str, AtPeer], expected: dict[str, Any]) -> Iterator[Finding]:
    """When the seed said goodbye those who stayed had one whole copy between them; the late one never met it."""
    goodbye_s, sizes = _goodbye_s(evidence), expected["chunk_bytes"]
    held = {piece for peer in STAY for piece, when_s in at[peer].whole_s(sizes).items() if when_s <= goodbye_s}
    yield finding("chunks out when the seed said goodbye", len(sizes), len(held), len(held) == len(sizes))
    met = {swarm.name(evidence, each.receiver.host) for each in at[SEED].sent}
    yield finding(
        "who got blocks of the seed", "not " + LATE, ", ".join(sorted(met)) or "nobody", bool(met) and LATE not in met
    )


def _killed(evidence: Evidence, at: dict[str, AtPeer], expected: dict[str, Any]) -> Iterator[Finding]:
    """As those who sent to it saw it: it had blocks before, and was sent all chunks anew after the seed had gone."""
    goodbye_s, count, own = _goodbye_s(evidence), len(expected["chunk_bytes"]), evidence.address(FALLS)
    sent = [each for peer in at.values() for each in peer.sent if each.receiver.host == own]
    lost = sum(each.end_s < goodbye_s for each in sent)
    yield finding(f"{FALLS}: blocks sent to it, and lost", "1 or more", lost, lost > 0)
    yield from _afterwards(evidence, FALLS, [each for each in sent if each.start_s > goodbye_s], count)


def _late(evidence: Evidence, at: dict[str, AtPeer], expected: dict[str, Any]) -> Iterator[Finding]:
    """Who came late got everything from peers."""
    came = at[LATE].received
    yield from _afterwards(evidence, LATE, came, len(expected["chunk_bytes"]))
    early = sum(each.start_s <= _goodbye_s(evidence) for each in came)
    yield finding(f"{LATE}: blocks received while the seed was there", 0, early, not early)


def _afterwards(evidence: Evidence, host: str, blocks: Sequence[PeerMessage], count: int) -> Iterator[Finding]:
    """All chunks, and from whom."""
    got = len({each.piece for each in blocks})
    yield finding(f"{host}: chunks it got without the seed", count, got, got == count)
    senders = {each.sender.host for each in blocks}
    others = {evidence.address(other) for other in PEERS if other != host}
    shown = ", ".join(sorted(swarm.name(evidence, sender) for sender in senders)) or "nobody"
    yield finding(f"{host}: got them from", "other peers", shown, bool(senders) and senders <= others)


SCENARIO = Scenario(
    about="The seed leaves with one copy out, a peer is killed and starts anew, another comes late: all end with the whole file",
    topology="swarm",
    predict=predict,
    run=run,
    check=check,
    claims=("P8",),
    links={swarm.link(SEED): {"up": {"rate": "4mbit"}}},
    capture=(*_SEEN, "tracker"),
    roles=("peer", "tracker", "resolver"),
    indifferent={"times stretched": "who has what when somebody leaves is an order, and no length of time"},
)
