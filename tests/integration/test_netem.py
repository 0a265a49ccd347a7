"""A lab whose links are the kernel's netem: where this one has none, `make test-netem` runs this in user-mode Linux."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator

import pytest

from appbed.engine.docker import DockerEngine
from appbed.lab import Lab
from needed import need_netem

from .conftest import TOPOLOGIES, devices, objects_of

pytestmark = [pytest.mark.docker, pytest.mark.root]
BRINGUP_S = 300  # a hundred times what it takes on a real machine


@pytest.fixture(scope="module")
def lab(engine: DockerEngine) -> Iterator[Lab]:
    need_netem()
    name = f"test-netem-{os.getpid()}"
    before = devices()
    with Lab.up(TOPOLOGIES / "pair.yaml", engine, name=name, links="netem", timeout_s=BRINGUP_S) as lab:
        yield lab
    assert objects_of(name) == []
    assert devices() <= before


def round_trips_ms(lab: Lab) -> list[float]:
    server = str(lab.topology.host("server").address)
    said = lab.exec("client", "ping", "-n", "-c", "10", "-i", "0.2", server).stdout
    return [float(word.removeprefix("time=")) for word in said.split() if word.startswith("time=")]


def cables(lab: Lab) -> dict[str, str]:
    return {line["attachment"]: line["cable"] for line in lab.links()}


def test_the_declared_link_is_netem_s_and_takes_its_time(lab: Lab) -> None:
    assert cables(lab)["gateway@access"] == "netem"
    assert set(cables(lab).values()) == {"netem", "bridge"}
    assert 50 <= statistics.median(round_trips_ms(lab)) < 60


def test_a_link_is_set_and_reset(lab: Lab) -> None:
    before = lab.link("gateway@access").show()["set"]
    with lab.link("gateway@access").set(delay="60ms", up={"delay": "60ms"}, down={"delay": "60ms"}):
        assert 120 <= statistics.median(round_trips_ms(lab)) < 130
    assert lab.link("gateway@access").show()["set"] == before
    assert 50 <= statistics.median(round_trips_ms(lab)) < 60


def test_a_plain_link_becomes_a_cable_and_counts(lab: Lab) -> None:
    with lab.link("client@campus").set(down={"loss": "50%"}):
        lab.exec(
            "client",
            "ping",
            "-n",
            "-c",
            "40",
            "-i",
            "0.05",
            "-W",
            "1",
            str(lab.topology.host("server").address),
            check=False,
        )
        counted = lab.link("client@campus").show()["counters"]
        assert cables(lab)["client@campus"] == "netem"
    assert counted["down"]["lost"] > 0
    assert counted["up"]["lost"] == 0
    assert counted["up"]["frames_in"] >= 40
