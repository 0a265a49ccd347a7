"""The agent's mind: finds hosts, gives them what the topology declares, keeps it so, answers commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from appbed import impairment
from appbed.agent import probe
from appbed.agent.cables import Cables, Port
from appbed.agent.captures import Captures
from appbed.agent.door import Door, Found
from appbed.agent.netlink import Interface, Netlink, link_events, offloads_off
from appbed.errors import AgentError, AppbedError
from appbed.impairment import Link
from appbed.topology import Attachment, Host, Topology

RUN = Path("/run/appbed")
STATE = Path("/appbed/state.json")  # in the container's own layer: it survives a killed agent, not the instance
_COMING_UP_S, _IDLE_S = 0.1, 1.0


@dataclass(slots=True)
class Running:
    """A host whose namespace was found and configured."""

    host: Host
    found: Found
    interfaces: Mapping[str, Interface]
    ports: dict[str, Port] = field(default_factory=dict)
    ready: bool = False
    probing: asyncio.Task[None] | None = None


class Control:
    """One instance's hosts, links and captures."""

    def __init__(self, topology: Topology, instance: str, door: Door, cables: Cables) -> None:
        self.topology = topology
        self._door = door
        self._cables = cables
        self._running: dict[str, Running] = {}
        self._prefix = f"ab{zlib.crc32(instance.encode()) & 0xFFFFFF:06x}"
        self._captures = Captures(door)
        self._changed = asyncio.Event()
        self._events: list[dict[str, Any]] = []
        self._started = time.time()
        state = json.loads(STATE.read_text()) if STATE.exists() else {}
        self._bridges: dict[str, str] = state.get("bridges", {})
        self._set: dict[str, Link] = {
            name: impairment.resolve(name, settings) for name, settings in state.get("links", {}).items()
        }

    # ---- keeping the lab as declared

    async def watch(self) -> None:
        """Looks for hosts whenever an interface of the machine changes, and now and then in any case."""
        with link_events() as events:
            loop = asyncio.get_running_loop()
            stirred = asyncio.Event()
            loop.add_reader(events, _drain, events, stirred)
            while True:
                self._reconcile()
                complete = len(self._running) == len(self.topology.hosts)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stirred.wait(), _IDLE_S if complete else _COMING_UP_S)
                stirred.clear()

    def _reconcile(self) -> None:
        found = {(entry.pid, entry.started): entry for entry in self._door.find()}
        for name, running in list(self._running.items()):
            if (running.found.pid, running.found.started) not in found:
                self._forget(name)
        known = {(running.found.pid, running.found.started) for running in self._running.values()}
        for key, entry in found.items():
            if key not in known:
                try:
                    self._adopt(entry)
                except (
                    OSError,
                    LookupError,
                ) as error:  # it went away again, or is not wired yet: the next look decides
                    self._note("not yet", pid=entry.pid, why=str(error))

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
        self._running[host.name] = running
        self._wire(running)
        running.probing = asyncio.get_running_loop().create_task(self._until_ready(running))
        self._note("host", host=host.name)

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
            self._door.write(
                found, "resolv.conf", "".join(f"nameserver {server}\n" for server in host.dns) or "# nobody\n"
            )
            self._door.write(found, "hosts", "127.0.0.1 localhost\n")
        except LookupError as error:
            # The engine mounts both files read-only into a read-only root; such a host has to ask nobody.
            if any(not server.is_loopback for server in host.dns):
                raise LookupError(
                    f"{host.name}: {error}: a host with a name server needs a writable root, remove read_only"
                ) from None

    def _wire(self, running: Running) -> None:
        """Finds the engine's side of each interface and plugs a cable in wherever the link is not clean."""
        with Netlink() as netlink:
            machine = {interface.index: interface for interface in netlink.interfaces()}
            for interface in running.interfaces.values():
                for index in filter(None, (interface.peer, machine[interface.peer].master)):
                    netlink.quiet_ipv6(index)  # the machine's own IPv6 chatter is no traffic of the lab
        by_name = {interface.name: interface.index for interface in machine.values()}
        for attachment in running.host.attachments:
            veth = machine[running.interfaces[attachment.network].peer]
            bridge = veth.master or by_name.get(self._bridges.get(attachment.network, ""), 0)
            if not bridge:
                raise LookupError(f"{attachment}: the bridge of {attachment.network} is unknown")
            self._bridges[attachment.network] = machine[bridge].name
            number = list(self.topology.attachments()).index(attachment)
            port = Port(str(attachment), f"{self._prefix}x{number:x}", veth.index, veth.name, bridge)
            link = self.link(attachment)
            if not link.clean:
                self._cables.plug(port, link)
                running.ports[attachment.network] = port
            elif not veth.master:  # an earlier agent unplugged it
                with Netlink() as netlink:
                    netlink.set_link(veth.index, master=bridge)
        self._save()

    def _forget(self, name: str) -> None:
        running = self._running.pop(name)
        if running.probing:
            running.probing.cancel()
        for port in running.ports.values():
            self._cables.unplug(port, gone=True)
        self._note("gone", host=name)

    async def _until_ready(self, running: Running) -> None:
        """Probes with a pause of 40 ms; the caller of `wait` holds the deadline."""
        while not await probe.ready(running.host, lambda kind: self._door.socket(running.found, kind)):
            await asyncio.sleep(0.04)
        running.ready = True
        self._note("ready", host=running.host.name)

    def _note(self, what: str, **details: object) -> None:
        """One line of the agent's own log, and a mark that things moved."""
        print(json.dumps({"time": round(time.time(), 3), "event": what, **details}), flush=True)
        if what != "not yet":
            self._events.append({"time": time.time(), "event": what, **details})
        self._changed.set()
        (RUN / "ready").touch() if not self.missing() else (RUN / "ready").unlink(missing_ok=True)

    def _save(self) -> None:
        links = {name: link.settings() for name, link in self._set.items()}
        partial = STATE.with_suffix(".new")
        partial.write_text(json.dumps({"bridges": self._bridges, "links": links}))
        partial.replace(STATE)

    # ---- what can be asked

    def missing(self) -> dict[str, str]:
        """Hosts that are not ready, and what is waited for."""
        waiting = {}
        for name, host in self.topology.hosts.items():
            running = self._running.get(name)
            if running is None:
                waiting[name] = "its network namespace"
            elif not running.ready:
                waiting[name] = (
                    f"port {host.role.ready_tcp}" if host.role.ready_tcp else f"an answer for {host.role.ready_dns}"
                )
        return waiting

    def link(self, attachment: Attachment) -> Link:
        """The link as set now."""
        return self._set.get(str(attachment), attachment.link)

    def change_links(self, changes: Mapping[str, Mapping[str, Any]], *, base: str = "now") -> None:
        """All or none: every value is read before anything is touched. Changes are laid over the link as it is `now`, as
        `declared`, or over a `clean` one."""
        wanted: dict[str, tuple[Attachment, Link]] = {}
        for name, settings in changes.items():
            attachment = self.topology.attachment(name)
            if attachment.host not in self._running:
                raise AgentError(f"{attachment.host} is not running", remedy="start it first")
            under = {"now": self.link(attachment), "declared": attachment.link, "clean": Link()}[base]
            wanted[str(attachment)] = (attachment, impairment.change(under, settings, f"link {attachment}"))
        for name, (attachment, link) in wanted.items():
            if link == attachment.link:
                self._set.pop(name, None)
            else:
                self._set[name] = link
            self._apply(attachment, link)
        self._save()
        self._note("links", **{name: str(link) for name, (_, link) in wanted.items()})

    def _apply(self, attachment: Attachment, link: Link) -> None:
        running = self._running[attachment.host]
        if port := running.ports.get(attachment.network):
            self._cables.set({port.name: link})  # a cable once plugged in stays: unplugging would interrupt the link
        elif not link.clean:
            self._wire(running)

    def links(self) -> list[dict[str, Any]]:
        """Every attachment: declared, set, plugged, counted."""
        counters = self._cables.counters()
        shown = []
        for attachment in self.topology.attachments():
            running = self._running.get(attachment.host)
            port = running.ports.get(attachment.network) if running else None
            shown.append(
                {
                    "attachment": str(attachment),
                    "address": str(attachment.address),
                    "declared": attachment.link.settings(),
                    "set": self.link(attachment).settings(),
                    "cable": self._cables.kind if port else "bridge",
                    "running": running is not None,
                    "counters": counters.get(port.name) if port else None,
                }
            )
        return shown

    async def start_capture(self, name: str, points: list[str], options: Mapping[str, Any]) -> None:
        """Points are hosts, "host@network", networks, or "all" (every host and network)."""
        await self._captures.start(name, self._points(points), options)

    async def stop_capture(self, name: str) -> dict[str, Any]:
        return await self._captures.stop(name)

    def _points(self, names: list[str]) -> list[tuple[dict[str, Any], Found | None]]:
        if names == ["all"]:
            names = [*self._running, *self.topology.networks]
        points: list[tuple[dict[str, Any], Found | None]] = []
        for name in names:
            if name in self.topology.networks and name not in self.topology.hosts:
                network = self.topology.networks[name]
                bridge = self._bridges.get(name)
                if not bridge:
                    raise AgentError(f"network {name} has no running host yet")
                points.append(
                    (
                        {
                            "name": f"network:{name}",
                            "interface": bridge,
                            "description": str(network.subnet),
                            "here": True,
                        },
                        None,
                    )
                )
                continue
            host, _, network_name = name.partition("@")
            self.topology.host(host)
            if host not in self._running:
                raise AgentError(f"{host} is not running", remedy="start it first")
            running = self._running[host]
            for attachment in running.host.attachments if not network_name else [running.host.attachment(network_name)]:
                interface = running.interfaces[attachment.network]
                point = {
                    "name": f"host:{host}:{interface.name}",
                    "interface": interface.name,
                    "description": str(attachment.address),
                    "comment": f"network {attachment.network}",
                }
                points.append((point, running.found))
        return points

    async def answer(self, request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """One command; all answers but `wait` are one line."""
        match request.get("op"):
            case "status":
                yield {
                    "started": self._started,
                    "processor": _processor(),
                    "links": self._cables.kind,
                    "missing": self.missing(),
                    "hosts": sorted(self._running),
                    "captures": self._captures.names(),
                }
            case "wait":
                async for line in self._wait(float(request["seconds"])):
                    yield line
            case "links":
                yield {"links": self.links(), "backend": self._cables.kind}
            case "link-change":
                self.change_links(request["changes"], base=request.get("base", "now"))
                yield {
                    "links": [line for line in self.links() if line["attachment"] in self._names(request["changes"])]
                }
            case "capture-start":
                await self.start_capture(request["name"], request["points"], request.get("options") or {})
                yield {"ready": True}
            case "capture-stop":
                yield await self.stop_capture(request["name"])
            case "events":
                yield {"events": [event for event in self._events if event["time"] >= float(request.get("since", 0))]}
            case other:
                raise AgentError(f"unknown command {other!r}")

    def _names(self, names: Mapping[str, object]) -> set[str]:
        return {str(self.topology.attachment(name)) for name in names}

    async def _wait(self, timeout_s: float) -> AsyncIterator[dict[str, Any]]:
        """A line whenever the set of missing hosts changes; the last one has none missing, or says that time is up."""
        deadline = time.monotonic() + timeout_s
        said = None
        while True:
            self._changed.clear()
            missing = self.missing()
            left = deadline - time.monotonic()
            if not missing or left <= 0:
                yield {"missing": missing, "done": not missing}
                return
            if missing != said:
                said = missing
                yield {"missing": missing, "waiting": True}
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)


