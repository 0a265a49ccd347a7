"""What the scenarios of swarms take for granted, held against the topology; and their arithmetic, on numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from appbed import models, topology
from appbed.impairment import change
from appbed.scenarios.p2p import clients, rarest, scaling
from appbed.scenarios.p2p_parts import bounds, chunks, fetching, swarm

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shape() -> topology.Topology:
    return topology.load(ROOT / "compose" / "swarm.yaml", {})


def test_the_homes_are_those_of_the_topology(shape: topology.Topology) -> None:
    assert {host for host, each in shape.hosts.items() if each.role.name == "peer"} == {swarm.SEED, *swarm.FIVE}
    for host in swarm.HOME:
        assert str(shape.attachment(host)) == swarm.link(host)
    assert str(shape.attachment(fetching.SERVER)) == fetching.LINK


def test_the_servers_files_have_the_sizes_that_are_predicted_with() -> None:
    """images/web makes them of lines of 16 bytes."""
    made = (ROOT / "images" / "web" / "entrypoint").read_text()
    for path, size in ((fetching.PATH, fetching.FILE_BYTES), (fetching.LARGE, fetching.LARGE_BYTES)):
        last = 100000000000000 + size // 16 - 1
        assert f"seq 100000000000000 {last} > /srv/shipped{path}" in made


@pytest.mark.parametrize(
    ("total", "chunk", "expected"),
    [(1, 4, [1]), (3, 4, [3]), (4, 4, [4]), (5, 4, [4, 1]), (8, 4, [4, 4]), (9, 4, [4, 4, 1])],
)
def test_the_last_chunk_is_what_is_left(total: int, chunk: int, expected: list[int]) -> None:
    assert chunks.sizes(total, chunk) == expected


def test_copies_that_come_in_turn_are_even_and_copies_of_the_same_are_not() -> None:
    """Two peers, two chunks, one arrival a second; standard deviations over chunks: 0.5 with one copy, 0 or 1 with two."""
    even = {"a": {0: 0.0, 1: 2.0}, "b": {1: 1.0, 0: 3.0}}
    alike = {"a": {0: 0.0, 1: 2.0}, "b": {0: 1.0, 1: 3.0}}
    assert rarest.spread(even, 2) == pytest.approx((0.5 + 0.0) / 2)
    assert rarest.spread(alike, 2) == pytest.approx((0.5 + 1.0) / 2)


def _points(shape: topology.Topology, sweep: Mapping[str, Any]) -> dict[str, Any]:
    """A sweep as a prediction sees it: every link at every point."""
    points = {}
    for name, settings in sweep.items():
        links = {str(at): at.link for at in shape.attachments()}
        links |= {at: change(links[at], block, at) for at, block in settings.items()}
        points[name] = {"links": {at: link.settings() for at, link in links.items()}}
    return points


def test_the_server_takes_n_times_the_file_over_its_rate_and_a_slow_client_its_own(shape: topology.Topology) -> None:
    """1 MiB and an answer's head in 725 segments of 66 bytes more, at 5 Mbit/s and at 2 Mbit/s."""
    sweep = _points(shape, clients.SWEEP)
    at = clients.predict({"links": {}, "seed": 1, "sweep": sweep})["points"]
    wire = 8 * models.wire_bytes(fetching.FILE_BYTES + bounds.HEAD_BYTES)
    assert at["N = 1"]["bound_s"] == pytest.approx(wire / 5e6)
    assert at["N = 5"]["bound_s"] == pytest.approx(5 * wire / 5e6)
    assert at["N = 1, slow"]["bound_s"] == pytest.approx(wire / 2e6)


def test_a_swarm_has_the_bound_of_all_uplinks_together(shape: topology.Topology) -> None:
    """A seed of 10 Mbit/s and five peers of 1: 5F/15 of the swarm beside 5F/10 of the server."""
    sweep = _points(shape, scaling.SWEEP)
    at = scaling.predict({"links": {}, "seed": 1, "sweep": sweep})["points"]
    bits = 8 * scaling.FILE_BYTES
    assert at["N = 5"]["peer_to_peer_payload_s"] == pytest.approx(bits * 5 / 15e6)
    assert at["N = 5"]["client_server_payload_s"] == pytest.approx(bits * 5 / 10e6)
    assert at["N = 1"]["peer_to_peer_payload_s"] == pytest.approx(bits / 10e6)
    for point in at.values():
        assert point["peer_to_peer_payload_s"] < point["peer_to_peer_s"] <= point["peer_to_peer_acked_s"]
