"""The agent's ear: watches for hosts that come and go, answers commands, holds the captures."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from appbed.agent.cables import Cables
from appbed.agent.captures import Captures
from appbed.agent.door import Door, Found
from appbed.agent.holds import number
from appbed.agent.hosts import Hosts
from appbed.agent.measures import Measures
from appbed.agent.memory import Memory
from appbed.agent.netlink import link_events
from appbed.agent.shaping import Shaping
from appbed.errors import AgentError, AppbedError, InputError
from appbed.topology import Topology

SOCKET = Path("/run/appbed/control.sock")
_COMING_UP_S, _IDLE_S = 0.1, 1.0
_SIGN_S = 0.25  # between two signs of life, and two looks whether holders still live
_LINE = 1 << 22


class Control:
    """Commands by name, each answered with one line of JSON or, while waiting, with several."""

    def __init__(self, hosts: Hosts, shaping: Shaping, memory: Memory, captures: Captures, measures: Measures) -> None:
        self._hosts = hosts
        self._shaping = shaping
        self._memory = memory
        self._captures = captures
        self._measures = measures
        self._backend = measures.backend
        self._started = time.time()
        self._looking = asyncio.Lock()  # one look at a time: an older one would take what is new for gone

    async def begin(self) -> None:
        """The first look, before anybody may ask: hosts that were there all the time while the agent was not are wired again."""
        await self._look()
        if since := self._memory.last_alive:
            self._memory.note("outage", since=round(since, 3), seconds=round(time.time() - since, 3))

    async def watch(self) -> None:
        """Looks whenever an interface of the machine changes, and now and then in any case."""
        with link_events() as events:
            stirred = asyncio.Event()
            asyncio.get_running_loop().add_reader(events, _drain, events, stirred)
            while True:
                complete = await self._look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stirred.wait(), _IDLE_S if complete else _COMING_UP_S)
                stirred.clear()

    async def _look(self) -> bool:
        async with self._looking:
            return await self._hosts.reconcile()

    async def keep_time(self) -> None:
        """Wakes for every planned moment: the agent's own clock, whatever becomes of those who planned."""
        while True:
            self._shaping.moved.clear()
            due = self._shaping.tick()
            with contextlib.suppress(TimeoutError):
                left = None if due is None else max(0.0, due - time.monotonic())
                await asyncio.wait_for(self._shaping.moved.wait(), left)

    async def keep_watch(self) -> None:
        """Leaves signs of life, so that an outage can be told afterwards, and looks whether holders live."""
        while True:
            self._memory.sign_of_life()
            self._shaping.look_after_holders()
            await asyncio.sleep(_SIGN_S)

    def hung_up(self, stream: str) -> None:
        self._shaping.hung_up(stream)

    async def answer(self, request: Mapping[str, Any], stream: str) -> AsyncIterator[dict[str, Any]]:
        """AppbedError when the request is refused; `stream` names the one it came over."""
        match request.get("op"):
            case "status":
                await self._look()  # a host that was just started again is not taken for the one it was
                yield self._status()
            case "wait":
                async for line in self._wait(number(request["seconds"], "seconds")):
                    yield line
            case "links" | "link-change" | "hold" | "holds" | "release":
                yield self._shape(request, stream)
            case "capture-start":
                points = self._points(request["points"])
                await self._captures.start(request["name"], points, request.get("options") or {})
                yield {"ready": True}
            case "capture-stop":
                yield await self._captures.stop(request["name"])
            case "measure" | "introduce":
                yield await self._measures.answer(request)
            case "events":
                since = number(request.get("since", 0), "since")
                yield {"events": [event for event in self._memory.events if event["time"] >= since]}
            case other:
                raise AgentError(f"unknown command {other!r}")

    def _shape(self, request: Mapping[str, Any], stream: str) -> dict[str, Any]:
        match request["op"]:
            case "link-change":
                return {"links": self._shaping.change(request["changes"], request.get("base", "now"))}
            case "hold":
                return {"hold": self._shaping.hold(request, stream)}
            case "holds":
                return {"holds": self._shaping.holds()}
            case "release":
                return {"released": self._shaping.release(request["holds"])}
        return {"links": self._shaping.lines(), "backend": self._backend}

    def _status(self) -> dict[str, Any]:
        return {
            "started": self._started,
            "now": time.time(),
            "processor": _processor(),
            "links": self._backend,
            "missing": self._hosts.missing(),
            "hosts": sorted(self._hosts.running),
            "captures": self._captures.names(),
        }

    async def _wait(self, timeout_s: float) -> AsyncIterator[dict[str, Any]]:
        """A line whenever the set of missing hosts changes; the last one has none missing, or says that time is up."""
        deadline = time.monotonic() + timeout_s
        said = None
        while True:
            self._hosts.changed.clear()
            missing = self._hosts.missing()
            left = deadline - time.monotonic()
            if not missing or left <= 0:
                yield {"missing": missing, "done": not missing}
                return
            if missing != said:
                said = missing
                yield {"missing": missing, "waiting": True}
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hosts.changed.wait(), left)

    def _points(self, names: list[str]) -> list[tuple[dict[str, Any], Found | None]]:
        """Interfaces of hosts, "host@network", networks, or "all"; a network's are the machine's own (no host)."""
        topology = self._hosts.topology
        if names == ["all"]:
            names = [*self._hosts.running, *topology.networks]
        points: list[tuple[dict[str, Any], Found | None]] = []
        for name in names:
            if name in topology.networks and name not in topology.hosts:
                points.append((self._wire_point(name), None))
            else:
                points += self._host_points(name)
        return points

    def _wire_point(self, name: str) -> dict[str, Any]:
        bridge = self._hosts.bridges.get(name)
        if not bridge:
            raise AgentError(f"network {name} has no running host yet")
        subnet = str(self._hosts.topology.networks[name].subnet)
        return {"name": f"network:{name}", "interface": bridge, "description": subnet}

    def _host_points(self, name: str) -> list[tuple[dict[str, Any], Found | None]]:
        host, _, network = name.partition("@")
        self._hosts.topology.host(host)
        running = self._hosts.running.get(host)
        if running is None:
            raise AgentError(f"{host} is not running", remedy="start it first")
        points: list[tuple[dict[str, Any], Found | None]] = []
        for attachment in [running.host.attachment(network)] if network else running.host.attachments:
            interface = running.interfaces[attachment.network].name
            point = {"name": f"host:{host}:{interface}", "interface": interface, "description": str(attachment.address)}
            points.append((point | {"comment": f"network {attachment.network}"}, running.found))
        return points


