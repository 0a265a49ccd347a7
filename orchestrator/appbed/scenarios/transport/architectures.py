"""Who serves: one server all of it, peers each other, and beside peers a server that only knows who they are (claim A7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.transport_parts import transfers
from appbed.scenarios.web_parts.digests import same_bytes
from appbed.verdict import Finding, Verdict, finding, judged

CLIENTS = ("client", "client-2")
SEED, PEERS = "seed", ("peer-1", "peer-2", "peer-3", "peer-4")
FILE_BYTES, TRACKER = 4 * transfers.MIB, "http://tracker.someschool.edu:6969/announce"
_REDUNDANT = 0.1
"""Share of blocks that may come twice: the last ones are asked for at several peers."""
_DIRECTORY = 0.005
"""Of the file, for all answers of the tracker: some hundred bytes for each of a few announces a peer makes."""
_REQUESTS = 0.001
"""Of the file, for what a client sends to its server: one request."""
_DONE_S = 90.0


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "server_bytes": len(CLIENTS) * transfers.MIB,
        "client_bytes_most": round(_REQUESTS * transfers.MIB),
        "peers_bytes": len(PEERS) * FILE_BYTES,
        "peers_serving": len(PEERS),
        "known_to_tracker": len(PEERS) + 1,
        "tracker_bytes_most": round(_DIRECTORY * FILE_BYTES),
    }


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=transfers.digest(lab))
    record.step("client and server")
    for client in CLIENTS:
        transfers.fetch(lab, client)
    record.step("peers and tracker")
    torrent = lab.exec(SEED, "/appbed/make", str(FILE_BYTES), "architectures", TRACKER).stdout
    made = json.loads(torrent)
    lab.exec("tracker", "/appbed/allow", made["info_hash"])
    for host in (SEED, *PEERS):
        lab.exec(host, "/appbed/join", stdin=torrent)
    lab.until(lambda: all(_status(lab, peer)["state"] == "complete" for peer in PEERS), "all peers complete", _DONE_S)
    status = {host: _status(lab, host) for host in (SEED, *PEERS)}
    record.event("served", sha256=made["sha256"], status=status)


def _status(lab: Lab, host: str) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(lab.exec(host, "/appbed/status").stdout)
    return status


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    return judged([*_server(evidence, expected), *_peers(evidence, expected), *_directory(evidence, expected)])


def _server(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """Bodies as they left the server, and what its clients sent."""
    server = evidence.address(transfers.SERVER)
    seen = [
        each
        for each in evidence.capture.http(f"host:{transfers.SERVER}")
        if each.server.host == server and each.request.path == transfers.PATH
    ]
    sent = sum(each.response.body_bytes for each in seen if each.response)
    wanted = expected["server_bytes"]
    yield finding("client-server: bytes the server sent", wanted, sent, sent == wanted)
    for client in CLIENTS:
        here = evidence.address(client)
        got = [each for each in evidence.capture.http(f"host:{client}") if each.client.host == here]
        yield same_bytes(f"client-server: {client}'s file is the origin's", evidence, got)
        asked = _payload(evidence, client)
        most = expected["client_bytes_most"]
        yield finding(f"client-server: bytes {client} sent", f"1 to {most}", asked, 0 < asked <= most)


def _payload(evidence: Evidence, host: str) -> int:
    """Bytes of TCP payload that left a host."""
    own = evidence.address(host)
    packets = evidence.capture.packets(f"host:{host}")
    return sum(each.payload_bytes for each in packets if each.protocol == "tcp" and each.source.host == own)


def _peers(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """By the peers' own counters of payload."""
    served = evidence.of("served")[0].data
    up = {host: int(served["status"][host]["up_bytes"]) for host in (SEED, *PEERS)}
    equal = [peer for peer in PEERS if served["status"][peer]["sha256"] == served["sha256"]]
    yield finding("P2P: files equal to the seed's (SHA-256)", len(PEERS), len(equal), len(equal) == len(PEERS))
    serving = [peer for peer in PEERS if up[peer] > 0]
    yield finding("P2P: peers that served", expected["peers_serving"], len(serving), len(serving) == len(PEERS))
    total, least = sum(up.values()), expected["peers_bytes"]
    most = round((1 + _REDUNDANT) * least)
    yield finding("P2P: bytes all sent", f"{least} to {most}", total, least <= total <= most)
    yield finding("P2P: bytes the seed sent", f"less than {least}", up[SEED], 0 < up[SEED] < least)


def _directory(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """The tracker told everybody of others, and sent nothing of the file."""
    announces = [each for each in evidence.capture.announces("host:tracker") if each.answered and not each.failure]
    newcomers = {each.client.host for each in announces if each.event == "started"}
    known = newcomers & {evidence.address(host) for host in (SEED, *PEERS)}
    wanted = expected["known_to_tracker"]
    yield finding("hybrid: newcomers told by the tracker", wanted, len(known), len(known) == wanted)
    asked = {each.server.host for each in announces}
    there = evidence.address("tracker")
    yield finding("hybrid: who is asked", "tracker", "tracker" if asked == {there} else asked, asked == {there})
    sent, most = _payload(evidence, "tracker"), expected["tracker_bytes_most"]
    yield finding("hybrid: bytes the tracker sent", f"1 to {most}", sent, 0 < sent <= most)


SCENARIO = Scenario(
    about="A server sends all of it to everybody; peers send to each other; a tracker only tells who they are",
    topology="internet",
    predict=predict,
    run=run,
    check=check,
    claims=("A7",),
    capture=(*CLIENTS, transfers.SERVER, "tracker"),
    roles=("client", "web", "tracker", "peer"),
    indifferent={"times stretched": "who sends how much is no time"},
)
