"""Measures capturing and the analysis of captures, beside tcpdump, tshark, dpkt and scapy, in one run.

    python bench/capture.py [ROUNDS] [SECONDS]      3 rounds of 10 s by default; prints a table, writes bench/out/capture.json

Without root nothing can be captured; those bars are then not met.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "orchestrator"), str(HERE)]

import capture_analysis  # noqa: E402
import capture_live  # noqa: E402
from capture_figures import Figure  # noqa: E402


def main(rounds: int, seconds: float) -> None:
    figures = capture_analysis.figures()
    if os.geteuid() == 0:
        figures += capture_live.figures(rounds, seconds)
    else:
        figures.append(Figure("frames captured at 50 000/s: needs root", "frames", None, "0 lost", False))
    out = HERE / "out" / "capture.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    for figure in figures:
        print(figure.line())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, float(sys.argv[2]) if len(sys.argv) > 2 else 10.0)
