"""The instance's hosts: found, given what the topology declares, and kept so when they restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from appbed.agent import probe
from appbed.agent.cables import Cables, Port
from appbed.agent.door import Door, Found
from appbed.agent.memory import Memory
from appbed.agent.netlink import Interface, Netlink, offloads_off
from appbed.errors import AgentError
from appbed.impairment import Link
from appbed.topology import Attachment, Host, Topology

READY = Path("/run/appbed/ready")  # there while every host is ready: the agent's own health check looks for it
_PROBE_PAUSE_S = 0.04


@dataclass(slots=True)
class Running:
    """A host whose namespace was found: its interfaces by network, and the cables plugged in."""

    host: Host
    found: Found
    interfaces: Mapping[str, Interface]
    ports: dict[str, Port] = field(default_factory=dict)
    ready: bool = False
    probing: asyncio.Task[None] | None = None


class Hosts:
    """What runs and how it is wired; `changed` is set whenever something moved.

    `wanted` is what every link should be now; hosts that come (back) are wired so.
    """

    def __init__(self, topology: Topology, instance: str, door: Door, cables: Cables, memory: Memory) -> None:
        self.topology = topology
        self.running: dict[str, Running] = {}
        self.bridges: dict[str, str] = dict(memory.state.get("bridges", {}))
        self.wanted: dict[str, Link] = {str(at): at.link for at in topology.attachments()}
        self.changed = asyncio.Event()
        self._memory = memory
        self._door = door
        self._cables = cables
        self._prefix = f"ab{zlib.crc32(instance.encode()) & 0xFFFFFF:06x}"
        self._reasons: dict[int, str] = {}
        self.failed: dict[str, str] = {}  # links that are not as wanted, and why

    # ---- keeping hosts as declared

    async def reconcile(self) -> bool:
        """Looks for hosts that came or went; True when all of the topology's are there. Plans go on while it looks."""
        looked = await asyncio.to_thread(self._door.find)
        found = {(entry.pid, entry.started): entry for entry in looked}
        for name, running in list(self.running.items()):
            if (running.found.pid, running.found.started) not in found:
                self._forget(name)
        known = {(running.found.pid, running.found.started) for running in self.running.values()}
        new = [entry for key, entry in found.items() if key not in known]
        if new:
            machine = _machine()  # once for all of them: a machine full of labs has hundreds of interfaces
            for entry in new:
                try:
                    self._adopt(entry, machine)
                except (OSError, LookupError) as error:  # gone again, or not wired yet: the next look decides
                    self._not_yet(entry, str(error))
        return len(self.running) == len(self.topology.hosts)

    def _adopt(self, found: Found, machine: Mapping[int, Interface]) -> None:
        with Netlink(self._door.socket(found, "route")) as netlink:
            interfaces = [interface for interface in netlink.interfaces() if interface.addresses]
            host = self._recognised(interfaces)
            if host is None:
                return
            wired = {
                at.network: interface
                for at in host.attachments
                for interface in interfaces
                if any(address.ip == at.address for address in interface.addresses)
            }
            if len(wired) < len(host.attachments):
                raise LookupError(f"{host.name}: not every interface is there yet")
            if host.role.router or len(host.attachments) > 1:
                self._route(netlink, host, wired)
        with self._door.socket(found, "udp") as inside:
            for interface in wired.values():
                offloads_off(inside, interface.name)
        self._name(found, host)
        running = Running(host, found, wired)
        self._wire(running, machine)
        self.running[host.name] = running
        running.probing = asyncio.get_running_loop().create_task(self._until_ready(running))
        self.note("host", host=host.name)

    def _recognised(self, interfaces: list[Interface]) -> Host | None:
        mine = {address.ip for interface in interfaces for address in interface.addresses}
        return next((host for host in self.topology.hosts.values() if mine & set(host.addresses)), None)

    def _route(self, netlink: Netlink, host: Host, wired: Mapping[str, Interface]) -> None:
        """Only the lab's routes: one of its networks may have a way to the machine. A router also gets its gateway addresses."""
        for interface in wired.values() if host.role.router else ():
            netlink.forward_plainly(interface.index)
        for attachment, gateway in self.topology.gateways(host):
            subnet = self.topology.networks[attachment.network].subnet
            netlink.add_address(wired[attachment.network].index, IPv4Interface((gateway, subnet.prefixlen)))
        wanted = {(route.subnet, route.via) for route in self.topology.routes(host)}
        for subnet, via in netlink.routes():
            if (subnet, via) not in wanted:
                netlink.remove_route(subnet, via)
        for subnet, via in wanted:
            netlink.add_route(subnet, via)

    def _name(self, found: Found, host: Host) -> None:
        """Names come from the lab's DNS: neither from the engine's resolver at 127.0.0.11 nor from /etc/hosts."""
        try:
            servers = "".join(f"nameserver {server}\n" for server in host.dns)
            self._door.write(found, "resolv.conf", servers or "# nobody\n")
            self._door.write(found, "hosts", "127.0.0.1 localhost\n")
        except LookupError as error:
            # The engine mounts both files read-only into a read-only root; such a host has to ask nobody.
            if any(not server.is_loopback for server in host.dns):
                raise LookupError(f"{host.name}: {error}: to look up names it needs a writable root") from None

    def _wire(self, running: Running, machine: Mapping[int, Interface]) -> None:
        """Finds the engine's side of each interface and plugs a cable in wherever the link is not clean; all or none."""
        ports = {
            at.network: self._port(at, running.interfaces[at.network], machine)
            for at in running.host.attachments
            if at.network not in running.ports
        }
        if self.bridges != self._memory.state.get("bridges"):
            with contextlib.suppress(OSError):  # the next host's wiring tries again
                self._memory.keep(bridges=self.bridges)
        with Netlink() as netlink, contextlib.ExitStack() as undo:
            for port in ports.values():
                for index in (port.veth, port.bridge):
                    netlink.quiet_ipv6(index)  # the machine's own IPv6 chatter is no traffic of the lab
                if not self.wanted[port.attachment].clean:
                    self._cables.plug(port, self.wanted[port.attachment])
                    undo.callback(self._unplug, port)
                    continue
                self._cables.clean(port)
                if not machine[port.veth].master:  # an earlier agent unplugged it
                    netlink.set_link(port.veth, master=port.bridge)
            undo.pop_all()
        running.ports.update({net: port for net, port in ports.items() if not self.wanted[port.attachment].clean})

    def _unplug(self, port: Port) -> None:
        """One that cannot be unplugged, because its interface is going, does not keep the others plugged in."""
        with contextlib.suppress(OSError):
            self._cables.unplug(port, gone=False)

    def _port(self, attachment: Attachment, interface: Interface, machine: Mapping[int, Interface]) -> Port:
        veth = machine.get(interface.peer)
        if veth is None:
            raise LookupError(f"{attachment}: the other end of {interface.name} is not on this machine")
        known = self.bridges.get(attachment.network)
        bridge = veth.master or next((each.index for each in machine.values() if each.name == known), 0)
        if not bridge:
            raise LookupError(f"{attachment}: the bridge of {attachment.network} is unknown")
        self.bridges[attachment.network] = machine[bridge].name
        number = list(self.topology.attachments()).index(attachment)
        return Port(str(attachment), f"{self._prefix}x{number:x}", veth.index, veth.name, bridge)

    def _forget(self, name: str) -> None:
        running = self.running.pop(name)
        for attachment in running.host.attachments:
            self.failed.pop(str(attachment), None)
        if running.probing:
            running.probing.cancel()
        for port in running.ports.values():
            self._cables.unplug(port, gone=True)
        self.note("gone", host=name)

    async def _until_ready(self, running: Running) -> None:
        """Probes until the answer is good, or the host is forgotten; whoever asked to `wait` holds the deadline."""
        while not await probe.ready(running.host, lambda kind: self._door.socket(running.found, kind)):
            await asyncio.sleep(_PROBE_PAUSE_S)
        running.ready = True
        self.note("ready", host=running.host.name)

    # ---- links

    def link(self, attachment: Attachment) -> Link:
        """The link as it should be now."""
        return self.wanted[str(attachment)]

    def apply(self, links: Mapping[str, Link], *, whole: bool) -> None:
        """`whole`: all or none, and AgentError says why none. Else each that can be; what failed is an event and in `links`.

        Those of hosts that do not run wait in `wanted`.
        """
        before = {name: self.wanted[name] for name in links}
        self.wanted.update(links)
        try:
            self._set(links)
        except (OSError, LookupError) as error:
            if not whole:
                self._each(links)
                return
            self.wanted.update(before)
            self._each(before)
            raise AgentError(
                f"{_named(links)}: {error}; nothing was changed", remedy="see `appbed link show`"
            ) from None

    def _each(self, links: Mapping[str, Link]) -> None:
        """One after the other: one that cannot be changed, because its interface is going, does not keep the others."""
        for name, link in links.items():
            try:
                self._set({name: link})
            except (OSError, LookupError) as error:
                if self.failed.get(name) != str(error):  # it is tried again and again
                    self.failed[name] = str(error)
                    self.note("failed", link=name, why=str(error))

    def _set(self, links: Mapping[str, Link]) -> None:
        """A cable once plugged in stays: unplugging would interrupt the link."""
        plugged: dict[str, Link] = {}
        for name, link in links.items():
            host, _, network = name.partition("@")
            running = self.running.get(host)
            if running and (port := running.ports.get(network)):
                plugged[port.name] = link
            elif running and not link.clean:
                self._wire(running, _machine())
        if plugged:
            self._cables.set(plugged)
        for name in links:
            self.failed.pop(name, None)

    def links(self) -> list[dict[str, Any]]:
        """Every attachment: declared, set, plugged, counted."""
        counters = self._cables.counters()
        shown = []
        for attachment in self.topology.attachments():
            running = self.running.get(attachment.host)
            port = running.ports.get(attachment.network) if running else None
            line = {"attachment": str(attachment), "address": str(attachment.address), "running": running is not None}
            line |= {"declared": attachment.link.settings(), "set": self.link(attachment).settings()}
            interface = running.interfaces[attachment.network] if running else None
            line |= {
                "mac": interface.mac.hex(":") if interface else None,
                "mtu": interface.mtu if interface else None,
                "cable": self._cables.kind if port else "bridge",
                "counters": counters.get(port.name) if port else None,
                "unused": [word for word in self._cables.unused if port and word in str(line["set"])],
                "failed": self.failed.get(str(attachment)),
            }
            shown.append(line)
        return shown

    # ---- what is said and kept

    def missing(self) -> dict[str, str]:
        """Hosts that are not ready, and what is waited for."""
        waiting = {}
        for name, host in self.topology.hosts.items():
            running = self.running.get(name)
            if running is None:
                waiting[name] = "its network namespace"
            elif not running.ready:
                answer = f"an answer for {host.role.ready_dns}" if host.role.ready_dns else ""
                waiting[name] = answer or f"port {host.role.ready_tcp}"
        return waiting

    def note(self, what: str, **details: object) -> None:
        """An event, and a mark that things moved."""
        self._memory.note(what, **details)
        self.changed.set()
        if self.missing():
            READY.unlink(missing_ok=True)
        else:
            READY.touch()

    def _not_yet(self, found: Found, why: str) -> None:
        """In the log once for each reason; it is looked at ten times a second."""
        if self._reasons.get(found.pid) != why:
            self._reasons[found.pid] = why
            print(
                json.dumps({"time": round(time.time(), 4), "event": "not yet", "pid": found.pid, "why": why}),
                flush=True,
            )


def _named(links: Mapping[str, Link]) -> str:
    first, *others = links
    return f"{first} and {len(others)} more" if others else first


def _machine() -> dict[int, Interface]:
    """The machine's own interfaces, by index."""
    with Netlink() as netlink:
        return {interface.index: interface for interface in netlink.interfaces()}
