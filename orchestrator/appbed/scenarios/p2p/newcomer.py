"""A newcomer opens TCP connections to the peers that the tracker gave it, and to no others (claim P6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed.analysis.packets import Packet
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.p2p_parts import swarm
from appbed.scenarios.p2p_parts.swarm import HOSTS, KIB, PEERS, PORT
from appbed.verdict import Finding, Verdict, finding, judged

WANTED = 2
FILE_BYTES = 256 * KIB


def predict(conditions: Conditions) -> dict[str, Any]:
    """Each asks for two, and the tracker knows those who came before it: it gives what it has up to that."""
    return {
        "given_at_most": WANTED,
        "called_others": 0,
        "announces": {"started": len(HOSTS), "completed": len(PEERS), "stopped": len(HOSTS)},
    }


def run(lab: Lab, record: Recorder) -> None:
    swarm.settle(lab, HOSTS, f"PEERS_WANTED={WANTED}", "CONTENT=lines")
    given = swarm.torrent(lab, record, FILE_BYTES, "newcomer")
    for host in HOSTS:
        swarm.join(lab, given, [host])
    swarm.complete(lab, given, PEERS)
    swarm.conclude(lab, record, HOSTS)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = [swarm.whole_files(evidence), swarm.announced(evidence, expected["announces"])]
    for newcomer in PEERS:
        found += _newcomer(evidence, newcomer, expected)
    found += _called(evidence)
    return judged(found)


def given(evidence: Evidence, host: str, before_s: float = float("inf")) -> set[str]:
    """The addresses of others that the tracker had given a host by then, as its own interface saw the replies."""
    own = evidence.address(host)
    seen = evidence.capture.announces(f"host:{host}")
    replies = [each for each in seen if each.client.host == own and each.answered and each.end_s <= before_s]
    return {peer.host for each in replies for peer in each.peers} - {own}


def _calls(evidence: Evidence, host: str) -> list[Packet]:
    """SYNs to peers and from them, at a host's own interface."""
    seen = evidence.capture.packets(f"host:{host}")
    return [each for each in seen if each.tcp_flags == "S" and each.destination.port == PORT]


def _newcomer(evidence: Evidence, host: str, expected: dict[str, Any]) -> Iterator[Finding]:
    own = evidence.address(host)
    first = [each for each in evidence.capture.announces(f"host:{host}") if each.event == "started"]
    told = {peer.host for each in first[:1] for peer in each.peers} - {own}
    most = expected["given_at_most"]
    yield finding(f"{host}: peers the tracker gave it", f"1 to {most}", _names(evidence, told), 1 <= len(told) <= most)
    out = [each for each in _calls(evidence, host) if each.source.host == own]
    called = {each.destination.host for each in out}
    missed = _names(evidence, told - called)
    yield finding(
        f"{host}: of these, called", _names(evidence, told), _names(evidence, told & called), not told - called, missed
    )
    stray = [each for each in out if each.destination.host not in given(evidence, host, each.time_s)]
    shown = ", ".join(swarm.name(evidence, each.destination.host) for each in stray) or "0"
    yield finding(f"{host}: SYNs to others", expected["called_others"], shown, not stray)


def _called(evidence: Evidence) -> Iterator[Finding]:
    """Whoever is called was in the caller's list: incoming connections come from others' lists."""
    strays, calls = list[str](), 0
    for host in HOSTS:
        own = evidence.address(host)
        for each in _calls(evidence, host):
            if each.destination.host == own:
                calls += 1
                caller = swarm.name(evidence, each.source.host)
                if caller not in HOSTS or own not in given(evidence, caller):
                    strays.append(f"{caller} called {host}")
    yield finding("SYNs that arrived", "1 or more", calls, calls > 0)
    yield finding("of these, by peers that were not given the called one", 0, ", ".join(strays) or 0, not strays)


def _names(evidence: Evidence, addresses: set[str]) -> str:
    return ", ".join(sorted(swarm.name(evidence, address) for address in addresses)) or "nobody"


SCENARIO = Scenario(
    about="Who joins calls the peers of its list and no others; who is called is in the caller's list",
    topology="swarm",
    predict=predict,
    run=run,
    check=check,
    claims=("P6",),
    capture=HOSTS,
    roles=("peer", "tracker", "resolver"),
    indifferent={"times stretched": "who calls whom, and after which reply, is no length of time"},
)
