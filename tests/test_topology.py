from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from appbed import loader, topology
from appbed.errors import TopologyError
from appbed.impairment import CLEAN, Impairment, Link
from appbed.loader import Document
from appbed.topology import Role, Route, Topology
from small_lab import write_small


def load(path: Path, **environment: str) -> Topology:
    return topology.load(path, environment)


def test_hosts_networks_and_roles(small: Path) -> None:
    lab = load(small)
    assert (lab.name, lab.path, lab.agent) == ("small", small, "agent")
    assert lab.about == "A client and a server with a router between them."
    assert list(lab.hosts) == ["client", "gateway", "server"], "the agent is no host"
    assert lab.host("server").role == Role("web", ready_tcp=80)
    assert lab.host("gateway").role == Role("router", router=True)
    assert lab.host("client").image == "lab/client"
    assert lab.host("client").dns == (IPv4Address("10.77.2.80"),)
    assert lab.host("server").dns == ()
    assert lab.networks["campus"].subnet == IPv4Network("10.77.1.0/24")
    assert lab.networks["campus"].gateway == IPv4Address("10.77.1.1")


def test_the_net_moves_every_address(small: Path) -> None:
    lab = load(small, APPBED_NET="10.99")
    addresses = [address for host in lab.hosts.values() for address in (*host.addresses, *host.dns)]
    assert all(address in IPv4Network("10.99.0.0/16") for address in addresses)


def test_attachments_in_the_order_of_their_addresses(small: Path) -> None:
    gateway = load(small).host("gateway")
    assert [str(at) for at in gateway.attachments] == ["gateway@campus", "gateway@access"]
    assert gateway.address == IPv4Address("10.77.1.2")
    assert gateway.addresses == (IPv4Address("10.77.1.2"), IPv4Address("10.77.2.2"))


def test_links_of_network_and_attachment(small: Path, tmp_path: Path) -> None:
    assert load(small).attachment("gateway@access").link == Link(
        Impairment(delay_ms=30.0, rate_bit=10e6), Impairment(delay_ms=20.0, rate_bit=10e6)
    )
    path = write_small(tmp_path, ("networks:\n  campus:\n", "networks:\n  campus:\n    x-link: {loss: 1%}\n"))
    lab = load(path)
    assert lab.attachment("client").link == Link(Impairment(loss_pct=1.0), Impairment(loss_pct=1.0))
    assert lab.attachment("gateway@campus").link.up.loss_pct == 1.0
    assert lab.attachment("server").link == Link(CLEAN, CLEAN)


def test_an_attachment_by_name(small: Path) -> None:
    lab = load(small)
    assert lab.attachment("client") is lab.host("client").attachments[0]
    assert lab.attachment("client@campus") is lab.attachment("client")
    with pytest.raises(
        TopologyError, match=r"gateway: is on several networks; known: campus, access; write gateway@ca"
    ):
        lab.attachment("gateway")
    with pytest.raises(TopologyError, match=r"client: network 'access' unknown; known: campus; write client@campus"):
        lab.attachment("client@access")
    with pytest.raises(TopologyError, match=r"small: no host 'clinet'; known: client, gateway, server"):
        lab.attachment("clinet")


def test_a_gateway_address_belongs_to_the_router_with_the_lowest_address(tmp_path: Path, quiet: None) -> None:
    other = (
        "  server:\n    image: lab/web\n",
        "  other:\n    image: lab/router\n    x-role: {name: router, router: true}\n"
        '    networks: {access: {ipv4_address: "10.77.2.3"}}\n  server:\n    image: lab/web\n',
    )
    lab = load(write_small(tmp_path, other))
    held = {host.name: [(str(at), str(gateway)) for at, gateway in lab.gateways(host)] for host in lab.hosts.values()}
    assert held["gateway"] == [("gateway@campus", "10.77.1.1"), ("gateway@access", "10.77.2.1")]
    assert held["other"] == []
    assert held["client"] == [], "a host that does not forward holds no gateway address"
    lower = load(write_small(tmp_path, other, ("10.77.2.3", "10.77.2.1"), ('}.2.1"}}', '}.2.254"}}')))
    assert [str(at) for at, _ in lower.gateways(lower.host("other"))] == ["other@access"]


