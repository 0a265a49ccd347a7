"""A larger swarm, laid over the topology, read by us and by Compose: one meaning."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from appbed import places, swarms, topology
from appbed.loader import Document

SWARM = places.topology_file("swarm")
HOMES = [swarms.Rates("1mbit", "10mbit"), swarms.Rates("300kbit", "2mbit")]


def test_we_read_what_compose_reads(tmp_path: Path) -> None:
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("there is no docker compose: install Docker Compose 2.23.1 or newer, `appbed setup` does")
    file = tmp_path / "over.yaml"
    role = places.root() / "images" / "peer" / "service.yaml"
    file.write_text(yaml.safe_dump(swarms.override(7, HOMES, HOMES[0], role)))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("APPBED_", "COMPOSE_"))}
    argv = ["docker", "compose", "-f", str(SWARM), "-f", str(file), "config"]
    done = subprocess.run(argv, env={**environment, "APPBED_NET": "10.99"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours = topology.load(SWARM, {"APPBED_NET": "10.99"}, file)
    assert replace(ours, path=SWARM) == topology.resolve(Document(SWARM, yaml.safe_load(done.stdout)))
    assert "peer-7" in ours.hosts
