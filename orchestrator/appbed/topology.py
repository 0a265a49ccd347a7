"""Topology, Host, Attachment: what a Compose document says about a lab. Pure.

    Topology ── networks ── Network(subnet, gateway address)
        └────── hosts ───── Host(role, dns) ── attachments ── Attachment(network, address, link)

A network's gateway address belongs to its router with the lowest address; routes follow from who is attached where.
"""

from __future__ import annotations

import difflib
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from appbed import fields, impairment, loader, schema
from appbed.errors import TopologyError
from appbed.impairment import Link
from appbed.loader import Document

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_LABEL = re.compile(r"[!-~]{1,63}")


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
            close = difflib.get_close_matches(name, self.hosts, 1)
            remedy = f"did you mean {close[0]}?" if close else ""
            raise TopologyError(self.name, f"no host {name!r}", choices=self.hosts, remedy=remedy)
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
    try:
        if not isinstance(document.data, Mapping):
            raise TopologyError("services", "is no Compose model")
        return _resolved(document)
    except TopologyError as error:  # so far its place is a path in the document; the file is that which wrote the key
        place = document.place(error.place)
        raise TopologyError(place, error.problem, choices=error.choices, remedy=error.remedy) from None


def _resolved(document: Document) -> Topology:
    data = document.data
    known = schema.read(schema.TestbedBlock, data.get("x-testbed") or {}, "x-testbed")
    networks, blocks = _networks(data)
    hosts: dict[str, Host] = {}
    agents = []
    for name, service in fields.mapping(data.get("services"), "services").items():
        role = _role(name, service)
        if role.name == "agent":
            agents.append(name)
        else:
            hosts[name] = _host(name, service, role, networks, blocks)
    if len(agents) != 1:
        raise TopologyError(
            "services",
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
    _unique(topology)
    return topology


def _networks(data: Mapping[str, Any]) -> tuple[dict[str, Network], dict[str, dict[str, object]]]:
    networks, blocks = {}, {}
    for name, network in fields.mapping(data.get("networks"), "networks").items():
        place = f"networks.{name}"
        if not _NETWORK.fullmatch(name):
            raise TopologyError(
                place, f"{name[:70]!r} is no network name", remedy="use at most 63 of a-z, A-Z, 0-9, '-', '_' and '.'"
            )
        fields.only(network, place, "x-link")
        block = schema.settings(schema.read(schema.LinkBlock, network.get("x-link") or {}, f"{place}.x-link"))
        impairment.resolve(f"{place}.x-link", block)
        blocks[name] = block
        config, auxiliary = fields.ipam(network, f"{place}.ipam")
        subnet = fields.address(IPv4Network, config.get("subnet"), f"{place}.ipam.config.subnet", "10.77.1.0/24")
        gateway = auxiliary.get("DefaultGatewayIPv4")
        place = f"{place}.ipam.config.aux_addresses.DefaultGatewayIPv4"
        networks[name] = Network(name, subnet, fields.inside(gateway, subnet, place) if gateway else None)
    return networks, blocks


def _role(name: str, service: Mapping[str, Any]) -> Role:
    place = f"services.{name}"
    if not _NAME.fullmatch(name):
        raise TopologyError(
            place, f"{name[:70]!r} is no host name", remedy="use at most 63 of a-z, 0-9, '-', '_' and '.'"
        )
    fields.only(service, place, "x-role")
    block = schema.read(schema.RoleBlock, service.get("x-role") or {"name": name}, f"{place}.x-role")
    if not service.get("image") and not service.get("build"):
        raise TopologyError(place, "has no image", remedy="extend a role of images/ or name an image: or a build:")
    ready = block.ready or schema.ReadyBlock(tcp=None, dns=None)
    if ready.dns and not (
        len(ready.dns) < 255 and all(_LABEL.fullmatch(label) for label in ready.dns.split(".") if label)
    ):
        raise TopologyError(
            f"{place}.x-role.ready.dns",
            f"{ready.dns[:70]!r} is no domain name",
            remedy="use at most 63 characters between two dots and 253 in all, none of them a blank",
        )
    return Role(block.name, block.router, ready.tcp, ready.dns, tuple(block.unsupported))


def _host(
    name: str,
    service: Mapping[str, Any],
    role: Role,
    networks: Mapping[str, Network],
    blocks: Mapping[str, dict[str, object]],
) -> Host:
    place = f"services.{name}"
    attachments = []
    declared = service.get("networks") or {}
    if not isinstance(declared, Mapping) or not declared:
        raise TopologyError(f"{place}.networks", "names no network with an address", choices=networks)
    for network, attached in declared.items():
        where = f"{place}.networks.{network}"
        attached = attached or {}
        if network not in networks:
            raise TopologyError(where, "unknown network", choices=networks)
        fields.only(attached, where, "x-link")
        own = schema.settings(schema.read(schema.LinkBlock, attached.get("x-link") or {}, f"{where}.x-link"))
        impairment.resolve(f"{where}.x-link", {key: value for key, value in own.items() if key in ("up", "down")} or {})
        link = impairment.resolve(f"{where}.x-link", blocks[network], own)
        address = fields.inside(attached.get("ipv4_address"), networks[network].subnet, f"{where}.ipv4_address")
        attachments.append(Attachment(name, network, address, link))
    dns = service.get("dns") or []
    servers = dns if isinstance(dns, list) else [dns]
    return Host(
        name,
        role,
        str(service.get("image") or ""),
        tuple(sorted(attachments, key=lambda at: at.address)),
        tuple(fields.address(IPv4Address, server, f"{place}.dns", "10.77.1.53") for server in servers),
    )


def _unique(topology: Topology) -> None:
    """No two hosts with one address, no address of a host that is a gateway's, no two overlapping subnets."""
    taken = {
        network.gateway: f"the gateway of {network.name}" for network in topology.networks.values() if network.gateway
    }
    for attachment in topology.attachments():
        place = f"services.{attachment.host}.networks.{attachment.network}.ipv4_address"
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
                    f"networks.{network.name}", f"{network.subnet} overlaps {other.name} ({other.subnet})"
                )
