"""A host of several networks is wired whole or not at all, and can be wired again."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from appbed import topology
from appbed.agent import hosts as hosts_module
from appbed.agent.cables import Port
from appbed.agent.door import Door, Found
from appbed.agent.hosts import Hosts, Running
from appbed.agent.memory import Memory
from appbed.agent.netlink import Interface
from appbed.impairment import Impairment, Link
from small_lab import write_small

SLOW = Link(Impairment(delay_ms=5), Impairment(delay_ms=5))
VETHS = {"campus": 11, "access": 12}


class Cables:
    """Remembers what is plugged in; the veths in `gone` refuse whatever is done to them."""

    kind = "memory"
    unused: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.plugged: list[int] = []
        self.cleaned: list[int] = []
        self.gone: set[int] = set()
        self.stuck: set[int] = set()

    def plug(self, port: Port, link: Link) -> None:
        if port.veth in self.gone:
            raise OSError(errno.ENODEV, "No such device")
        self.plugged.append(port.veth)

    def clean(self, port: Port) -> None:
        self.cleaned.append(port.veth)

    def set(self, links: Mapping[str, Link]) -> None:
        pass

    def unplug(self, port: Port, *, gone: bool) -> None:
        if port.veth in self.stuck:
            raise OSError(errno.ENXIO, "its interface is going")
        self.plugged.remove(port.veth)

    def leave(self) -> None:
        pass

    def counters(self) -> Mapping[str, Any]:
        return {}


class Quiet:
    """A rtnetlink that does nothing."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None: ...

    def quiet_ipv6(self, index: int) -> None: ...

    def set_link(self, index: int, *, master: int) -> None: ...


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    monkeypatch.setattr(hosts_module, "Netlink", Quiet)
    shape = topology.load(write_small(tmp_path), {})
    return Hosts(shape, "x", cast(Door, None), Cables(), Memory(tmp_path))


def interface(index: int, *, peer: int = 0, master: int = 0) -> Interface:
    return Interface(index, f"if{index}", b"\2\0\0\0\0\1", 1500, peer, master, ())


def gateway(hosts: Hosts) -> Running:
    """A host of two networks, both links slow."""
    hosts.wanted |= {"gateway@campus": SLOW, "gateway@access": SLOW}
    inside = {network: interface(2, peer=veth) for network, veth in VETHS.items()}
    return Running(hosts.topology.hosts["gateway"], Found(1, 1, 1), inside)


def machine(*networks: str) -> dict[int, Interface]:
    """The engine's side, with the veths of these networks in their bridges."""
    bridges = {1: interface(1), 2: interface(2)}
    return bridges | {VETHS[net]: interface(VETHS[net], master=list(VETHS).index(net) + 1) for net in networks}


def cables(hosts: Hosts) -> Cables:
    return cast(Cables, hosts._cables)


def test_nothing_is_plugged_in_before_every_port_is_found(hosts: Hosts) -> None:
    running = gateway(hosts)
    for there in (("campus",), ("access",)):
        with pytest.raises(LookupError, match="is not on this machine"):
            hosts._wire(running, machine(*there))
        assert (cables(hosts).plugged, running.ports) == ([], {})
    hosts._wire(running, machine(*VETHS))
    assert cables(hosts).plugged == [port.veth for port in running.ports.values()]
    assert sorted(cables(hosts).plugged) == [11, 12]


@pytest.mark.parametrize("stuck", [set(), {11, 12}])
def test_what_was_plugged_in_is_taken_out_and_the_first_reason_is_told(hosts: Hosts, stuck: set[int]) -> None:
    running = gateway(hosts)
    last = VETHS[running.host.attachments[-1].network]
    cables(hosts).gone, cables(hosts).stuck = {last}, stuck
    with pytest.raises(OSError, match="No such device"):
        hosts._wire(running, machine(*VETHS))
    assert running.ports == {}
    assert len(cables(hosts).plugged) == len(stuck) // 2


def test_a_full_disk_keeps_no_host_from_being_wired(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hosts._memory, "keep", full)
    running = gateway(hosts)
    hosts._wire(running, machine(*VETHS))
    assert sorted(running.ports) == ["access", "campus"]


def test_what_an_earlier_agent_left_at_a_clean_link_is_taken_away(hosts: Hosts) -> None:
    running = gateway(hosts)
    hosts.wanted["gateway@campus"] = Link()
    hosts._wire(running, machine(*VETHS))
    assert (cables(hosts).cleaned, cables(hosts).plugged, list(running.ports)) == ([11], [12], ["access"])