async def serve(control: Control, path: Path) -> None:
    """Answers JSON lines on a Unix socket inside the agent's container: no port."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                async for answer in _answers(control, line):
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(client, path, limit=1 << 22)
    async with server:
        await control.watch()


async def _answers(control: Control, line: bytes) -> AsyncIterator[dict[str, Any]]:
    try:
        async for answer in control.answer(json.loads(line)):
            yield answer
    except AppbedError as error:
        yield {"error": error.message, "remedy": error.remedy}
    except (OSError, LookupError, TypeError, ValueError) as error:
        yield {"error": f"{type(error).__name__}: {error}"}


def run(topology: Topology, instance: str, door: Door, cables: Cables) -> None:
    """Until something the agent depends on ends; then the container ends with it and is started again."""
    RUN.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(serve(Control(topology, instance, door, cables), RUN / "control.sock"))
    finally:
        sys.stdout.flush()
        os._exit(1)


def _processor() -> dict[str, int]:
    """Clock ticks all processors of the machine were busy, and all ticks, since it started (proc(5), /proc/stat)."""
    ticks = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return {"busy": sum(ticks) - ticks[3] - ticks[4], "all": sum(ticks)}


def _drain(events: socket.socket, stirred: asyncio.Event) -> None:
    stirred.set()
    with contextlib.suppress(OSError):
        while events.recv(1 << 17):
            pass
