"""Every shipped topology, read by us and by Compose, with two nets: one meaning, and no service that may do more than it must."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from appbed import places, topology
from appbed.loader import Document
from appbed.topology import Topology

NETS = ("10.77", "10.99")
SHIPPED = list(places.topologies())
AGENT_CAPABILITIES = {"NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE"}
# Beside these no service may gain a power; a role that needs one names it here and in its README.
ROLE_CAPABILITIES: Mapping[str, set[str]] = {"mail": {"SETUID", "SETGID"}}
BROWSER = (
    "browser"  # the one network with a way to the machine; images/window/README.md says why nothing gets out by it
)


def environment(net: str) -> dict[str, str]:
    """What Compose sees: nothing of this machine's labs."""
    ours = ("APPBED_", "COMPOSE_", "DOCKER_")
    return {**{key: value for key, value in os.environ.items() if not key.startswith(ours)}, "APPBED_NET": net}


@functools.cache
def ours(name: str, net: str) -> Topology:
    return topology.load(places.topologies()[name], {"APPBED_NET": net})


@pytest.fixture(scope="session")
def composed() -> dict[tuple[str, str], dict[str, Any]]:
    """`docker compose config` of every topology with every net; needs the client and no engine."""
    remedy = "install Docker Compose 2.23.1 or newer, `appbed setup` does"
    if not shutil.which("docker"):
        pytest.skip(f"there is no docker command: {remedy}")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip(f"docker has no compose: {remedy}")

    def config(case: tuple[str, str]) -> dict[str, Any]:
        argv = ["docker", "compose", "-f", str(places.topologies()[case[0]]), "config"]  # as JSON it forgets our keys
        done = subprocess.run(argv, env=environment(case[1]), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        read: dict[str, Any] = yaml.load(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return read

    cases = [(name, net) for name in SHIPPED for net in NETS]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(cases, pool.map(config, cases), strict=True))


# ---- one meaning


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", SHIPPED)
def test_we_read_what_compose_reads(name: str, net: str, composed: dict[tuple[str, str], dict[str, Any]]) -> None:
    path = places.topologies()[name]
    theirs = topology.resolve(Document(path, composed[name, net]))
    assert replace(ours(name, net), path=path) == theirs


@pytest.mark.parametrize("name", SHIPPED)
def test_compose_knows_no_host_that_we_do_not(name: str, composed: dict[tuple[str, str], dict[str, Any]]) -> None:
    data, lab = composed[name, NETS[0]], ours(name, NETS[0])
    assert set(data["services"]) == {*lab.hosts, lab.agent}
    assert set(data["networks"]) == set(lab.networks)


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_but_the_addresses_depends_on_the_net(name: str) -> None:
    """And all of them do: no address is written out."""
    one, other = (repr(replace(ours(name, net), path=Path())) for net in NETS)
    assert one != other
    assert one.replace(f"'{NETS[0]}.", f"'{NETS[1]}.") == other


# ---- what a lab must be


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_address_is_inside_its_subnet_and_the_subnets_inside_the_lease(name: str, net: str) -> None:
    lab = ours(name, net)
    for network in lab.networks.values():
        assert network.subnet.subnet_of(IPv4Network(f"{net}.0.0/16"))
        assert network.gateway in network.subnet
    for attachment in lab.attachments():
        assert attachment.address in lab.networks[attachment.network].subnet
        assert attachment.address not in (
            lab.networks[attachment.network].subnet.network_address,
            lab.networks[attachment.network].subnet.broadcast_address,
            lab.networks[attachment.network].subnet[-2],
        ), "the last one is the engine's"


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_named_after_its_file_and_says_what_it_is_about(name: str) -> None:
    lab = ours(name, NETS[0])
    assert lab.name == name
    assert len(lab.about) > 20
    assert "\n" not in lab.about


@pytest.mark.parametrize("name", SHIPPED)
def test_every_role_has_a_folder_with_its_contract(name: str) -> None:
    images = {host.image for host in ours(name, NETS[0]).hosts.values()}
    for image in images:
        folder = places.root() / "images" / image.removeprefix("appbed/").partition(":")[0]
        for file in ("Dockerfile", "service.yaml", "README.md"):
            assert (folder / file).is_file(), f"{folder.name} lacks {file}"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_role_is_a_service_of_some_folder(name: str) -> None:
    services = {
        line.strip().removesuffix(":")
        for path in (places.root() / "images").glob("*/service.yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("  ") and not line.startswith("   ")
    }
    roles = {host.role.name for host in ours(name, NETS[0]).hosts.values()}
    assert roles <= services


@pytest.mark.parametrize("name", SHIPPED)
def test_every_network_has_a_router_that_holds_its_gateway_and_all_are_joined(name: str) -> None:
    lab = ours(name, NETS[0])
    held = {attachment.network for host in lab.hosts.values() for attachment, _ in lab.gateways(host)}
    inside = [network for network in lab.networks.values() if network.name != BROWSER]
    assert held == {network.name for network in inside}
    for host in lab.hosts.values():
        if host.role.router or len(host.attachments) > 1:
            near = {attachment.network for attachment in host.attachments}
            far = {route.subnet for route in lab.routes(host)}
            assert far == {network.subnet for network in inside if network.name not in near}


@pytest.mark.parametrize("name", SHIPPED)
def test_who_asks_for_names_asks_a_host_of_the_lab(name: str) -> None:
    lab = ours(name, NETS[0])
    addresses = {address for host in lab.hosts.values() for address in host.addresses}
    for host in lab.hosts.values():
        assert all(server in addresses or server.is_loopback for server in host.dns), host.name


@pytest.mark.parametrize("name", SHIPPED)
def test_every_host_that_serves_says_when_it_is_ready(name: str) -> None:
    lab = ours(name, NETS[0])
    silent = {host.role.name for host in lab.hosts.values() if not (host.role.ready_tcp or host.role.ready_dns)}
    assert silent <= {"client", "router", "peer"}


# ---- what a service may do


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", SHIPPED)
def test_no_service_may_do_more_than_it_must(
    name: str, net: str, composed: dict[tuple[str, str], dict[str, Any]]
) -> None:
    lab, services = ours(name, net), composed[name, net]["services"]
    for service, settings in services.items():
        assert settings["cap_drop"] == ["ALL"], service
        assert "no-new-privileges:true" in settings["security_opt"], service
        assert not settings.get("privileged"), service
        added = set(settings.get("cap_add") or ())
        if service == lab.agent:
            assert added == AGENT_CAPABILITIES
            continue
        role = lab.hosts[service].role
        assert added <= (set() if role.router else ROLE_CAPABILITIES.get(role.name, set())), service
        assert not {"pid", "ipc", "network_mode", "devices", "userns_mode", "uts"} & {
            key for key, value in settings.items() if value
        }, service
        assert settings["mem_limit"], service
        assert settings["pids_limit"], service


@pytest.mark.parametrize("name", SHIPPED)
def test_no_port_is_open_to_other_machines(name: str, composed: dict[tuple[str, str], dict[str, Any]]) -> None:
    for service, settings in composed[name, NETS[0]]["services"].items():
        for port in settings.get("ports") or ():
            assert port.get("host_ip") == "127.0.0.1", f"{service} publishes {port}"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_machine_is_beside_the_window_alone_which_forwards_nothing(
    name: str, composed: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """And its default route, until the agent takes it away, leads to an address nobody has."""
    lab, data = ours(name, NETS[0]), composed[name, NETS[0]]
    beside = {at.host for at in lab.attachments() if at.network == BROWSER}
    publishing = {service for service, settings in data["services"].items() if settings.get("ports")}
    assert publishing == beside
    assert {lab.host(host).role.name for host in beside} <= {"window"}
    for host in beside:
        assert data["services"][host]["sysctls"]["net.ipv4.ip_forward"] == "0"
        assert min(at.network for at in lab.host(host).attachments) == BROWSER, "the engine publishes on the first"
        assert lab.networks[BROWSER].gateway not in {at.address for at in lab.attachments()}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_page_of_the_window_is_published_under_its_own_number(
    name: str, composed: dict[tuple[str, str], dict[str, Any]]
) -> None:
    for service, settings in composed[name, NETS[0]]["services"].items():
        named = [page.partition("=")[0] for page in settings["environment"].get("PAGES", "").split()]
        ports = settings.get("ports") or ()
        assert [(str(port["target"]), port["published"]) for port in ports] == [(port, port) for port in named], service


@pytest.mark.parametrize("name", SHIPPED)
def test_nobody_holds_the_engine_s_socket_or_a_folder_to_write_to(
    name: str, composed: dict[tuple[str, str], dict[str, Any]]
) -> None:
    for service, settings in composed[name, NETS[0]]["services"].items():
        for volume in settings.get("volumes") or ():
            assert volume["type"] == "bind", f"{service} has {volume}"
            assert volume.get("read_only"), f"{service} may write to {volume['source']}"
            assert "docker.sock" not in volume["source"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_service_and_network_carries_its_instance(
    name: str, composed: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """`gc` and `down` find things by that label, the agent hosts by that setting."""
    data = composed[name, NETS[0]]
    for service, settings in data["services"].items():
        assert settings["labels"]["org.appbed.instance"] == name, service
        assert settings["environment"]["APPBED_INSTANCE"] == name, service
        assert settings["environment"]["APPBED_NET"] == NETS[0], service
    for network, settings in data["networks"].items():
        assert settings["labels"]["org.appbed.instance"] == name, network
        assert {"org.appbed.owner", "org.appbed.lives-on"} <= set(settings["labels"]), network


@pytest.mark.parametrize("name", SHIPPED)
def test_networks_keep_the_engine_s_machine_out(name: str, composed: dict[tuple[str, str], dict[str, Any]]) -> None:
    for key, network in composed[name, NETS[0]]["networks"].items():
        unreachable = {
            "com.docker.network.bridge.inhibit_ipv4": "true",
            "com.docker.network.bridge.gateway_mode_ipv4": "routed",
        }
        never_out = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
        assert network["driver_opts"] == ({} if key == BROWSER else unreachable) | never_out
        assert not network.get("external")
        assert not network.get("enable_ipv6")
