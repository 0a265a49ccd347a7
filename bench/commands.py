"""How long short commands take: `--help`, and what Tab offers.

python bench/commands.py [ROUNDS]        medians of 11 rounds by default; writes bench/out/commands.json
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

APPBED = Path(sys.executable).with_name("appbed")
COMMANDS: tuple[tuple[str, tuple[str, ...], dict[str, str], float | None], ...] = (
    ("appbed --help", ("--help",), {}, 0.3),
    ("appbed list", ("list",), {}, None),
    ("Tab after appbed up", (), {"COMP_WORDS": "appbed up ", "COMP_CWORD": "2"}, None),
    ("Tab after appbed run", (), {"COMP_WORDS": "appbed run ", "COMP_CWORD": "2"}, None),
)


def main(rounds: int) -> None:
    figures = [figure(name, taken(words, more, rounds), bar) for name, words, more, bar in COMMANDS]
    out = Path(__file__).parent / "out" / "commands.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")
    for line in figures:
        print(f"{line['figure']:<24} {line['value']:>8} {line['unit']:<3} bar {line['bar']}  {line['met']}")


def taken(words: tuple[str, ...], more: dict[str, str], rounds: int) -> float:
    """Median in seconds; the first round, which fills caches, is not counted."""
    environment = {**os.environ, **more, **({"_APPBED_COMPLETE": "complete_bash"} if more else {})}
    seconds = []
    for _ in range(rounds + 1):
        begun = time.monotonic()
        subprocess.run([APPBED, *words], env=environment, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.monotonic() - begun)
    return statistics.median(seconds[1:])


def figure(name: str, seconds: float, bar: float | None) -> dict[str, Any]:
    met = None if bar is None else seconds < bar
    return {"figure": name, "unit": "s", "value": round(seconds, 3), "bar": bar, "met": met}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
