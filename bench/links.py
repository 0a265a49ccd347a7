"""What a cable does, against what was set: the figures of fidelity of each back-end in one table.

    python -m bench.links [--backend relay|netem] [--out FILE] [--beside FILE] [--rows rtt,loss,...] [--short]

As root, from the repository's folder; no engine. `--beside` puts another back-end's file into the same table: where the kernel has
no netem, `make bench-links` lets it be measured in user-mode Linux. Half of a round trip's delay is set `up` and half `down`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import wire as traffic
from bench.wire import Packets
from tests.agent.wires import Wire

from appbed import units
from appbed.agent import netem
from appbed.impairment import CLEAN, Burst, Impairment, Link

ATTACHMENTS = 60  # more than `internet` has
FULL, SEGMENT = 1514, 1448
OUTLIERS = 1e-4
"""Outside its band falls a faithful link once in ten thousand times."""


@dataclass(frozen=True)
class Figure:
    """A line of the table; `bar` is None for what is measured and not judged."""

    figure: str
    unit: str
    value: float
    bar: str | None = None
    met: bool | None = None


@dataclass(frozen=True)
class Bench:
    wire: Wire
    short: bool

    @property
    def relay(self) -> bool:
        return self.wire.cables.kind == "relay"

    def set(self, up: Impairment, down: Impairment) -> None:
        self.wire.near.set(up, down)

    def size(self, full: int, short: int) -> int:
        return short if self.short else full


# ---- rows


def round_trips(bench: Bench) -> Iterator[Figure]:
    wire, count = bench.wire, bench.size(1000, 100)
    median_ms, tail_ms, added_ms = (0.3, 1.5, 0.3) if bench.relay else (0.2, 1.0, 0.1)
    wire.cables.unplug(wire.near.port, gone=False)
    yield Figure("RTT through a plain bridge", "ms", round(statistics.median(traffic.pings_ms(wire, count)), 4))
    wire.near.plug()
    empty = statistics.median(traffic.pings_ms(wire, count))
    yield at_most("RTT(0), through a cable with nothing set", "ms", empty, added_ms)
    for set_ms in (1, 7, 50, 300):
        half = Impairment(delay_ms=set_ms / 2)
        bench.set(half, half)
        errors = sorted(rtt - empty - set_ms for rtt in traffic.pings_ms(wire, count, set_ms))
        median, p99 = statistics.median(errors), errors[len(errors) * 99 // 100]
        yield at_most(f"RTT error at {set_ms} ms, median", "ms", abs(median), median_ms)
        yield at_most(f"RTT error at {set_ms} ms, p99 over median", "ms", p99 - median, tail_ms)


def application_plane(bench: Bench) -> Iterator[Figure]:
    """What the host's own capture shows, with `up` behind it and `down` before it."""
    wire, count = bench.wire, bench.size(2000, 200)
    bench.set(CLEAN, Impairment(loss_pct=30))
    with Packets(wire.far) as source, Packets(wire.near) as target:
        before = wire.near.counted("down")["lost"]
        source.send(target, count, 2000)
        lost = wire.near.counted("down")["lost"] - before
        there = target.count() - (count - lost)
    yield at_most("frames dropped on `down` and yet in the client's capture", "frames", there if lost else count, 0)
    bench.set(Impairment(delay_ms=30), Impairment(delay_ms=20))
    over = statistics.median(traffic.handshakes_ms(wire, bench.size(40, 5))) - 50
    bar_ms = 0.6 if bench.relay else 0.3  # RTT(0) and the error that is allowed
    yield at_most("handshake in the client's capture less 50, at up 30, down 20", "ms", over, bar_ms)


def jitter(bench: Bench) -> Iterator[Figure]:
    bench.set(Impairment(delay_ms=50, jitter_ms=10, distribution="normal"), CLEAN)
    delays = traffic.one_way_ms(bench.wire, bench.size(4000, 400), 500)
    yield within("normal jitter of 10 ms: standard deviation over set", "1", statistics.pstdev(delays) / 10, 0.9, 1.1)


