from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed import loader, topology
from appbed.errors import AppbedError, TopologyError
from appbed.impairment import CLEAN, Impairment, Link
from appbed.loader import Document
from appbed.topology import Role, Route, Topology
from small_lab import write_small


def load(path: Path, **environment: str) -> Topology:
    return topology.load(path, environment)


def refused(path: Path) -> str:
    with pytest.raises(TopologyError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


# ---- what a lab is


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


# ---- what is refused

AGENT = "    x-role: {name: agent}\n"
CAMPUS_IPAM = (
    'ipam: {config: [{subnet: "${APPBED_NET:-10.77}.1.0/24", '
    'aux_addresses: {DefaultGatewayIPv4: "${APPBED_NET:-10.77}.1.1"}}]}'
)
CLIENT = '      campus: {ipv4_address: "${APPBED_NET:-10.77}.1.10"}\n'


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ((CLIENT, '      campus: {ipv4_address: "10.77.9.10"}\n'),
         "services.client.networks.campus.ipv4_address",
         "10.77.9.10 is outside 10.77.1.0/24; choose one from 10.77.1.1 to 10.77.1.254"),
        ((CLIENT, '      campus: {ipv4_address: "10.77.1.2"}\n'),
         "services.gateway.networks.campus.ipv4_address",
         "10.77.1.2 is already that of client; give each its own"),
        ((CLIENT, '      campus: {ipv4_address: "10.77.1.1"}\n'),
         "services.client.networks.campus.ipv4_address",
         "10.77.1.1 is already the gateway of campus; give each its own"),
        ((CLIENT, "      campus: {}\n"),
         "services.client.networks.campus.ipv4_address",
         "is missing; every address is fixed: write one, for example 10.77.1.10"),
        ((CLIENT, "      campus: {ipv4_address: 10.77.1.300}\n"),
         "services.client.networks.campus.ipv4_address",
         "'10.77.1.300' is not an IPv4 address; write for example 10.77.1.10"),
        ((CLIENT, "      campus: {ipv4_address: 'fd00::1'}\n"),
         "services.client.networks.campus.ipv4_address",
         "'fd00::1' is not an IPv4 address; write for example 10.77.1.10"),
        ((CLIENT, "      campsu: {ipv4_address: 10.77.1.10}\n"),
         "services.client.networks.campsu",
         "unknown network; known: campus, access"),
        ((CLIENT, "      campus: {ipv4_address: 10.77.1.10, x-lnk: {delay: 5ms}}\n"),
         "services.client.networks.campus.x-lnk",
         "unknown key; known: x-link"),
        ((CLIENT, "      campus: {ipv4_address: 10.77.1.10, x-link: {dealy: 5ms}}\n"),
         "services.client.networks.campus.x-link.dealy",
         "unknown key; known: delay, jitter"),
        ((CLIENT, "      campus: {ipv4_address: 10.77.1.10, x-link: {delay: fast}}\n"),
         "services.client.networks.campus.x-link.delay",
         "'fast' is not a time; write it with its unit: 20ms, 1.5s, 250us"),
        ((CLIENT, "      campus: {ipv4_address: 10.77.1.10, x-link: {up: {loss: 2}}}\n"),
         "services.client.networks.campus.x-link",
         "2 has no unit; write it with its unit: 1%, 0.5%"),
        (("networks:\n  campus:\n", "networks:\n  campus:\n    x-link: {delay: fast}\n"),
         "networks.campus.x-link.delay",
         "'fast' is not a time; write it with its unit"),
        (("networks:\n  campus:\n", "networks:\n  campus:\n    x-links: {delay: 5ms}\n"),
         "networks.campus.x-links",
         "unknown key; known: x-link"),
        (("    x-role: {name: client}\n", "    x-role: {name: client, redy: {tcp: 80}}\n"),
         "services.client.x-role.redy",
         "unknown key; known: name, ready, router, unsupported"),
        (("    x-role: {name: client}\n", "    x-rol: {name: client}\n"),
         "services.client.x-rol",
         "unknown key; known: x-role"),
        (("    image: lab/client\n", ""),
         "services.client",
         "has no image; extend a role of images/ or name an image: or a build:"),
        (("  client:\n", "  Client:\n"),
         "services.Client",
         "'Client' is no host name; use at most 63 of a-z, 0-9, '-', '_' and '.'"),
        (('    dns: "${APPBED_NET:-10.77}.2.80"\n', "    dns: nameserver\n"),
         "services.client.dns",
         "'nameserver' is not an IPv4 address; write for example 10.77.1.53"),
        (("x-testbed: {about: ", "x-testbed: {needs: [], neds: [], about: "),
         "x-testbed.neds",
         "unknown key; known: about, needs"),
        ((AGENT, "    networks: {access: {ipv4_address: 10.77.2.9}}\n    x-role: {name: spare}\n"),
         "services",
         "0 services have the role agent; exactly one is needed; add agent: {extends:"),
        (("    x-role: {name: client}\n", AGENT),
         "services",
         "2 services have the role agent; exactly one is needed"),
        (('}.2.0/24", aux', '}.1.128/25", aux'), "networks.access.ipam", "10.77.2.1 is outside 10.77.1.128/25"),
    ],
)  # fmt: skip
def test_a_wrong_topology_is_named_with_file_path_value_and_remedy(
    tmp_path: Path, quiet: None, change: tuple[str, str], place: str, said: str
) -> None:
    path = write_small(tmp_path, change)
    text = refused(path)
    assert text.startswith(f"{path}: {place}")
    assert said in text


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("    x-role: {name: client}\n", "    x-role: {nmae: client}\n"), "services.client.x-role.nmae"),
        (("x-testbed: {about: ", "x-testbed: {abuot: "), "x-testbed.abuot"),
    ],
)
def test_a_misspelt_key_that_is_needed_is_named(
    tmp_path: Path, quiet: None, change: tuple[str, str], place: str
) -> None:
    path = write_small(tmp_path, change)
    assert refused(path).startswith(f"{path}: {place}: unknown key; known: ")


