"""Topology, Host, Attachment: what a Compose document says about a lab. Pure.

    Topology ── networks ── Network(subnet, gateway address)
        └────── hosts ───── Host(role, dns) ── attachments ── Attachment(network, address, link)

A network's gateway address belongs to its router with the lowest address; routes follow from who is attached where.
"""

from __future__ import annotations

import ipaddress
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from appbed import impairment, loader, schema
from appbed.errors import TopologyError
from appbed.impairment import Link
from appbed.loader import Document

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Role:
    """What a host is: `ready_tcp` a port, `ready_dns` a name the server there must answer."""

    name: str
    router: bool = False
    ready_tcp: int | None = None
    ready_dns: str | None = None
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    name: str
    subnet: IPv4Network
    gateway: IPv4Address | None


@dataclass(frozen=True, slots=True)
class Attachment:
    """One host's cable into one network."""

    host: str
    network: str
    address: IPv4Address
    link: Link

    def __str__(self) -> str:
        return f"{self.host}@{self.network}"


@dataclass(frozen=True, slots=True)
class Route:
    """`subnet` is reached through `via`, an address on a network this router is attached to."""

    subnet: IPv4Network
    via: IPv4Address


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    role: Role
    image: str
    attachments: tuple[Attachment, ...]
    dns: tuple[IPv4Address, ...] = ()

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        return tuple(attachment.address for attachment in self.attachments)

    @property
    def address(self) -> IPv4Address:
        return self.attachments[0].address

    def attachment(self, network: str | None = None) -> Attachment:
        """Its cable into `network`; without a name its only one."""
        names = [attachment.network for attachment in self.attachments]
        if network is None and len(names) == 1:
            return self.attachments[0]
        for attachment in self.attachments:
            if attachment.network == network:
                return attachment
        asked = f"network {network!r} unknown" if network else "is on several networks"
        raise TopologyError(self.name, asked, choices=names, remedy=f"write {self.name}@{names[0]}")


@dataclass(frozen=True, slots=True)
class Topology:
    name: str
    path: Path
    about: str
    needs: tuple[str, ...]
    agent: str
    hosts: Mapping[str, Host]
    networks: Mapping[str, Network]

    def host(self, name: str) -> Host:
        if name not in self.hosts:
            raise TopologyError(self.name, f"no host {name!r}", choices=self.hosts)
        return self.hosts[name]

    def attachment(self, name: str) -> Attachment:
        """By "host" (if it has one network) or "host@network"."""
        host, _, network = name.partition("@")
        return self.host(host).attachment(network or None)

    def attachments(self) -> Iterator[Attachment]:
        for host in self.hosts.values():
            yield from host.attachments

    def gateways(self, host: Host) -> Iterator[tuple[Attachment, IPv4Address]]:
        """The gateway addresses this router holds beside its own."""
        for attachment in host.attachments:
            network = self.networks[attachment.network]
            if network.gateway and self._gateway_router(network) == host.name:
                yield attachment, network.gateway

    def routes(self, router: Host) -> tuple[Route, ...]:
        """One route a subnet it is not attached to, over the fewest routers; none by default, so nothing leaves the lab."""
        routes = []
        known = {attachment.network for attachment in router.attachments}
        queue: deque[tuple[str, IPv4Address]] = deque()
        for attachment in router.attachments:
            queue.extend(self._neighbours(attachment.network, router.name))
        visited = {router.name}
        while queue:
            name, via = queue.popleft()
            if name in visited:
                continue
            visited.add(name)
            for attachment in self.hosts[name].attachments:
                if attachment.network not in known:
                    known.add(attachment.network)
                    routes.append(Route(self.networks[attachment.network].subnet, via))
                queue.extend((other, via) for other, _ in self._neighbours(attachment.network, name))
        return tuple(routes)

    def _neighbours(self, network: str, besides: str) -> list[tuple[str, IPv4Address]]:
        return sorted(
            (
                (host.name, at.address)
                for host in self.hosts.values()
                if host.role.router and host.name != besides
                for at in host.attachments
                if at.network == network
            ),
            key=lambda pair: pair[1],
        )

    def _gateway_router(self, network: Network) -> str | None:
        routers = self._neighbours(network.name, besides="")
        return routers[0][0] if routers else None


def load(path: Path, environment: Mapping[str, str], *overrides: Path) -> Topology:
    """The topology in a Compose file; TopologyError names file, path, value and choices."""
    return resolve(loader.load(path, environment, *overrides))


def resolve(document: Document) -> Topology:
    """The topology in a Compose document."""
    data = document.data
    known = schema.read(schema.TestbedBlock, data.get("x-testbed") or {}, document.place("x-testbed"))
    networks, blocks = _networks(document)
    hosts: dict[str, Host] = {}
    agents = []
    for name, service in data["services"].items():
        role = _role(document, name, service)
        if role.name == "agent":
            agents.append(name)
        else:
            hosts[name] = _host(document, name, service, role, networks, blocks)
    if len(agents) != 1:
        raise TopologyError(
            document.place("services"),
            f"{len(agents)} services have the role agent; exactly one is needed",
            remedy="add agent: {extends: {file: ../images/agent/service.yaml, service: agent}}",
        )
    used = {attachment.network for host in hosts.values() for attachment in host.attachments}
    topology = Topology(
        name=str(data.get("name") or document.path.stem),
        path=document.path,
        about=known.about,
        needs=tuple(known.needs),
        agent=agents[0],
        hosts=hosts,
        networks={name: network for name, network in networks.items() if name in used},
    )
    _unique(document, topology)
    return topology