def run(topology: Topology, instance: str, door: Door, cables: Cables) -> None:
    """Until something the agent depends on ends; then the container ends with it, and the engine starts it again."""
    try:
        asyncio.run(_serve(topology, instance, door, cables))
    finally:
        sys.stdout.flush()
        os._exit(1)


async def _serve(topology: Topology, instance: str, door: Door, cables: Cables) -> None:
    """Answers JSON lines on a Unix socket inside the agent's container: no port."""
    memory = Memory()
    hosts = Hosts(topology, instance, door, cables, memory)
    control = Control(hosts, Shaping(hosts, memory), memory, Captures(door), Measures(hosts, door, cables.kind))
    numbers = itertools.count(1)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _leave, cables)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _talk(control, reader, writer, f"stream {next(numbers)}")

    await control.begin()
    SOCKET.parent.mkdir(parents=True, exist_ok=True)
    SOCKET.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(client, SOCKET, limit=_LINE)
    async with server, asyncio.TaskGroup() as tasks:
        for work in (control.watch(), control.keep_time(), control.keep_watch()):
            tasks.create_task(work)


async def _talk(control: Control, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: str) -> None:
    """One client's questions, each answered, until it goes."""
    try:
        while line := await reader.readline():
            async for answer in _answers(control, line, stream):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
    except ConnectionError:
        pass
    except ValueError:  # a line without an end; where the next request begins nobody knows
        writer.write(json.dumps({"error": f"a request has more than {_LINE} bytes"}).encode() + b"\n")
    finally:
        control.hung_up(stream)
        writer.close()


def _leave(cables: Cables) -> None:
    """The engine stops the container: all else dies with its processes."""
    try:
        cables.leave()
    finally:
        sys.stdout.flush()
        os._exit(0)


async def _answers(control: Control, line: bytes, stream: str) -> AsyncIterator[dict[str, Any]]:
    """What is asked may be anything; whatever is wrong with it, the agent goes on."""
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise InputError(f"{line.decode(errors='replace').strip():.60} is no request", remedy='send {"op": ...}')
        async for answer in control.answer(request, stream):
            yield answer
    except AppbedError as error:
        yield {"error": error.message, "remedy": error.remedy, "input": isinstance(error, InputError)}
    except (OSError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        yield {"error": f"{type(error).__name__}: {error}"}


def _processor() -> dict[str, int]:
    """Clock ticks all processors of the machine were busy, and all ticks, since it started (proc(5), /proc/stat)."""
    ticks = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return {"busy": sum(ticks) - ticks[3] - ticks[4], "all": sum(ticks)}


def _drain(events: socket.socket, stirred: asyncio.Event) -> None:
    stirred.set()
    with contextlib.suppress(OSError):
        while events.recv(1 << 17):
            pass
