"""The tour of peer-to-peer (2.5): four peers fetch 16 MB from one seed, found through the tracker, and upload while they download."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from appbed import impairment, models
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.verdict import Finding, finding

SEED, PEERS = "seed", ("peer-1", "peer-2", "peer-3", "peer-4")
SIZE, TRACKER = 16 * 1024 * 1024, "http://tracker.someschool.edu:6969/announce"
_DONE_S = 120.0
_MOST_OVER_BOUND = 2.0


def predict(conditions: Mapping[str, Any]) -> dict[str, Any]:
    links = {host: _link(conditions, host) for host in (SEED, *PEERS)}
    uploads = [links[peer].up.rate_bit or 0.0 for peer in PEERS]
    downloads = [links[peer].down.rate_bit or 0.0 for peer in PEERS]
    seed = links[SEED].up.rate_bit or 0.0
    return {
        "complete": len(PEERS),
        "uploading": len(PEERS),
        "least_s": models.peer_to_peer_s(8 * SIZE, seed, uploads, min(downloads)),
        "client_server_s": models.client_server_s(8 * SIZE, len(PEERS), seed, min(downloads)),
    }


def _link(conditions: Mapping[str, Any], host: str) -> impairment.Link:
    settings = next(settings for name, settings in conditions["links"].items() if name.startswith(f"{host}@"))
    return impairment.resolve(host, settings)


def run(lab: Lab, record: Recorder) -> None:
    record.step("swarm", size_bytes=SIZE)
    torrent = lab.exec(SEED, "/appbed/make", str(SIZE), "tour", TRACKER).stdout
    made = json.loads(torrent)
    lab.exec("tracker", "/appbed/allow", made["info_hash"])
    file = record.folder / "swarm.pcapng"
    with lab.capture(file, SEED, *PEERS, snaplen=66):
        for host in (SEED, *PEERS):
            lab.exec(host, "/appbed/join", stdin=torrent)
        lab.until(
            lambda: all(_status(lab, peer)["state"] == "complete" for peer in PEERS), "four peers are complete", _DONE_S
        )
    record.event("torrent", sha256=made["sha256"], status={peer: _status(lab, peer) for peer in PEERS})


def _status(lab: Lab, peer: str) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(lab.exec(peer, "/appbed/status").stdout)
    return status


# ---- judging


def check(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    torrent = evidence.of("torrent")[0].data
    status = torrent["status"]
    equal = [peer for peer in PEERS if status[peer]["sha256"] == torrent["sha256"]]
    yield finding(
        "swarm: files equal to the seed's (SHA-256)",
        expected["complete"],
        len(equal),
        len(equal) == expected["complete"],
    )
    served = _served(evidence)
    uploading = [peer for peer in PEERS if served[evidence.address(peer)] > SIZE // 50]
    yield finding(
        "swarm: peers that uploaded too", expected["uploading"], len(uploading), len(uploading) == expected["uploading"]
    )
    last_s = _last_finished(evidence)
    least, most = expected["least_s"], _MOST_OVER_BOUND * expected["least_s"]
    yield finding(
        "swarm: last one finished", f"{least:.1f} to {most:.1f} s", f"{last_s:.1f} s", least <= last_s <= most
    )
    share = served[evidence.address(SEED)] / (len(PEERS) * SIZE)
    yield finding("swarm: served by the seed", "less than half", f"{share:.0%}", 0 < share < 0.5)


def _served(evidence: Evidence) -> dict[str, int]:
    """Bytes of TCP payload each host sent, as its own interface saw them leave."""
    capture = evidence.other("swarm.pcapng")
    sent = dict.fromkeys((evidence.address(host) for host in (SEED, *PEERS)), 0)
    for host in (SEED, *PEERS):
        address = evidence.address(host)
        for packet in capture.packets(point=f"host:{host}"):
            if packet.source.host == address and packet.protocol == "tcp":
                sent[address] += packet.payload_bytes
    return sent


def _last_finished(evidence: Evidence) -> float:
    """From the first data segment of the swarm to the last one that reached a peer, seconds."""
    capture = evidence.other("swarm.pcapng")
    times = [
        packet.time_s for peer in PEERS for packet in capture.packets(point=f"host:{peer}")
        if packet.protocol == "tcp" and packet.payload_bytes > 1000 and packet.destination.host == evidence.address(peer)
    ]  # fmt: skip
    return max(times) - min(times) if times else 0.0
