"""A swarm in a run: its settings, its torrent, who joins and leaves, and what the peers say of themselves at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.verdict import Finding, finding

SEED, PEERS = "seed", ("peer-1", "peer-2", "peer-3", "peer-4")
HOSTS = (SEED, *PEERS)
FIVE = (*PEERS, "peer-5")
HOME = {
    SEED: "homes-a",
    "peer-1": "homes-a",
    "peer-2": "homes-a",
    "peer-3": "homes-b",
    "peer-4": "homes-b",
    "peer-5": "homes-a",
}
TRACKER = "http://tracker.someschool.edu:6969/announce"
PORT, KIB = 6881, 1024
_DONE_S = 60


def link(host: str) -> str:
    """Its line to its ISP."""
    return f"{host}@{HOME[host]}"


SOURCE, UPLOAD, DOWNLOAD = "10mbit", "1mbit", "20mbit"
"""The textbook's proportions: one source with u_s = 10u, and d_min above u_s."""
SOURCE_LINE: Mapping[str, Any] = {"up": {"rate": SOURCE, "queue": "300ms"}}
PEERS_LINE: Mapping[str, Any] = {"up": {"rate": UPLOAD, "queue": "100ms"}, "down": {"rate": DOWNLOAD}}
"""A short queue: what a peer asks for and acknowledges waits behind what it uploads."""
LINES = {link(SEED): SOURCE_LINE, **{link(peer): PEERS_LINE for peer in FIVE}}


def settle(lab: Lab, hosts: Sequence[str], *assigned: str) -> None:
    """Other settings (images/peer) until the next reset; they are as after a reset otherwise."""
    _each(lab, hosts, "/appbed/set", *assigned)


def torrent(lab: Lab, record: Recorder, size_bytes: int, name: str) -> str:
    """Made by the seed, which nobody hears of yet, and served by the tracker from now on."""
    said = lab.exec(SEED, "/appbed/make", str(size_bytes), name, TRACKER).stdout
    made = json.loads(said)
    lab.exec("tracker", "/appbed/allow", made["info_hash"])
    record.event("torrent", **{key: made[key] for key in ("info_hash", "sha256", "size", "piece_size", "pieces")})
    return said


def join(lab: Lab, given: str, hosts: Sequence[str]) -> None:
    """All at one moment; returns when each was heard by the tracker."""
    _each(lab, hosts, "/appbed/join", stdin=given)
    lab.until(lambda: all(status(lab, host)["tracker"] == "ok" for host in hosts), "the tracker heard all", _DONE_S)


def leave(lab: Lab, hosts: Sequence[str]) -> None:
    """One after the other, each with a goodbye to the tracker."""
    for host in hosts:
        lab.exec(host, "/appbed/leave")


def status(lab: Lab, host: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(lab.exec(host, "/appbed/status").stdout)
    return said


def have(lab: Lab, *peers: str) -> set[int]:
    """The chunks some peers have between them, as they wrote down themselves."""
    lines = [line for peer in peers for line in lab.exec(peer, "cat", "/appbed/out/events.jsonl").stdout.splitlines()]
    return {event["piece"] for event in map(json.loads, lines) if event["event"] == "piece"}


def complete(lab: Lab, given: str, peers: Sequence[str]) -> None:
    """Waits until all have the whole file and know its SHA-256, each by itself, which costs no processor time; and until all
    have told the tracker, which a goodbye would forestall."""
    _each(lab, peers, "/appbed/wait", str(_DONE_S))
    info_hash = json.loads(given)["info_hash"]

    def told() -> bool:
        known = json.loads(lab.exec("tracker", "/appbed/peers").stdout)
        return any(each["info_hash"] == info_hash and each["downloaded"] >= len(peers) for each in known)

    lab.until(told, f"the tracker heard that {len(peers)} peers are complete", _DONE_S)


def conclude(lab: Lab, record: Recorder, hosts: Sequence[str]) -> None:
    """What each says of itself, kept; then all leave."""
    record.event("peers", status={host: status(lab, host) for host in hosts})
    leave(lab, hosts)


def _each(lab: Lab, hosts: Sequence[str], *argv: str, stdin: str = "") -> None:
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(lambda host: lab.exec(host, *argv, stdin=stdin, timeout_s=_DONE_S + 10), hosts))


# ---- judging


def whole_files(evidence: Evidence, peers: Sequence[str] = PEERS, at: int = 0) -> Finding:
    """Each peer's file is the seed's; `at` counts the swarms of a run."""
    wanted = evidence.of("torrent")[at].data["sha256"]
    said = evidence.of("peers")[at].data["status"]
    same = [peer for peer in peers if said[peer]["sha256"] == wanted]
    return finding("files equal to the seed's (SHA-256)", len(peers), len(same), len(same) == len(peers))


def announced(evidence: Evidence, expected: Mapping[str, int], points: Sequence[str] = HOSTS) -> Finding:
    """What the hosts told the tracker, each at its own interface or all at the tracker's, and that each was answered."""
    tracker, hosts = evidence.address("tracker"), {evidence.address(host) for host in HOME}
    seen = [
        each
        for point in points
        for each in evidence.capture.announces(f"host:{point}")
        if each.client.host in hosts and evidence.address(point) in (each.client.host, tracker)
        if each.server.host == tracker
    ]
    counts = {
        what: sum(each.event == what and each.answered and not each.failure for each in seen) for what in expected
    }
    unanswered = [each.failure or "no answer" for each in seen if each.failure or not each.answered]
    agrees = counts == expected and not unanswered
    return finding("announces the tracker answered", _listed(expected), _listed(counts), agrees, "; ".join(unanswered))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def name(evidence: Evidence, address: str) -> str:
    """The host of an address, for people."""
    hosts = evidence.conditions["hosts"]
    return next((host for host, addresses in hosts.items() if address in addresses), address)
