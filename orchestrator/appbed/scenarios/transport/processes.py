"""Who starts a session is its client, who waits is its server; both are addressed by host and port; a peer is both (claim A1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed.analysis import PeerSession
from appbed.evidence import Evidence
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.transport_parts import conversations
from appbed.scenarios.transport_parts.conversations import OPENINGS, TRACKED, Opening
from appbed.scenarios.web_parts.digests import same_bytes
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding, Verdict, finding, judged

# Who has the file, and who gets it from there.
TRANSFERS = (("seed", "peer-1"), ("peer-1", "peer-2"))


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "ports": {what: opening.port for what, opening in OPENINGS.items()},
        "dns_port": 53,
        "tracker_port": TRACKED.port,
        "transfers": [f"{client} asks, {server} serves" for server, client in TRANSFERS],
    }


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = [_datagram(evidence, expected["dns_port"])]
    for what, port in expected["ports"].items():
        found += _opened(evidence, what, OPENINGS[what], port, once=True)
    found += _opened(evidence, "tracker", TRACKED, expected["tracker_port"], once=False)
    pictures = [each for each in evidence.capture.http("host:client") if each.request.path == conversations.PICTURE]
    found.append(same_bytes("picture equal to the origin's", evidence, pictures))
    found += _peers(evidence, expected["transfers"])
    found.append(_handed_on(evidence))
    return judged(found)


def _datagram(evidence: Evidence, port: int) -> Finding:
    """The first datagram of the first conversation about the site's name."""
    about = [
        each for each in evidence.capture.dns_messages("host:client") if each.question and each.question.name == SITE
    ]
    wanted = f"client asks dns at port {port}"
    first = about[0] if about else None
    ends = (evidence.address("client"), (evidence.address("dns"), port))
    agrees = first is not None and not first.is_response and (first.source.host, first.destination) == ends
    return finding(
        "DNS: first datagram", wanted, wanted if agrees else f"{first and (first.source, first.destination)}", agrees
    )


def _opened(evidence: Evidence, what: str, opening: Opening, port: int, *, once: bool) -> Iterator[Finding]:
    """The first SYN of every connection went from the client to the port at which the server waits."""
    seen = conversations.opened(evidence, opening)
    client, servers = evidence.address(opening.client), {evidence.address(server) for server in opening.servers}
    right = [
        each
        for each in seen
        if each.syn_s is not None
        and each.client.host == client
        and each.server.host in servers
        and each.server.port == port
    ]
    wanted = f"{opening.client} opens, port {port}"
    agrees = bool(seen) and len(right) == len(seen)
    yield finding(what, wanted, wanted if agrees else f"{len(right)} of {len(seen)} so", agrees)
    if once:
        yield finding(f"{what}: connections", 1, len(seen), len(seen) == 1)
    sockets = {each.client for each in seen}
    yield finding(f"{what}: clients' sockets", len(seen), len(sockets), len(sockets) == len(seen))


def _peers(evidence: Evidence, expected: list[str]) -> Iterator[Finding]:
    """In each transfer one peer asks for blocks and the other sends them; the peer in the middle does both, one after the other."""
    for (server, client), wanted in zip(TRANSFERS, expected, strict=True):
        ends = {evidence.address(server), evidence.address(client)}
        between = [
            each for each in evidence.capture.bittorrent("host:peer-1") if {each.client.host, each.server.host} == ends
        ]
        asked, served = _who(between, "request"), _who(between, "piece")
        agrees = asked == {evidence.address(client)} and served == {evidence.address(server)}
        yield finding(
            f"peers: {server} and {client}", wanted, wanted if agrees else f"{asked} ask, {served} serve", agrees
        )
        blocks = sum(message.length for each in between for message in each.of("piece"))
        whole = conversations.FILE_BYTES
        yield finding(f"peers: bytes from {server} to {client}", whole, blocks, blocks == whole)


def _who(sessions: list[PeerSession], kind: str) -> set[str]:
    return {message.sender.host for each in sessions for message in each.of(kind)}


def _handed_on(evidence: Evidence) -> Finding:
    said = evidence.of("handed on")[0].data
    equal = said["made_sha256"] == said["got_sha256"]
    return finding("peers: the last one's file", "equal (SHA-256)", "equal (SHA-256)" if equal else "different", equal)


SCENARIO = Scenario(
    about="Clients open, servers wait at their ports; in a swarm one peer is both",
    topology="internet",
    predict=predict,
    run=conversations.run,
    check=check,
    claims=("A1",),
    capture=conversations.POINTS,
    roles=conversations.ROLES,
    indifferent={"times stretched": "who opens a conversation with whom is no time"},
)