def test_overlapping_networks_are_refused(tmp_path: Path, quiet: None) -> None:
    path = write_small(
        tmp_path,
        ('}.2.0/24", aux_addresses: {DefaultGatewayIPv4: "${APPBED_NET:-10.77}.2.1"}', '}.0.0/16"'),
    )
    assert refused(path) == f"{path}: networks.access: 10.77.0.0/16 overlaps campus (10.77.1.0/24)"


def test_a_subnet_that_is_none_is_refused(tmp_path: Path, quiet: None) -> None:
    path = write_small(tmp_path, ('subnet: "${APPBED_NET:-10.77}.1.0/24"', "subnet: 10.77.1.5/24"))
    assert refused(path) == (
        f"{path}: networks.campus.ipam.config.subnet: '10.77.1.5/24' is not an IPv4 network; "
        "write for example 10.77.1.0/24"
    )


def test_an_error_in_an_included_part_names_that_part(tmp_path: Path, quiet: None) -> None:
    part = tmp_path / "part.yaml"
    part.write_text("services: {extra: {image: x, networks: {campus: {ipv4_address: 10.77.9.9}}}}", encoding="utf-8")
    path = write_small(tmp_path, ("services:\n", "include: [part.yaml]\nservices:\n"))
    assert refused(path).startswith(f"{part}: services.extra.networks.campus.ipv4_address: 10.77.9.9 is outside ")


def test_an_error_in_an_override_names_the_override(small: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("services: {client: {networks: {campus: {ipv4_address: 10.0.0.1}}}}", encoding="utf-8")
    with pytest.raises(TopologyError) as caught:
        topology.load(small, {}, over)
    assert str(caught.value).startswith(f"{over}: services.client.networks.campus.ipv4_address: 10.0.0.1 is outside ")


def test_a_host_without_a_network_is_refused(tmp_path: Path, quiet: None) -> None:
    path = write_small(tmp_path, ("    networks:\n" + CLIENT, ""))
    assert refused(path) == f"{path}: services.client.networks: names no network with an address; known: campus, access"


def test_a_role_is_named_after_its_service_if_it_says_nothing(tmp_path: Path, quiet: None) -> None:
    path = write_small(tmp_path, ("    x-role: {name: client}\n", ""))
    assert load(path).host("client").role == Role("client")


# ---- any value anywhere


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def small_document() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return loader.load(write_small(Path(folder)), {}).data


SMALL = small_document()
# Places where a value of the wrong kind is no clear line yet: see the test after the next one.
KNOWN_DEFECTS = {("services", "client", "dns"), *(path for path in places(SMALL) if "ipam" in path)}
junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)  # fmt: skip


@given(st.sampled_from([path for path in places(SMALL) if len(path) > 2 and path not in KNOWN_DEFECTS]), junk)
def test_any_value_anywhere_gives_a_topology_or_one_clear_line(path: tuple[str | int, ...], value: object) -> None:
    data = copy.deepcopy(SMALL)
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    said = "lab.yaml: "
    try:
        topology.resolve(Document(Path("lab.yaml"), data))
    except AppbedError as error:
        said = str(error)
    assert said.startswith("lab.yaml: ")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('dns: "${APPBED_NET:-10.77}.2.80"', "dns: 5"),
        (CAMPUS_IPAM, "ipam: 5"),
        (CAMPUS_IPAM, "ipam: {config: {subnet: 10.77.1.0/24}}"),
        (CAMPUS_IPAM, "ipam: {config: [10.77.1.0/24]}"),
        (CAMPUS_IPAM, "ipam: {config: [{subnet: 10.77.1.0/24, aux_addresses: [10.77.1.1]}]}"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_place(tmp_path: Path, quiet: None, old: str, new: str) -> None:
    path = write_small(tmp_path, (old, new))
    assert refused(path).startswith(f"{path}: ")