def chain(links: list[tuple[str, str, str]]) -> Topology:
    """Routers by what joins them: (network, router, router); router rN has host number N in each of its networks."""
    services: dict[str, Any] = {"agent": {"image": "x", "x-role": {"name": "agent"}}}
    networks = {}
    for number, (network, *ends) in enumerate(links, start=1):
        networks[network] = {"ipam": {"config": [{"subnet": f"10.77.{number}.0/24"}]}}
        for router in ends:
            service = services.setdefault(
                router, {"image": "x", "x-role": {"name": "router", "router": True}, "networks": {}}
            )
            service["networks"][network] = {"ipv4_address": f"10.77.{number}.{router[1:]}"}
    data = {"x-testbed": {"about": "x"}, "services": services, "networks": networks}
    return topology.resolve(Document(Path("chain.yaml"), data))


def route(subnet: str, via: str) -> Route:
    return Route(IPv4Network(subnet), IPv4Address(via))


def test_routes_go_over_the_fewest_routers() -> None:
    """r1 -a- r2 -b- r3 -c- r4, and a short cut d from r1 to r4."""
    lab = chain([("a", "r1", "r2"), ("b", "r2", "r3"), ("c", "r3", "r4"), ("d", "r1", "r4")])
    assert set(lab.routes(lab.host("r1"))) == {route("10.77.2.0/24", "10.77.1.2"), route("10.77.3.0/24", "10.77.4.4")}
    assert set(lab.routes(lab.host("r2"))) == {route("10.77.3.0/24", "10.77.2.3"), route("10.77.4.0/24", "10.77.1.1")}


def test_routes_reach_every_network_of_a_long_chain_and_none_by_default() -> None:
    lab = chain([(f"n{i}", f"r{i}", f"r{i + 1}") for i in range(1, 7)])
    for host in lab.hosts.values():
        routes = lab.routes(host)
        own = {lab.networks[at.network].subnet for at in host.attachments}
        assert {each.subnet for each in routes} == {net.subnet for net in lab.networks.values()} - own
        assert all(any(each.via in subnet for subnet in own) for each in routes), "a next hop is a neighbour"
        assert not any(each.subnet.prefixlen == 0 for each in routes)


def test_a_host_in_two_networks_has_routes_and_is_nobody_s_way(tmp_path: Path, quiet: None) -> None:
    """It stands in `side`, where no router is: its routes lead through the campus, and none of the lab leads through it."""
    side = 'networks:\n  side: {ipam: {config: [{subnet: "${APPBED_NET:-10.77}.254.0/29"}]}}\n  campus:\n'
    one = '      campus: {ipv4_address: "${APPBED_NET:-10.77}.1.10"}'
    both = '      side: {ipv4_address: "${APPBED_NET:-10.77}.254.2"}\n' + one
    lab = load(write_small(tmp_path, (one, both), ("networks:\n  campus:\n", side)))
    assert set(lab.routes(lab.host("client"))) == {route("10.77.2.0/24", "10.77.1.2")}
    assert lab.routes(lab.host("gateway")) == ()
    assert list(lab.gateways(lab.host("client"))) == []


def test_networks_nobody_uses_are_left_out(tmp_path: Path, quiet: None) -> None:
    path = write_small(
        tmp_path,
        ("networks:\n  campus:\n", "networks:\n  spare: {ipam: {config: [{subnet: 10.9.0.0/24}]}}\n  campus:\n"),
    )
    assert set(load(path).networks) == {"campus", "access"}


def test_a_topology_survives_its_way_to_the_agent(small: Path) -> None:
    """The orchestrator hands the resolved document over as JSON."""
    document = loader.load(small, {"APPBED_NET": "10.80"})
    arrived = topology.resolve(Document(small, json.loads(json.dumps(document.data))))
    assert arrived == topology.resolve(document)
