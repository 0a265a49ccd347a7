"""Labs on real containers, shared by the tests of a session."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from appbed import places
from appbed.engine.docker import DockerEngine
from appbed.errors import AppbedError
from appbed.lab import Lab

TOPOLOGIES = Path(__file__).parents[1] / "topologies"


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine() as engine:
        yield engine


@pytest.fixture(scope="session")
def pair(engine: DockerEngine) -> Iterator[Lab]:
    """Client, two routers, server."""
    with Lab.up(TOPOLOGIES / "pair.yaml", engine, name=f"test-pair-{os.getpid()}") as lab:
        yield lab


@pytest.fixture(scope="session")
def internet(engine: DockerEngine) -> Iterator[Lab]:
    with Lab.up(places.topology_file("internet"), engine, name=f"test-internet-{os.getpid()}") as lab:
        yield lab


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    """Until `condition` holds; says what it waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {timeout_s} s")
        time.sleep(0.02)  # between two looks, not instead of one


def objects_of(name: str) -> list[str]:
    """Everything the engine holds of an instance."""
    found = []
    for kind in (["ps", "-a"], ["network", "ls"], ["volume", "ls"]):
        shown = subprocess.run(
            ["docker", *kind, "--quiet", "--filter", f"label=org.appbed.instance={name}"],
            capture_output=True,
            text=True,
            check=True,
        )
        found += shown.stdout.split()
    return found


def devices() -> set[str]:
    """Interfaces of this machine that only appbed makes."""
    return {path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith("ab") and "x" in path.name}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of the agent's log, if its lab is still up."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("pair") or getattr(item, "funcargs", {}).get("internet")
    if report.failed and isinstance(lab, Lab):
        with contextlib.suppress(AppbedError):
            report.sections.append(("agent", lab.engine.logs(lab.name, lab.topology.agent, tail=40)))
    return report