def _networks(document: Document) -> tuple[dict[str, Network], dict[str, dict[str, object]]]:
    networks, blocks = {}, {}
    for name, network in document.data["networks"].items():
        place = document.place("networks", name)
        _only(network, place, "x-link")
        block = schema.settings(schema.read(schema.LinkBlock, network.get("x-link") or {}, f"{place}.x-link"))
        impairment.resolve(f"{place}.x-link", block)
        blocks[name] = block
        config, auxiliary = _ipam(network, f"{place}.ipam")
        subnet = _address(IPv4Network, config.get("subnet"), f"{place}.ipam.config.subnet", "10.77.1.0/24")
        gateway = auxiliary.get("DefaultGatewayIPv4")
        place = f"{place}.ipam.config.aux_addresses.DefaultGatewayIPv4"
        networks[name] = Network(name, subnet, _inside(gateway, subnet, place) if gateway else None)
    return networks, blocks


def _ipam(network: Mapping[str, Any], place: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The first IPAM configuration and its auxiliary addresses."""
    configs = _mapping(network.get("ipam"), place).get("config") or [{}]
    if not isinstance(configs, list):
        raise TopologyError(f"{place}.config", f"{configs!r} is not a list", remedy="write [{subnet: 10.77.1.0/24}]")
    config = _mapping(configs[0], f"{place}.config")
    return config, _mapping(config.get("aux_addresses"), f"{place}.config.aux_addresses")


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise TopologyError(place, f"{value!r} is not a mapping", remedy="write `key: value` lines below it")
    return value or {}


def _role(document: Document, name: str, service: Mapping[str, Any]) -> Role:
    place = document.place("services", name)
    if not _NAME.fullmatch(name):
        raise TopologyError(
            place, f"{name[:70]!r} is no host name", remedy="use at most 63 of a-z, 0-9, '-', '_' and '.'"
        )
    _only(service, place, "x-role")
    block = schema.read(schema.RoleBlock, service.get("x-role") or {"name": name}, f"{place}.x-role")
    if not service.get("image") and not service.get("build"):
        raise TopologyError(place, "has no image", remedy="extend a role of images/ or name an image: or a build:")
    ready = block.ready or schema.ReadyBlock(tcp=None, dns=None)
    return Role(block.name, block.router, ready.tcp, ready.dns, tuple(block.unsupported))


def _host(
    document: Document,
    name: str,
    service: Mapping[str, Any],
    role: Role,
    networks: Mapping[str, Network],
    blocks: Mapping[str, dict[str, object]],
) -> Host:
    place = document.place("services", name)
    attachments = []
    declared = service.get("networks") or {}
    if not isinstance(declared, Mapping) or not declared:
        raise TopologyError(f"{place}.networks", "names no network with an address", choices=networks)
    for network, attached in declared.items():
        where = f"{place}.networks.{network}"
        attached = attached or {}
        if network not in networks:
            raise TopologyError(where, "unknown network", choices=networks)
        _only(attached, where, "x-link")
        own = schema.settings(schema.read(schema.LinkBlock, attached.get("x-link") or {}, f"{where}.x-link"))
        impairment.resolve(f"{where}.x-link", {key: value for key, value in own.items() if key in ("up", "down")} or {})
        link = impairment.resolve(f"{where}.x-link", blocks[network], own)
        address = _inside(attached.get("ipv4_address"), networks[network].subnet, f"{where}.ipv4_address")
        attachments.append(Attachment(name, network, address, link))
    dns = service.get("dns") or []
    servers = dns if isinstance(dns, list) else [dns]
    return Host(
        name,
        role,
        str(service.get("image") or ""),
        tuple(sorted(attachments, key=lambda at: at.address)),
        tuple(_address(IPv4Address, server, f"{place}.dns", "10.77.1.53") for server in servers),
    )


def _only(mapping: Any, place: str, *keys: str) -> None:
    if not isinstance(mapping, Mapping):
        raise TopologyError(place, f"{mapping!r} is not a mapping")
    for key in mapping:
        if str(key).startswith("x-") and key not in keys:
            raise TopologyError(f"{place}.{key}", "unknown key", choices=keys)


def _address(kind: type[Any], text: object, place: str, example: str) -> Any:
    if text is None:
        raise TopologyError(place, "is missing", remedy=f"every address is fixed: write one, for example {example}")
    try:
        return kind(str(text))
    except (ipaddress.AddressValueError, ipaddress.NetmaskValueError, ValueError):
        raise TopologyError(
            place,
            f"{text!r} is not an IPv4 {'network' if kind is IPv4Network else 'address'}",
            remedy=f"write for example {example}",
        ) from None


def _inside(text: object, subnet: IPv4Network, place: str) -> IPv4Address:
    address: IPv4Address = _address(
        IPv4Address, text, place, str(subnet[10]) if subnet.num_addresses > 10 else str(subnet[0])
    )
    if address not in subnet:
        raise TopologyError(
            place, f"{address} is outside {subnet}", remedy=f"choose one from {subnet[1]} to {subnet[-2]}"
        )
    return address


def _unique(document: Document, topology: Topology) -> None:
    """No two hosts with one address, no address of a host that is a gateway's, no two overlapping subnets."""
    taken = {
        network.gateway: f"the gateway of {network.name}" for network in topology.networks.values() if network.gateway
    }
    for attachment in topology.attachments():
        place = document.place("services", attachment.host) + f".networks.{attachment.network}.ipv4_address"
        if attachment.address in taken:
            raise TopologyError(
                place, f"{attachment.address} is already {taken[attachment.address]}", remedy="give each its own"
            )
        taken[attachment.address] = f"that of {attachment.host}"
    networks = list(topology.networks.values())
    for index, network in enumerate(networks):
        for other in networks[:index]:
            if network.subnet.overlaps(other.subnet):
                raise TopologyError(
                    document.place("networks", network.name), f"{network.subnet} overlaps {other.name} ({other.subnet})"
                )
