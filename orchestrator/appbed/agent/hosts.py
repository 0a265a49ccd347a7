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

from appbed import impairment
from appbed.agent import probe
from appbed.agent.cables import Cables, Port
from appbed.agent.door import Door, Found
from appbed.agent.netlink import Interface, Netlink, offloads_off
from appbed.errors import AgentError
from appbed.impairment import Link
from appbed.topology import Attachment, Host, Topology

READY = Path("/run/appbed/ready")  # there while every host is ready: the agent's own health check looks for it
STATE = Path("/appbed/state.json")  # in the container's own layer: it survives a killed agent, not the instance
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
    """What runs, how it is wired, and what happened; `changed` is set whenever something moved."""

    def __init__(self, topology: Topology, instance: str, door: Door, cables: Cables) -> None:
        self.topology = topology
        self.running: dict[str, Running] = {}
        self.bridges: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self.changed = asyncio.Event()
        self._door = door
        self._cables = cables
        self._prefix = f"ab{zlib.crc32(instance.encode()) & 0xFFFFFF:06x}"
        self._reasons: dict[int, str] = {}
        self._set: dict[str, Link] = {}
        self._restore()

    # ---- keeping hosts as declared

    def reconcile(self) -> bool:
        """Looks for hosts that came or went; True when all of the topology's are there."""
        found = {(entry.pid, entry.started): entry for entry in self._door.find()}
        for name, running in list(self.running.items()):
            if (running.found.pid, running.found.started) not in found:
                self._forget(name)
        known = {(running.found.pid, running.found.started) for running in self.running.values()}
        for key, entry in found.items():
            if key not in known:
                try:
                    self._adopt(entry)
                except (OSError, LookupError) as error:  # gone again, or not wired yet: the next look decides
                    self._not_yet(entry, str(error))
        return len(self.running) == len(self.topology.hosts)

    def _adopt(self, found: Found) -> None:
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
            if host.role.router:
                self._route(netlink, host, wired)
        with self._door.socket(found, "udp") as inside:
            for interface in wired.values():
                offloads_off(inside, interface.name)
        self._name(found, host)
        running = Running(host, found, wired)
        self._wire(running)
        self.running[host.name] = running
        running.probing = asyncio.get_running_loop().create_task(self._until_ready(running))
        self.note("host", host=host.name)

    def _recognised(self, interfaces: list[Interface]) -> Host | None:
        mine = {address.ip for interface in interfaces for address in interface.addresses}
        return next((host for host in self.topology.hosts.values() if mine & set(host.addresses)), None)

    def _route(self, netlink: Netlink, host: Host, wired: Mapping[str, Interface]) -> None:
        """A router: gateway addresses, and only the lab's routes."""
        for interface in wired.values():
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

    def _wire(self, running: Running) -> None:
        """Finds the engine's side of each interface and plugs a cable in wherever the link is not clean; all or none."""
        plugged: dict[str, Port] = {}
        with Netlink() as netlink:
            machine = {interface.index: interface for interface in netlink.interfaces()}
            for attachment in running.host.attachments:
                if attachment.network in running.ports:
                    continue
                port = self._port(attachment, running.interfaces[attachment.network], machine)
                for index in (port.veth, port.bridge):
                    netlink.quiet_ipv6(index)  # the machine's own IPv6 chatter is no traffic of the lab
                try:
                    if not self.link(attachment).clean:
                        self._cables.plug(port, self.link(attachment))
                        plugged[attachment.network] = port
                    elif not machine[port.veth].master:  # an earlier agent unplugged it
                        netlink.set_link(port.veth, master=port.bridge)
                except OSError:
                    for each in plugged.values():
                        self._cables.unplug(each, gone=False)
                    raise
        running.ports.update(plugged)
        self._save()

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
        if running.probing:
            running.probing.cancel()
        for port in running.ports.values():
            self._cables.unplug(port, gone=True)
        self.note("gone", host=name)

    async def _until_ready(self, running: Running) -> None:
        """Probes until the answer is good; whoever asked to `wait` holds the deadline."""
        with contextlib.suppress(LookupError):  # the host went away: it is forgotten at the next look
            while not await probe.ready(running.host, lambda kind: self._door.socket(running.found, kind)):
                await asyncio.sleep(_PROBE_PAUSE_S)
            running.ready = True
            self.note("ready", host=running.host.name)

    # ---- links

    def link(self, attachment: Attachment) -> Link:
        """The link as set now."""
        return self._set.get(str(attachment), attachment.link)

    def change_links(self, changes: Mapping[str, Mapping[str, Any]], base: str) -> list[dict[str, Any]]:
        """All or none: every value is read before anything is touched.

        Changes are laid over each link as it is `now`, as `declared`, or over a `clean` one.
        """
        wanted: dict[str, tuple[Attachment, Link]] = {}
        for name, settings in changes.items():
            attachment = self.topology.attachment(name)
            if attachment.host not in self.running:
                raise AgentError(f"{attachment.host} is not running", remedy="start it first")
            under = {"now": self.link(attachment), "declared": attachment.link, "clean": Link()}[base]
            wanted[str(attachment)] = (attachment, impairment.change(under, settings, f"link {attachment}"))
        changed = {name: link for name, (attachment, link) in wanted.items() if link != self.link(attachment)}
        for name, (attachment, link) in wanted.items():
            if link == attachment.link:
                self._set.pop(name, None)
            else:
                self._set[name] = link
        self._apply({name: wanted[name] for name in changed})
        self._save()
        if changed:
            self.note("links", **{name: str(link) for name, link in changed.items()})
        return [line for line in self.links() if line["attachment"] in wanted]

    def _apply(self, wanted: Mapping[str, tuple[Attachment, Link]]) -> None:
        """A cable once plugged in stays: unplugging would interrupt the link."""
        plugged: dict[str, Link] = {}
        for attachment, link in wanted.values():
            running = self.running[attachment.host]
            if port := running.ports.get(attachment.network):
                plugged[port.name] = link
            elif not link.clean:
                self._wire(running)
        if plugged:
            self._cables.set(plugged)

    def links(self) -> list[dict[str, Any]]:
        """Every attachment: declared, set, plugged, counted."""
        counters = self._cables.counters()
        shown = []
        for attachment in self.topology.attachments():
            running = self.running.get(attachment.host)
            port = running.ports.get(attachment.network) if running else None
            line = {"attachment": str(attachment), "address": str(attachment.address), "running": running is not None}
            line |= {"declared": attachment.link.settings(), "set": self.link(attachment).settings()}
            line |= {
                "cable": self._cables.kind if port else "bridge",
                "counters": counters.get(port.name) if port else None,
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
        """One line of the agent's log, one event, and a mark that things moved."""
        event = {"time": round(time.time(), 4), "event": what, **details}
        print(json.dumps(event), flush=True)
        self.events.append(event)
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

    def _save(self) -> None:
        links = {name: link.settings() for name, link in self._set.items()}
        partial = STATE.with_suffix(".new")
        partial.write_text(json.dumps({"bridges": self.bridges, "links": links}))
        partial.replace(STATE)

    def _restore(self) -> None:
        if STATE.exists():
            state = json.loads(STATE.read_text())
            self.bridges = state["bridges"]
            self._set = {name: impairment.resolve(name, settings) for name, settings in state["links"].items()}