def loss(bench: Bench) -> Iterator[Figure]:
    count = bench.size(20_000, 2000)
    for pct in (0.5, 2.0, 10.0):
        bench.set(Impairment(loss_pct=pct), CLEAN)
        lost = count - len(traffic.arrivals(bench.wire, count, 10_000))
        yield within(f"lost of {count} at {pct:g} %", "frames", lost, *binomial_band(count, pct / 100))
    bench.set(Impairment(burst=Burst(1, 20)), CLEAN)
    came = {seen.number for seen in traffic.arrivals(bench.wire, count, 10_000)}
    runs = itertools.groupby(number in came for number in range(count))
    lengths = [len(list(run)) for arrived, run in runs if not arrived]
    low, high = burst_band(len(lengths), 0.20)
    yield within("mean burst, Gilbert-Elliott 1 % 20 %", "frames", statistics.mean(lengths), low, high)


def goodput(bench: Bench) -> Iterator[Figure]:
    for mbit in (1, 10, 50):
        bench.set(CLEAN, Impairment(rate_bit=mbit * 1e6))
        size = round(mbit * 1e6 / 8 * bench.size(10, 2))
        ratio = size * 8 / traffic.transfer_s(bench.wire, size) / (mbit * 1e6 * SEGMENT / FULL)
        yield within(f"TCP goodput over what a rate of {mbit} Mbit/s allows", "1", ratio, 0.98, 1.02)


def spacing(bench: Bench) -> Iterator[Figure]:
    """Full frames all at once: each must leave one frame's time after the one before."""
    bench.set(Impairment(rate_bit=10e6, queue=units.Queue(packets=1000)), CLEAN)
    ideal_ns = FULL * 8 / 10e6 * 1e9
    gaps: list[int] = []
    for _ in range(bench.size(10, 2)):
        times = [seen.time_ns for seen in traffic.arrivals(bench.wire, 300, 1e9, FULL)]
        gaps += (later - sooner for sooner, later in itertools.pairwise(times))
    good = sum(abs(gap - ideal_ns) <= 0.1 * ideal_ns for gap in gaps)
    yield at_least("gaps of frames back to back at 10 Mbit/s, within 10 % of 1211 us", "%", 100 * good / len(gaps), 95)


def speed(bench: Bench) -> Iterator[Figure]:
    """What the back-end carries; the bars are the relay's."""
    wire, size = bench.wire, bench.size(300_000_000, 20_000_000)
    bench.set(Impairment(delay_ms=10), Impairment(delay_ms=10))
    before_s = traffic.relay_s() if bench.relay else 0
    mbit = size * 8 / traffic.transfer_s(wire, size) / 1e6
    yield at_least("TCP through 10 ms each way without a rate", "Mbit/s", mbit, 400 if bench.relay else None)
    if bench.relay:
        used_s = (traffic.relay_s() - before_s) / (size / SEGMENT) * 1e4
        yield Figure("relay's processor time, 10 000 full segments and their ACKs", "s", round(used_s, 3))
    best = 0
    for rate in (40_000,) if bench.short else (40_000, 50_000, 60_000, 80_000):
        count = rate * bench.size(5, 1)
        with Packets(wire.near) as source, Packets(wire.far) as target:
            took_s, came = source.send(target, count, rate), target.count()
        if came < count or took_s > 1.02 * count / rate:  # lost some, or could not be offered so many
            break
        best = rate
    yield at_least("64-byte frames without loss through 10 ms", "frames/s", best, 40_000 if bench.relay else None)
    if bench.relay:
        before_s = traffic.relay_s()
        count = len(traffic.arrivals(wire, bench.size(100_000, 10_000), 10_000))
        used_s = (traffic.relay_s() - before_s) / count * 1e4
        yield Figure("relay's processor time, 10 000 64-byte frames at 10 000/s", "s", round(used_s, 3))


def changes(bench: Bench) -> Iterator[Figure]:
    cables, more = bench.wire.cables, traffic.more_ports(bench.wire, ATTACHMENTS - 1)
    for port in more:
        cables.plug(port, Link())
    names = [port.name for port in (bench.wire.near.port, *more)]
    for what, chosen, bar_ms in (("one link", names[:1], 20), (f"{len(names)} links", names, 400)):
        took_ms = []
        for number in range(bench.size(20, 4)):
            link = Link(Impairment(delay_ms=1 + number, rate_bit=10e6), Impairment(loss_pct=1))
            began = time.perf_counter()
            cables.set(dict.fromkeys(chosen, link))
            took_ms.append((time.perf_counter() - began) * 1000)
        yield at_most(f"changing {what}, in the agent", "ms", statistics.median(took_ms), bar_ms)
    for port in more:
        cables.unplug(port, gone=False)


