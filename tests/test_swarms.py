"""Swarms of any size: what is laid over the topology makes exactly the peers asked for, and only what is possible is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from appbed import places, swarms, topology
from appbed.errors import InputError
from appbed.topology import Topology

ROLE = places.root() / "images" / "peer" / "service.yaml"
HOMES = [swarms.Rates("1mbit", "10mbit"), swarms.Rates("300kbit", "2mbit")]


def laid_over(to: Path, peers: int, of_peers: list[swarms.Rates], of_seed: swarms.Rates | None = None) -> Topology:
    file = to / "over.yaml"
    file.write_text(yaml.safe_dump(swarms.override(peers, of_peers, of_seed, ROLE)))
    return topology.load(places.topology_file("swarm"), {}, file)


def of(shape: Topology) -> set[str]:
    return {name for name, host in shape.hosts.items() if host.role.name == "peer"}


@pytest.mark.thorough  # hundreds of peers
@pytest.mark.parametrize("peers", [6, 20, swarms.MOST])
def test_there_are_as_many_peers_as_asked_for_each_with_an_address_of_its_own(tmp_path: Path, peers: int) -> None:
    shape = laid_over(tmp_path, peers, [])
    assert of(shape) == {"seed", *(f"peer-{number}" for number in range(1, peers + 1))}
    addresses = [host.address for host in shape.hosts.values()]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("peers", [1, 5])
def test_a_smaller_swarm_leaves_the_topologys_own_peers_where_they_are(tmp_path: Path, peers: int) -> None:
    assert of(laid_over(tmp_path, peers, HOMES)) == {"seed", *swarms.SHIPPED}


def test_rates_are_given_in_turn_and_everything_else_stays(tmp_path: Path) -> None:
    shape = laid_over(tmp_path, 7, HOMES, swarms.Rates("10mbit", "20mbit"))
    found = {name: shape.attachment(name).link for name in of(shape)}
    assert [found[f"peer-{number}"].up.rate_bit for number in range(1, 8)] == [1e6, 3e5, 1e6, 3e5, 1e6, 3e5, 1e6]
    assert [found[f"peer-{number}"].down.rate_bit for number in (1, 2, 7)] == [1e7, 2e6, 1e7]
    assert (found["seed"].up.rate_bit, found["seed"].down.rate_bit) == (1e7, 2e7)
    assert {link.up.delay_ms for link in found.values()} == {5.0}


def test_without_rates_a_new_home_is_as_the_others(tmp_path: Path) -> None:
    shape = laid_over(tmp_path, 6, [])
    assert shape.attachment("peer-6").link == shape.attachment("peer-1").link


@pytest.mark.parametrize("peers", [0, -1, swarms.MOST + 1])
def test_a_number_of_peers_that_cannot_be_is_refused(peers: int) -> None:
    with pytest.raises(InputError, match=f"a swarm of {peers} peers is not possible"):
        swarms.override(peers, [], None, ROLE)


@pytest.mark.parametrize("text", ["", "1mbit", "1mbit/", "0/1mbit", "1mbit/0mbit", "1mbit/fast", "-1mbit/1mbit", "1/1"])
def test_rates_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        swarms.rates(text)
