"""How long `internet` takes to come up and go, beside `docker compose`, and what it costs while it idles.

    python bench/up.py [ROUNDS] [IDLE_SECONDS]        medians of 5 rounds and 120 s by default; writes bench/out/up.json

`docker compose up --wait` waits for health checks. They are sparse (every 60 s), and an engine before 25 knows no shorter
interval while a container starts, so there most of that time is waiting; `docker compose up` without it is shown beside.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker

from appbed import lease, places
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab

NAME = "bench-internet"
FILE = places.topology_file("internet")


def main(rounds: int, idle_s: float) -> None:
    figures = []
    with DockerEngine() as engine:
        os.environ["APPBED_NET"] = lease.choose(engine.routes())
        os.environ["APPBED_WINDOW"] = ""  # any free ports
        seconds: dict[str, list[float]] = {"appbed up": [], "down": [], "compose up": [], "compose up --wait": []}
        for _ in range(rounds):
            lab: list[Lab] = []
            seconds["appbed up"].append(timed(lambda: lab.append(Lab.up(FILE, engine, name=NAME))))  # noqa: B023
            seconds["down"].append(timed(lab[0].down))
            for what, options in (("compose up", []), ("compose up --wait", ["--wait"])):
                seconds[what].append(timed(lambda: compose("up", "--detach", "--no-build", *options)))  # noqa: B023
                engine.down(NAME)
            print({what: round(values[-1], 2) for what, values in seconds.items()}, flush=True)
        Lab.up(FILE, engine, name=NAME).agent.close()
        figures += idle(engine, idle_s)
    medians = {what: statistics.median(values) for what, values in seconds.items()}
    ratio = medians["appbed up"] / medians["compose up --wait"]
    figures = [
        *(
            {"figure": what, "unit": "s", "value": round(value, 2), "bar": None, "met": None}
            for what, value in medians.items()
        ),
        figure("appbed up / compose up --wait", "1", ratio, 1.0),
        {
            "figure": "appbed up / compose up",
            "unit": "1",
            "value": round(medians["appbed up"] / medians["compose up"], 3),
            "bar": None,
            "met": None,
        },
        *figures,
    ]
    out = Path(__file__).parent / "out" / "up.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")
    for line in figures:
        print(f"{line['figure']:<40} {line['value']:>10} {line['unit']:<6} bar {line['bar']}  {line['met']}")


def figure(name: str, unit: str, value: float, bar: float) -> dict[str, Any]:
    return {"figure": name, "unit": unit, "value": round(value, 3), "bar": bar, "met": value <= bar}


def idle(engine: DockerEngine, seconds: float) -> list[dict[str, Any]]:
    """Memory of all containers, and processors used by them, by their health checks and by the agent."""
    names = [container.name for container in engine.containers(NAME)]
    shown = subprocess.run(
        ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", *names],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    megabytes = sum(mebibytes(line.split("/")[0].strip()) for line in shown.splitlines())
    before, began = busy_seconds(), time.monotonic()
    threading.Event().wait(seconds)
    after, took = busy_seconds(), time.monotonic() - began
    engine.down(NAME)
    cores = {name: (busy - before.get(name, 0.0)) / took for name, busy in after.items()}
    for name in sorted(cores, key=cores.__getitem__, reverse=True)[:6]:
        print(f"{name:<40} {cores[name]:>10.4f} cores")
    return [
        {"figure": "containers", "unit": "1", "value": len(names), "bar": None, "met": None},
        {
            "figure": "resident memory, all containers",
            "unit": "MiB",
            "value": round(megabytes),
            "bar": None,
            "met": None,
        },
        figure("processors used by the idle lab and the engine", "cores", sum(cores.values()), 0.05),
    ]


def busy_seconds() -> dict[str, float]:
    """Processor seconds so far by container, health checks included, and of the engine's own processes; whatever else the machine
    does is not in it."""
    client = docker.from_env(timeout=60)
    found = {
        container.name: container.stats(stream=False, one_shot=True)["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        for container in client.containers.list(filters={"label": f"com.docker.compose.project={NAME}"})
    }
    client.close()
    return {**found, **{f"{comm} {pid}": busy for pid, comm, busy in _engine_processes()}}


def _engine_processes() -> Iterator[tuple[str, str, float]]:
    """(process, command, seconds), with the children they waited for."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            pid, rest = status.read_text().split(" (", 1)
            comm, fields = rest.rsplit(") ", 1)
            if comm.startswith(("dockerd", "containerd", "docker-proxy")):
                yield pid, comm, sum(map(int, fields.split()[11:15])) / os.sysconf("SC_CLK_TCK")


def mebibytes(text: str) -> float:
    units = {"GiB": 1024.0, "MiB": 1.0, "KiB": 1 / 1024, "kB": 1 / 1049, "B": 1 / 1048576}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit]


def compose(*argv: str) -> None:
    subprocess.run(["docker", "compose", "-p", NAME, "-f", str(FILE), *argv], capture_output=True, check=True)


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, float(sys.argv[2]) if len(sys.argv) > 2 else 120)
