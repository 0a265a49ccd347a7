"""Measurements, from the agent's side: finds both ends of each cable, opens sockets there, starts the process that measures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from appbed.agent.door import Door
from appbed.agent.holds import number
from appbed.agent.hosts import Hosts, Running
from appbed.agent.measure import FDS
from appbed.agent.netlink import Interface, Netlink
from appbed.errors import AgentError

_LONGEST_S = 120.0  # unless whoever asks has planned for longer
Wanted = Mapping[str, Mapping[str, list[dict[str, Any]]]]
"""By attachment and direction: the series to send."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """Of one cable: the host's interface, the device at the bridge's end, and the bridge itself."""

    host: Interface
    inside: socket.socket  # where that is
    device: str
    bridge: Interface


class Measures:
    """One measurement at a time, of any number of cables."""

    def __init__(self, hosts: Hosts, door: Door, backend: str) -> None:
        self.backend = backend
        self._hosts, self._door = hosts, door
        self._turn = asyncio.Lock()

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """To "measure" and "introduce"."""
        if request["op"] == "introduce":
            return {"neighbours": self._introduce()}
        return await self._measure(request["series"], number(request.get("seconds", _LONGEST_S), "seconds"))

    async def _measure(self, wanted: Wanted, longest_s: float) -> dict[str, Any]:
        """What became of every series, and the cables' counters before and after."""
        async with self._turn:
            lines = {line["attachment"]: line for line in self._hosts.links()}
            with Netlink() as netlink:
                machine = {interface.index: interface for interface in netlink.interfaces()}
            measured, absent = {}, {}
            ends: dict[str, _Ends] = {}
            with contextlib.ExitStack() as closing:
                for name in wanted:
                    try:
                        ends[name] = self._ends(name, machine)
                        closing.enter_context(ends[name].inside)
                    except (
                        AgentError,
                        OSError,
                        LookupError,
                    ) as error:  # of one host, which is perhaps being started again
                        absent[name] = str(error)
                lanes = await self._play(ends, wanted, longest_s) if ends else {}
            self._begin_again(ends)
            after = {line["attachment"]: line for line in self._hosts.links()}
            for name in ends:
                measured[name] = {
                    "cable": lines[name]["cable"],
                    "counters": [lines[name]["counters"], after[name]["counters"]],
                    **{direction: lanes[name, direction] for direction in wanted[name]},
                }
            return {"measured": measured, "absent": absent}

    def _begin_again(self, names: Iterable[str]) -> None:
        """A seed's sequence of random numbers starts again, as if nothing had been measured."""
        links = {name: self._hosts.wanted[name] for name in names}
        seeded = {name: link for name, link in links.items() if link.up.seed is not None or link.down.seed is not None}
        if seeded:
            self._hosts.apply(seeded, whole=False)

    def _introduce(self) -> int:
        """Every host learns the link-layer address of every other on its networks, so that no timed run waits for ARP."""
        told = 0
        for running in self._hosts.running.values():
            with Netlink(self._door.socket(running.found, "route")) as netlink:
                for network, interface in running.interfaces.items():
                    for address, mac in self._known(network, running):
                        netlink.add_neighbour(interface.index, address, mac)
                        told += 1
        return told

    def _known(self, network: str, asking: Running) -> Iterator[tuple[IPv4Address, bytes]]:
        """Addresses on a network and whose they are, without those of who asks; a router answers for the gateway's too."""
        topology = self._hosts.topology
        for other in self._hosts.running.values():
            if other is asking or network not in other.interfaces:
                continue
            mac = other.interfaces[network].mac
            yield other.host.attachment(network).address, mac
            for attachment, gateway in topology.gateways(other.host):
                if attachment.network == network:
                    yield gateway, mac

    def _ends(self, name: str, machine: Mapping[int, Interface]) -> _Ends:
        attachment = self._hosts.topology.attachment(name)
        running = self._hosts.running.get(attachment.host)
        if running is None:
            raise AgentError(f"{attachment.host} is not running")
        interface, port = running.interfaces[attachment.network], running.ports.get(attachment.network)
        bridge = next((each for each in machine.values() if each.name == self._hosts.bridges[attachment.network]), None)
        if bridge is None or interface.peer not in machine:
            raise AgentError("its interface is no longer there: is its host being started again?")
        # The relay puts a device of its own between veth and bridge; netem shapes the veth where it is.
        device = port.name if port and self.backend == "relay" else machine[interface.peer].name
        return _Ends(interface, self._door.socket(running.found, "packet"), device, bridge)

    async def _play(
        self, ends: Mapping[str, _Ends], wanted: Wanted, longest_s: float
    ) -> dict[tuple[str, str], dict[str, Any]]:
        described: list[dict[str, Any]] = []
        lanes: dict[tuple[str, str], dict[str, Any]] = {}
        with contextlib.ExitStack() as closing:
            sockets: list[socket.socket] = []

            def added(sock: socket.socket, interface: str, *, listens: bool) -> int:
                sockets.append(closing.enter_context(sock))
                described.append({"interface": interface, "listens": listens})
                return len(sockets) - 1

            names = {end.bridge.name for end in ends.values()}
            bridges = {name: added(_here(), name, listens=True) for name in sorted(names)}
            for name, end in ends.items():
                host = added(end.inside, end.host.name, listens=True)
                device = added(_here(), end.device, listens=False)
                inner, outer = end.host.mac.hex(), end.bridge.mac.hex()
                ways = {
                    "up": {"from": host, "to": bridges[end.bridge.name], "source": inner, "destination": outer},
                    "down": {"from": device, "to": host, "source": outer, "destination": inner},
                }
                for direction, series in wanted[name].items():
                    lanes[name, direction] = {**ways[direction], "series": series}
            try:
                said = await play({"sockets": described, "lanes": list(lanes.values())}, sockets, longest_s)
            except TimeoutError:
                raise AgentError(f"{', '.join(ends)}: not measured within {longest_s:.0f} s") from None
        return dict(zip(lanes, said["lanes"], strict=True))


async def play(request: dict[str, Any], sockets: list[socket.socket], longest_s: float = _LONGEST_S) -> dict[str, Any]:
    """What became of every series, lane by lane, from a process of its own; AgentError or TimeoutError if that failed."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "appbed.agent.measure", stdin=theirs.fileno(), stdout=asyncio.subprocess.PIPE
            )
        try:
            fds = [sock.fileno() for sock in sockets]
            socket.send_fds(mine, [json.dumps(request).encode()], fds[:FDS])
            for first in range(FDS, len(fds), FDS):
                socket.send_fds(mine, [b"."], fds[first : first + FDS])
            out, _ = await asyncio.wait_for(process.communicate(), longest_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    said: dict[str, Any] = json.loads(out) if out else {"error": "the measuring process ended"}
    if "error" in said:
        raise AgentError(said["error"])
    return said


def _here() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
