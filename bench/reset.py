"""How long the reset between two tests takes on the topology `web`, step by step.

    python bench/reset.py [ROUNDS]        20 resets of each kind by default; writes bench/out/reset.json

A round does what tests do, then resets as the plugin does: `quiet` asks the name servers, the web servers and the shop, of which
none has to start again to forget; `proxied` asks through the proxy cache too, which does.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appbed import places
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab
from appbed.testbed import Testbed

STEPS = ("reset_links", "renewed")  # what is left is looking for faults
BARS = {"quiet": 0.3, "proxied": 1.0}
SITE, SHOP = "http://www.someschool.edu", "http://www.shop.com"


def main(rounds: int) -> None:
    figures = []
    with (
        DockerEngine() as engine,
        tempfile.TemporaryDirectory() as folder,
        Lab.up(places.topology_file("web"), engine, name="bench-reset") as lab,
    ):
        bed = Testbed(lab, Path(folder))
        figures.append(figure("the first, which opens a shell in each host", taken(bed.reset), 1.0))
        for kind, bar in BARS.items():
            figures += measured(bed, kind, bar, rounds)
    out = Path(__file__).parent / "out" / "reset.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")
    for line in figures:
        print(f"{line['figure']:<44} {line['value']:>8} {line['unit']:<4} bar {line['bar']}  {line['met']}")


def measured(bed: Testbed, kind: str, bar: float, rounds: int) -> list[dict[str, Any]]:
    """Median and longest of whole resets against the bar, and the median of each step."""
    whole: list[float] = []
    steps: dict[str, list[float]] = {step: [] for step in STEPS}
    with timed(bed.lab, steps):
        for _ in range(rounds):
            use(bed, proxied=kind == "proxied")
            bed.lab.calm()
            whole.append(taken(bed.reset))
    rest = [total - sum(steps[step][at] for step in STEPS) for at, total in enumerate(whole)]
    return [
        figure(f"{kind}: reset, median of {rounds}", statistics.median(whole), bar),
        figure(f"{kind}: reset, longest of {rounds}", max(whole), bar),
        *(figure(f"{kind}: {step}, median", statistics.median(values)) for step, values in steps.items()),
        figure(f"{kind}: faults, median", statistics.median(rest)),
    ]


class timed:
    """Within the block each step's times are noted."""

    def __init__(self, lab: Lab, steps: dict[str, list[float]]) -> None:
        self._lab, self._steps = lab, steps

    def __enter__(self) -> None:
        for step, values in self._steps.items():
            setattr(self._lab, step, self._noting(getattr(self._lab, step), values))

    def __exit__(self, *_: object) -> None:
        for step in self._steps:
            delattr(self._lab, step)

    @staticmethod
    def _noting(do: Callable[[], Any], values: list[float]) -> Callable[[], Any]:
        def noting() -> Any:
            begun = time.monotonic()
            try:
                return do()
            finally:
                values.append(time.monotonic() - begun)

        return noting


def use(bed: Testbed, *, proxied: bool) -> None:
    """Copies, names, visitors and a page that was put there: what is to be forgotten."""
    client = bed.host("client")
    client.run(
        "sh", "-c", f"curl -sf {SITE}/ > page; curl -sf -c cookies {SHOP}/ > shop; dig +short www.crepes.fr > name"
    )
    client.run("curl", "-sf", "-T", "page", f"http://{bed.host('www-1').address}/dav/page")
    if proxied:
        client.run("curl", "-sf", "-x", f"{bed.host('proxy').address}:3128", "-o", "copy", f"{SITE}/")


def taken(do: Callable[[], object]) -> float:
    begun = time.monotonic()
    do()
    return time.monotonic() - begun


def figure(name: str, seconds: float, bar: float | None = None) -> dict[str, Any]:
    return {
        "figure": name,
        "unit": "s",
        "value": round(seconds, 3),
        "bar": bar,
        "met": None if bar is None else seconds < bar,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
