"""Groups that cannot reach each other, each of them whole."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from appbed import partition, places, topology
from appbed.errors import InputError
from appbed.topology import Topology
from small_lab import write_small


@pytest.fixture
def small(tmp_path: Path) -> Topology:
    return topology.load(write_small(tmp_path), {})


@pytest.fixture
def web() -> Topology:
    return topology.load(places.topology_file("web"), {})


def reached(shape: Topology, cut: list[str], start: str) -> set[str]:
    """Hosts that frames from `start` can still get to."""
    on: defaultdict[str, list[str]] = defaultdict(list)
    for at in shape.attachments():
        if str(at) not in cut:
            on[at.host].append(at.network)
            on[f"network {at.network}"].append(at.host)
    seen, waiting = set(), [start]
    while waiting:
        host = waiting.pop()
        if host not in seen:
            seen.add(host)
            waiting += [other for network in on[host] for other in on[f"network {network}"]]
    return seen


def test_who_is_named_in_no_group_belongs_to_the_nearest(small: Topology) -> None:
    assert partition.cables(small, [["client"], ["server"]]) == ["gateway@access"]
    assert partition.cables(small, [["client", "access"], ["server"]]) == ["server@access"]
    assert partition.cables(small, [["client"], ["server", "gateway"]]) == ["gateway@campus"]


def test_one_group_stands_against_all_the_rest(small: Topology) -> None:
    assert partition.cables(small, [["client", "campus"]]) == ["gateway@campus"]
    assert partition.cables(small, [["client"]]) == ["client@campus"]


def test_hosts_of_two_groups_never_reach_each_other_and_those_of_one_always_do(web: Topology) -> None:
    parted = 0
    for first, second in combinations(sorted(web.hosts), 2):
        cut = partition.cables(web, [[first], [second]])
        assert second not in reached(web, cut, first)
        parted += 1
    assert parted > 100


def test_a_group_that_would_fall_apart_is_refused(small: Topology) -> None:
    with pytest.raises(InputError, match="client and server are in one group and would be parted too"):
        partition.cables(small, [["client", "server"], ["gateway"]])


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ([], "needs two groups"),
        ([["client", "gateway", "server", "campus", "access"]], "needs two groups"),
        ([["client"], ["klient"]], "no host or network 'klient'; known: client, gateway, server, campus, access"),
        ([["client"], ["client"]], "client is in two groups"),
    ],
)
def test_groups_that_mean_nothing_are_refused(small: Topology, groups: list[list[str]], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        partition.cables(small, groups)
