"""The tracker keeps the peers of a torrent and gives each newcomer a random subset of them (claim P5)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from appbed.analysis.tracker import TrackerAnnounce
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import ACCESS
from appbed.scenarios.p2p_parts import swarm
from appbed.scenarios.p2p_parts.swarm import HOSTS, KIB, PEERS
from appbed.verdict import Finding, Verdict, finding, judged

WANTED, NEWCOMERS = 2, 200
LEAVES = PEERS[-1]
FILE_BYTES = 256 * KIB
_SIGMAS = 3.9  # 99.99 %
_FIRST_PORT = 20_000
_SUBSETS = 3
"""Of two among five there are ten; three different ones among 200 replies is what no fixed or alternating answer gives."""


def predict(conditions: Conditions) -> dict[str, Any]:
    """Newcomers ask for two of five peers, and once one has said goodbye, of four: each is named as often as chance has it."""
    return {
        "named": WANTED,
        "subsets": _SUBSETS,
        "newcomers": NEWCOMERS,
        "share": {"before": 1 / len(HOSTS), "after": 1 / (len(HOSTS) - 1)},
        "announces": {"started": len(HOSTS), "completed": len(PEERS), "stopped": len(HOSTS)},
    }


def run(lab: Lab, record: Recorder) -> None:
    swarm.settle(lab, HOSTS, f"PEERS_WANTED={WANTED}", "CONTENT=lines")
    given = swarm.torrent(lab, record, FILE_BYTES, "tracker")
    swarm.join(lab, given, HOSTS)
    swarm.complete(lab, given, PEERS)
    _newcomers(lab, given, range(NEWCOMERS))
    swarm.leave(lab, [LEAVES])
    _newcomers(lab, given, range(NEWCOMERS, 2 * NEWCOMERS))
    swarm.conclude(lab, record, [host for host in HOSTS if host != LEAVES])


def _newcomers(lab: Lab, given: str, numbers: Sequence[int]) -> None:
    """Each announces itself and says goodbye before the next one comes, so that all find the same peers there.

    To the tracker another port is another peer; these only ask, so a client's curl does for all of them.
    """
    info_hash = json.loads(given)["info_hash"]
    swarm_id = "".join(f"%{info_hash[at : at + 2]}" for at in range(0, len(info_hash), 2))
    tracker = f"http://{lab.topology.host('tracker').address}:6969/announce?info_hash={swarm_id}"
    asked = [
        f"{tracker}&peer_id=-newcomer-{number:010}&port={_FIRST_PORT + number}&uploaded=0&downloaded=0&left=1"
        f"&compact=1&numwant={WANTED}&event={event}"
        for number in numbers
        for event in ("started", "stopped")
    ]
    config = "".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in asked)
    lab.exec(
        "client", "curl", "--silent", "--globoff", "--max-time", "10", "--config", "-", stdin=config, timeout_s=120
    )


# ---- judging


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    seen = evidence.capture.announces("host:tracker")
    found = [
        swarm.announced(evidence, expected["announces"], ["tracker"]),
        swarm.whole_files(evidence, PEERS[:-1]),
        *_real(evidence, seen, expected["named"]),
    ]
    client, left = evidence.address("client"), evidence.address(LEAVES)
    goodbye_s = min(
        (each.start_s for each in seen if each.client.host == left and each.event == "stopped"), default=0.0
    )
    asked = [each for each in seen if each.client.host == client]
    before = [each for each in asked if each.start_s < goodbye_s]
    after = [each for each in asked if each.start_s > goodbye_s]
    for when, here, known in (("before", before, HOSTS), ("after", after, HOSTS[:-1])):
        found += _asked(evidence, when, here, [evidence.address(host) for host in known], expected)
    return judged(found)


def _real(evidence: Evidence, seen: Sequence[TrackerAnnounce], most: int) -> Iterator[Finding]:
    """The swarm's own newcomers got no more than they asked for, and peers of this swarm only."""
    known = {evidence.address(host) for host in HOSTS}
    replies = [each for each in seen if each.client.host in known and each.event == "started"]
    named = [{peer.host for peer in each.peers} for each in replies]
    wrong = [each for each in named if len(each) > most or not each <= known]
    yield finding(
        "peers: named to each as it joined", f"at most {most}, of the swarm", f"{len(wrong)} others", not wrong
    )


def _asked(
    evidence: Evidence, when: str, asked: Sequence[TrackerAnnounce], known: list[str], expected: dict[str, Any]
) -> Iterator[Finding]:
    """What a series of newcomers was told, `before` a peer's goodbye or `after` it."""
    wanted = expected["newcomers"]
    for event in ("started", "stopped"):
        count = sum(each.event == event and each.answered and not each.failure for each in asked)
        yield finding(f"{when}: newcomers whose {event} was answered", wanted, count, count == wanted)
    lists = [each.peers for each in asked if each.event == "started"]
    full = sum(len(set(peers)) == expected["named"] for peers in lists)
    yield finding(f"{when}: replies that name {expected['named']}", wanted, full, full == wanted)
    others = [[peer.host for peer in peers if peer.host != evidence.address("client")] for peers in lists]
    subsets = {frozenset(hosts) for hosts in others if len(set(hosts)) == expected["named"]}
    yield finding(
        f"{when}: different subsets",
        f"{expected['subsets']} or more",
        len(subsets),
        len(subsets) >= expected["subsets"],
    )
    named = Counter(host for hosts in others for host in hosts)
    strays = sorted(swarm.name(evidence, host) for host in set(named) - set(known))
    yield finding(f"{when}: named, and not in the swarm", "nobody", ", ".join(strays) or "nobody", not strays)
    yield _even(evidence, when, named, known, expected["share"][when])


def _even(evidence: Evidence, when: str, named: Counter[str], known: list[str], share: float) -> Finding:
    """Each of the peers as often as the others, within what chance does. Two of a list are never the same one, which only
    narrows it."""
    total = sum(named.values())
    band = _SIGMAS * math.sqrt(total * share * (1 - share))
    least, most = math.ceil(total * share - band), math.floor(total * share + band)
    agrees = total > 0 and all(least <= named[host] <= most for host in known)
    shown = ", ".join(f"{swarm.name(evidence, host)} {named[host]}" for host in known)
    return finding(f"{when}: how often each was named", f"{least} to {most} each", shown, agrees)


SCENARIO = Scenario(
    about="The tracker tells newcomers random subsets of the peers, each peer as often as the others, and nobody who left",
    topology="swarm",
    predict=predict,
    run=run,
    check=check,
    claims=("P5",),
    links={ACCESS: {"delay": "0ms", "rate": "100mbit"}},
    capture=("tracker",),
    roles=("peer", "tracker", "client", "resolver"),
    indifferent={"times stretched": "whom the tracker names, before a goodbye and after it, is no length of time"},
)
