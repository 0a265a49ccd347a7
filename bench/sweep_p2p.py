"""The chapter's curve: how long until the last of N has a file, from one server and in a swarm, beside both bounds.

    python bench/sweep_p2p.py [N...]        1 2 5 10 20 30 by default

The textbook's proportions, u_s = 10u and d_min above u_s, as the scenario p2p.scaling has them. What bench/out/p2p.jsonl has is not
measured again, so an interrupted sweep goes on where it was; remove the file to begin anew. Writes bench/out/p2p.json and the figure
docs/figures/p2p.svg. A lab whose links were not as set, or whose processors were too busy, is INCONCLUSIVE and no bar is met.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from appbed import places, swarms, units, verify
from appbed.engine.docker import DockerEngine
from appbed.fidelity import Measured
from appbed.lab import Lab
from appbed.report import curves, plots
from appbed.scenarios.p2p import scaling
from appbed.scenarios.p2p_parts import fetching, swarm
from appbed.scenarios.p2p_parts.bounds import bounds
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import BUSY, Finding, Outcome

SIZES = (1, 2, 5, 10, 20, 30)
HERE = Path(__file__).parent
KEPT, FIGURES, FIGURE = (
    HERE / "out" / "p2p.jsonl",
    HERE / "out" / "p2p.json",
    HERE.parent / "docs" / "figures" / "p2p.svg",
)
BARS = {"client_server": 1.10, "peer_to_peer": 1.25}
_NAMES = {"client_server": "client-server", "peer_to_peer": "P2P"}
_PATIENCE_S = 600
_COMING_AND_GOING_S, _EACH_PEER_S = 40.0, 3.0


@dataclass(frozen=True)
class Measurement:
    """One lab of one size. `busy` are shares of the processors, `unsound` is what was wrong with a link."""

    peers: int
    up_s: float
    client_server_s: float
    peer_to_peer_s: float
    busy: dict[str, float]
    equal_files: int
    unsound: str
    bounds: dict[str, float]

    def over(self, which: str) -> float:
        return float(getattr(self, f"{which}_s")) / self.bounds[f"{which}_s"]

    def outcome(self, which: str) -> Outcome:
        if self.unsound or self.busy[which] > BUSY:
            return Outcome.INCONCLUSIVE
        return Outcome.PASSED if self.over(which) <= BARS[which] and self.equal_files == self.peers else Outcome.FAILED


def main(sizes: Sequence[int]) -> None:
    KEPT.parent.mkdir(exist_ok=True)
    done = kept()
    left = [peers for peers in sizes if peers not in done]
    for number, peers in enumerate(left):
        minutes = sum(_estimate_s(each) for each in left[number:]) / 60
        print(
            f"N = {peers}: measuring, {number + 1} of {len(left)}; about {minutes:.0f} minutes left in all", flush=True
        )
        done[peers] = measured(peers)
        with KEPT.open("a") as out:
            out.write(json.dumps(asdict(done[peers])) + "\n")
        print(json.dumps(asdict(done[peers])), flush=True)
    written([done[peers] for peers in sorted(done)])


def kept() -> dict[int, Measurement]:
    """What was measured before, under the bounds that hold now."""
    lines = map(json.loads, KEPT.read_text().splitlines()) if KEPT.exists() else ()
    return {line["peers"]: Measurement(**line) for line in lines if line["bounds"] == _bounds(line["peers"])}


def _bounds(peers: int) -> dict[str, float]:
    upload, source, download = (units.rate_bit(rate) for rate in (swarm.UPLOAD, swarm.SOURCE, swarm.DOWNLOAD))
    found = bounds(scaling.FILE_BYTES, source, [upload] * peers, download)
    return {name: round(value, 4) for name, value in found.items()}


def _estimate_s(peers: int) -> float:
    """Coming up, measuring links twice, both architectures a little above their bounds, going down."""
    known = _bounds(peers)
    return _COMING_AND_GOING_S + _EACH_PEER_S * peers + 1.15 * (known["client_server_s"] + known["peer_to_peer_s"])


# ---- one lab


def measured(peers: int) -> Measurement:
    """The file from the server to all, then among them; links measured before and after."""
    began = time.monotonic()
    with standing(peers) as lab:
        up_s = time.monotonic() - began
        names = [f"peer-{number}" for number in range(1, peers + 1)]
        before = verify.quick(lab)
        server_s, server_busy = watched(lab, lambda: served(lab, names))
        (swarm_s, equal), swarm_busy = watched(
            lab, lambda: swarmed(lab, names, scaling.SEED_SETTINGS, scaling.SETTINGS)
        )
        unsound = wrong(before) or wrong(verify.quick(lab))
    busy = {"client_server": server_busy, "peer_to_peer": swarm_busy}
    return Measurement(
        peers, round(up_s, 1), round(server_s, 3), round(swarm_s, 3), busy, equal, unsound, _bounds(peers)
    )


@contextmanager
def standing(peers: int) -> Iterator[Lab]:
    """A lab with so many peers, links as the scenario has them."""
    role = places.root() / "images" / "peer" / "service.yaml"
    homes, source = swarms.Rates(swarm.UPLOAD, swarm.DOWNLOAD), swarms.Rates(swarm.SOURCE, swarm.SOURCE)
    with tempfile.TemporaryDirectory() as folder, DockerEngine() as engine:
        file = Path(folder) / "peers.yaml"
        file.write_text(yaml.safe_dump(swarms.override(peers, [homes], source, role)))
        name = f"sweep-p2p-{os.getpid()}"
        with Lab.up(places.topology_file("swarm"), engine, name=name, overrides=[file], timeout_s=240) as lab:
            at = {f"peer-{number}": swarm.PEERS_LINE for number in range(1, peers + 1)}
            lab.change_links({str(lab.topology.attachment(host)): block for host, block in at.items()})
            lab.change_links({fetching.LINK: swarm.SOURCE_LINE, swarm.link(swarm.SEED): swarm.SOURCE_LINE})
            lab.agent.ask("introduce")
            yield lab


def wrong(measured: Measured) -> str:
    """The first link that was not as set, "" if all were."""
    for one in measured.checked:
        if one.outcome is Outcome.FAILED:
            return f"{one.attachment} {one.direction} was not as set"
    return next((f"{at}: {why}" for at, why in measured.absent.items()), "")


def watched(lab: Lab, act: Any) -> tuple[Any, float]:
    """What came of it, and the share of the processors that was busy meanwhile."""
    lab.calm()
    before = lab.agent.ask("status")["processor"]
    result = act()
    after = lab.agent.ask("status")["processor"]
    return result, round((after["busy"] - before["busy"]) / max(1, after["all"] - before["all"]), 3)


def served(lab: Lab, names: Sequence[str]) -> float:
    """From the first one's request to the last one's last byte, by the clients' own clocks, which are one."""
    there = str(lab.topology.host(fetching.SERVER).address)
    told = each(lab, names, "/appbed/fetch", f"http://{SITE}{scaling.PATH}", there)
    fetched = [json.loads(one) for one in told]
    return float(max(one["began"] + one["seconds"] for one in fetched) - min(one["began"] for one in fetched))