ROWS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "rtt": round_trips,
    "plane": application_plane,
    "jitter": jitter,
    "loss": loss,
    "goodput": goodput,
    "spacing": spacing,
    "speed": speed,
    "changes": changes,
}


# ---- judging


def binomial_band(count: int, share: float) -> tuple[int, int]:
    """Of the hits among `count` draws."""
    hit, miss = math.log(share), math.log1p(-share)
    return band(0, (choose(count, hits) + hits * hit + (count - hits) * miss for hits in range(count + 1)))


def burst_band(bursts: int, leave: float) -> tuple[float, float]:
    """Of the mean of `bursts` lengths, geometric with mean 1/leave: their sum has the negative binomial distribution."""
    go, stay = math.log(leave), math.log1p(-leave)
    sums = itertools.count(bursts)
    low, high = band(bursts, (choose(n - 1, bursts - 1) + bursts * go + (n - bursts) * stay for n in sums))
    return low / bursts, high / bursts


def band(first: int, logs: Iterable[float]) -> tuple[int, int]:
    """The values, from `first` on with these log probabilities, outside of which lies less than OUTLIERS, half on each side."""
    below, low, value = 0.0, -1, first
    for value, log in enumerate(logs, first):
        below += math.exp(log)
        if low < 0 and below > OUTLIERS / 2:
            low = value
        if below >= 1 - OUTLIERS / 2:
            break
    return low, value


def choose(count: int, hits: int) -> float:
    """Logarithm of the binomial coefficient."""
    return math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)


def at_most(name: str, unit: str, value: float, bar: float) -> Figure:
    return Figure(name, unit, round(value, 4), f"<= {bar:g}", value <= bar)


def at_least(name: str, unit: str, value: float, bar: float | None) -> Figure:
    return Figure(name, unit, round(value, 1), bar and f">= {bar:g}", bar and value >= bar)


def within(name: str, unit: str, value: float, low: float, high: float) -> Figure:
    return Figure(name, unit, round(value, 4), f"{low:.4g} to {high:.4g}", low <= value <= high)


# ---- the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=("relay", "netem"), default="netem" if netem.available() else "relay")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out" / "links.json")
    parser.add_argument("--beside", type=Path, help="figures of the other back-end, for one table")
    parser.add_argument("--rows", default=",".join(ROWS), help="some of them; all by default")
    parser.add_argument("--short", action="store_true", help="fewer frames: shows that it runs, not how good it is")
    said = parser.parse_args()
    if unknown := set(said.rows.split(",")) - set(ROWS):
        parser.error(f"--rows {','.join(sorted(unknown))}: unknown; known: {', '.join(ROWS)}")
    figures = measured(said.backend, said.rows.split(","), short=said.short)
    if said.beside and said.beside.exists():
        figures += json.loads(said.beside.read_text(encoding="utf-8"))
    said.out.parent.mkdir(exist_ok=True)
    said.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(table(figures))


def measured(backend: str, rows: list[str], *, short: bool) -> list[dict[str, Any]]:
    figures = []
    with Wire(backend) as wire:
        traffic.acquaint(wire.near, wire.far)
        wire.near.plug()
        for row in rows:
            for figure in ROWS[row](Bench(wire, short)):
                figures.append({"backend": backend, **asdict(figure)})
                print(f"{backend}: {figure.figure}: {cell(figures[-1])} {figure.unit}", flush=True)
    return figures


def table(figures: list[dict[str, Any]]) -> str:
    """A line for each figure, a column for each back-end."""
    kinds = list(dict.fromkeys(figure["backend"] for figure in figures))
    lines: dict[str, dict[str, str]] = {}
    for figure in figures:
        lines.setdefault(f"{figure['figure']} [{figure['unit']}]", {})[figure["backend"]] = cell(figure)
    head = f"{'':<72}" + "".join(f"{kind:<36}" for kind in kinds)
    return "\n".join(
        [head, *(f"{name:<72}" + "".join(f"{by.get(kind, ''):<36}" for kind in kinds) for name, by in lines.items())]
    )


def cell(figure: dict[str, Any]) -> str:
    judged = {True: "met", False: "MISSED", None: ""}[figure["met"]]
    return f"{figure['value']:<8g} {figure['bar'] or '':<18} {judged}".rstrip()


if __name__ == "__main__":
    main()
