"""Groups of scenarios in their short forms: by the command line as they are, and on topologies with something changed in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from appbed import runner, scenario
from appbed.engine.docker import DockerEngine
from appbed.evidence import Recorder
from appbed.lab import Lab
from appbed.scenario import Scenario
from appbed.verdict import Outcome, Verdict


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
    known = scenario.discover()
    return {
        name: found.outcome
        for name, found in verdicts(engine, to, {name: known[name] for name in chosen}, override).items()
    }


def verdicts(engine: DockerEngine, to: Path, chosen: Mapping[str, Scenario], override: str) -> dict[str, Verdict]:
    changed = to / "changed.yaml"
    changed.write_text(override)
    running = runner.run(
        chosen,
        engine,
        to / "runs",
        seed=1,
        links="auto",
        say=lambda text: None,
        short=True,
        overrides=(changed,),
    )
    return {ran.name: ran.verdict for ran in running}


def disturbed(known: Scenario, by: Callable[[Lab], AbstractContextManager[object]]) -> Scenario:
    """The same in a world that changes as its first step begins, until it has acted."""

    def run(lab: Lab, record: Recorder) -> None:
        step = record.step
        with ExitStack() as until_the_end:

            def first(name: str, **data: Any) -> None:
                step(name, **data)
                record.step = step  # type: ignore[method-assign]
                until_the_end.enter_context(by(lab))

            record.step = first  # type: ignore[method-assign]
            known.run(lab, record)

    return replace(known, run=run)
