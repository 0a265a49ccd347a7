"""How long a report of 45 runs takes, and how large it is.

    python bench/report.py [ROUNDS]        medians of 5 rounds by default; writes bench/out/report.json

The runs are those of tests/evidence, some of them twice if there are fewer. Every round is a command of its own, with the start of
Python and the imports.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests")]

from appbed import runner  # noqa: E402
from scenarios import mutants  # noqa: E402

RUNS = 45
COMMAND = "from appbed.cli import main; main()"


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        below = Path(temporary)
        judged(below / "runs")
        page = below / "report.html"
        seconds = []
        for _ in range(rounds):
            begun = time.monotonic()
            subprocess.run(
                [sys.executable, "-c", COMMAND, "report", str(below / "runs"), "--out", str(page)], check=True
            )
            seconds.append(time.monotonic() - begun)
        figures = [
            figure(f"report of {RUNS} runs", "s", statistics.median(seconds), 5.0),
            figure("its size", "MB", page.stat().st_size / 1e6, 5.0),
        ]
    out = HERE / "out" / "report.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")
    for line in figures:
        print(f"{line['figure']:<24} {line['value']:>8} {line['unit']:<3} bar {line['bar']}  {line['met']}")


def judged(below: Path) -> None:
    """So many runs, each with its verdict."""
    below.mkdir()
    saved = sorted(folder.name for folder in mutants.SAVED.iterdir() if folder.name != "tour")
    for name in saved[:RUNS]:
        runner.check(mutants.evidence(name, below))
    for number in range(RUNS - len(saved)):
        shutil.copytree(below / saved[number % len(saved)], below / f"{number}-again")


def figure(name: str, unit: str, value: float, bar: float) -> dict[str, object]:
    return {"figure": name, "unit": unit, "value": round(value, 2), "bar": bar, "met": value <= bar}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