def swarmed(lab: Lab, names: Sequence[str], seed_settings: Iterable[str], settings: Iterable[str]) -> tuple[float, int]:
    """From the moment the seed joins those who wait for it until the last one is complete; how many files are equal."""
    each(lab, [swarm.SEED], "/appbed/set", *seed_settings, "TRADES=off", "PEERS_WANTED=200")
    each(lab, names, "/appbed/set", *settings, "TRADES=off", "PEERS_WANTED=200")
    torrent = lab.exec(swarm.SEED, "/appbed/make", str(scaling.FILE_BYTES), "sweep", swarm.TRACKER).stdout
    made = json.loads(torrent)
    lab.exec("tracker", "/appbed/allow", made["info_hash"])
    each(lab, names, "/appbed/join", stdin=torrent)
    lab.until(lambda: all(swarm.status(lab, name)["tracker"] == "ok" for name in names), "the tracker heard all")
    lab.exec(swarm.SEED, "/appbed/join", stdin=torrent)
    whole = [json.loads(one) for one in each(lab, names, "/appbed/wait", str(_PATIENCE_S))]
    joined_s = _when(lab, swarm.SEED, "joined")
    last_s = max(_when(lab, name, "complete") for name in names)
    return last_s - joined_s, sum(one["sha256"] == made["sha256"] for one in whole)


def _when(lab: Lab, host: str, event: str) -> float:
    lines = map(json.loads, lab.exec(host, "cat", "/appbed/out/events.jsonl").stdout.splitlines())
    return next(float(line["t"]) for line in lines if line["event"] == event)


def each(lab: Lab, hosts: Iterable[str], *argv: str, stdin: str = "") -> list[str]:
    """The same command in all hosts at once, and what each printed."""
    names = list(hosts)
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda host: lab.exec(host, *argv, stdin=stdin, timeout_s=_PATIENCE_S + 30).stdout, names))


# ---- what is written


def written(lines: Sequence[Measurement]) -> None:
    """The figures with their bars, and both curves with both bounds in one plot."""
    figures = [figure for line in lines for which in BARS for figure in _figures(line, which)]
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    findings = [_finding(line, which) for which in BARS for line in lines]
    FIGURE.parent.mkdir(exist_ok=True)
    for plot in curves.plots(findings):
        FIGURE.write_text(plots.svg(plot, "p2p") + "\n")
    for figure in figures:
        print(
            f"{figure['figure']:<45} {figure['value']:>8} bar {figure['bar']}  {'met' if figure['met'] else 'NOT MET'}"
        )


def _figures(line: Measurement, which: str) -> Iterator[Mapping[str, Any]]:
    name, met = f"N = {line.peers}, {_NAMES[which]}", line.outcome(which) is Outcome.PASSED
    over = round(line.over(which), 3)
    yield {"figure": f"{name}: measured / bound", "unit": "1", "value": over, "bar": BARS[which], "met": met}
    busy = line.busy[which]
    yield {"figure": f"{name}: processors busy", "unit": "1", "value": busy, "bar": BUSY, "met": busy <= BUSY}


def _finding(line: Measurement, which: str) -> Finding:
    bound_s, seen_s = line.bounds[f"{which}_s"], float(getattr(line, f"{which}_s"))
    what, allowed = f"N = {line.peers}, {_NAMES[which]}: last one finished", (bound_s, BARS[which] * bound_s)
    return Finding(what, f"{bound_s:.2f} s", f"{seen_s:.2f} s", line.outcome(which), "", bound_s, seen_s, allowed)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or SIZES)
