"""Groups of scenarios in their short forms: by the command line as they are, and on topologies with something changed in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from appbed import runner, scenario
from appbed.engine.docker import DockerEngine
from appbed.verdict import Outcome


def group(name: str) -> list[str]:
    return [each for each in scenario.discover() if each.startswith(f"{name}.")]


def all_pass(name: str, to: Path) -> None:
    """`appbed run NAME --short`, as a person says it; a failure tells why."""
    argv = [sys.executable, "-m", "appbed.cli", "run", name, "--short", "--seed", "1", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=to)
    assert done.stdout, done.stderr
    ran = json.loads(done.stdout)
    assert {each["scenario"]: each["outcome"] for each in ran} == dict.fromkeys(group(name), "PASSED"), [
        each["because"] for each in ran if each["outcome"] != "PASSED"
    ]
    assert done.returncode == 0


def outcomes(engine: DockerEngine, to: Path, chosen: Iterable[str], override: str) -> dict[str, Outcome]:
    """Of these scenarios, on their topologies with `override` laid over them."""
    changed = to / "changed.yaml"
    changed.write_text(override)
    known = scenario.discover()
    running = runner.run(
        {name: known[name] for name in chosen},
        engine,
        to / "runs",
        seed=1,
        links="auto",
        say=lambda text: None,
        short=True,
        overrides=(changed,),
    )
    return {ran.name: ran.verdict.outcome for ran in running}
