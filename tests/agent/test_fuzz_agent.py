"""Whatever the agent and its door are asked: one answer, and both go on."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed import process, topology
from appbed.agent import control as control_module
from appbed.agent import door
from appbed.agent import hosts as hosts_module
from appbed.agent.cables import Port
from appbed.agent.captures import Captures
from appbed.agent.control import Control
from appbed.agent.desired import Desired
from appbed.agent.door import Door, Found
from appbed.agent.hosts import Hosts, Running
from appbed.agent.measures import Measures
from appbed.agent.memory import Memory
from appbed.agent.netlink import Interface
from appbed.agent.shaping import Shaping
from appbed.errors import AppbedError
from appbed.impairment import Link
from fuzzed import CASES, fuzzed, values, words
from small_lab import write_small

pytestmark = pytest.mark.timeout(120 + CASES // 10)
STEP = {"at_s": 0, "for_s": 5, "links": {"client@campus": {"delay": "5ms", "up": {"loss": "1%"}}}}
SOUND: tuple[dict[str, Any], ...] = (
    {"op": "status"},
    {"op": "wait", "seconds": 0.01},
    {"op": "links"},
    {"op": "link-change", "changes": {"gateway@access": {"delay": "5ms", "down": {"rate": "1mbit"}}}, "base": "now"},
    {"op": "link-change", "changes": {"client": {}}, "base": "declared"},
    {"op": "hold", "kind": "set", "steps": [STEP], "for_s": 10, "holder": process.me()},
    {"op": "hold", "kind": "schedule", "targets": ["schedule of client@campus"], "steps": [STEP], "start": 9e9},
    {"op": "hold", "kind": "flap", "targets": ["server@access"], "steps": [STEP], "period_s": 10, "holder": ""},
    {"op": "holds"},
    {"op": "release", "holds": ["1", "2"]},
    {"op": "capture-start", "name": "run", "points": ["all"], "options": {"filter": "tcp", "filesize": "1MB", "files": 2}},
    {"op": "capture-stop", "name": "run"},
    {"op": "measure", "series": {"client@campus": {"up": [{"kind": "probes", "count": 1}]}}, "seconds": 1},
    {"op": "introduce"},
    {"op": "events", "since": 0},
)  # fmt: skip


class Memoryless:
    """Cables that only remember what is plugged in."""

    kind = "memory"
    unused: tuple[str, ...] = ()

    def plug(self, port: Port, link: Link) -> None: ...

    def clean(self, port: Port) -> None: ...

    def set(self, links: Mapping[str, Link]) -> None: ...

    def unplug(self, port: Port, *, gone: bool) -> None: ...

    def leave(self) -> None: ...

    def counters(self) -> Mapping[str, Any]:
        return {}


class NobodyBehind:
    """A door to hosts that have just gone."""

    def __init__(self, found: list[Found]) -> None:
        self._found = found

    def find(self) -> list[Found]:
        return self._found

    def socket(self, host: Found, kind: str) -> socket.socket:
        raise LookupError("it is gone")


class Agent:
    """The agent's ear with the small lab's hosts, each link already on a cable, as far as that goes without an engine."""

    def __init__(self, folder: Path) -> None:
        shape = topology.load(write_small(folder), {})
        found = [Found(number, 1, number) for number, _ in enumerate(shape.hosts, 1)]
        behind = cast(Door, NobodyBehind(found))
        self.memory = Memory(folder)
        self.hosts = Hosts(shape, "x", behind, Memoryless(), self.memory)
        for host, each in zip(shape.hosts.values(), found, strict=True):
            inside = {at.network: Interface(2, "eth0", b"\2\0\0\0\0\1", 1500, 3, 0, ()) for at in host.attachments}
            ports = {at.network: Port(str(at), f"port{at}", 3, "veth", 4) for at in host.attachments}
            self.hosts.running[host.name] = Running(host, each, inside, ports, ready=True)
        self.shaping = Shaping(self.hosts, self.memory)
        measures = Measures(self.hosts, behind, "memory")
        self.control = Control(self.hosts, self.shaping, self.memory, Captures(behind, folder / "out"), measures)

    def says(self, line: bytes) -> list[dict[str, Any]]:
        async def answers() -> list[dict[str, Any]]:
            return [answer async for answer in control_module._answers(self.control, line, "stream 1")]

        return asyncio.run(answers())


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    monkeypatch.setattr(hosts_module, "READY", tmp_path / "ready")
    return Agent(tmp_path)


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[Agent]:
    """One for all requests, as in a lab: what one leaves behind is there for the next."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *said, **how: None)  # the agent's log
        patch.setattr(hosts_module, "READY", Path(folder) / "ready")
        yield Agent(Path(folder))


@pytest.mark.parametrize("request_", SOUND, ids=lambda it: it["op"])
def test_the_requests_are_sound_before_they_are_changed(agent: Agent, request_: dict[str, Any]) -> None:
    """But for those that need a running host's namespace, which says so in words."""
    said = agent.says(json.dumps(request_).encode())[-1]
    needs = {"capture-start": "has no running host yet", "capture-stop": "no capture", "introduce": "it is gone"}
    assert needs.get(request_["op"], "") in said.get("error", "") if "error" in said else request_["op"] not in needs


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A sound request with something else in one to three places of it, or anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(st.binary(min_size=1, max_size=30), values.map(lambda it: json.dumps(it).encode())))
    asked = copy.deepcopy(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.integers(1, 3))):
        inner: Any = asked
        while isinstance(inner, dict | list) and inner:
            key = draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
            if not isinstance(inner[key], dict | list) or draw(st.booleans()):
                kind = draw(st.integers(0, 3))
                if kind == 0 and isinstance(inner, dict):
                    inner[draw(words)] = inner.pop(key)
                elif kind == 1:
                    del inner[key]
                else:
                    inner[key] = draw(values)
                break
            inner = inner[key]
    return json.dumps(asked).encode()


@fuzzed
@given(requests())
def test_whatever_it_is_asked_the_agent_answers_in_plain_json_and_goes_on(shared: Agent, line: bytes) -> None:
    said = shared.says(line)
    assert said
    for answer in said:
        json.dumps(answer, allow_nan=False)
    assert all("error" not in answer for answer in said[:-1])
    status = shared.says(b'{"op": "status"}')
    assert status[0]["hosts"] == ["client", "gateway", "server"]
    shared.shaping.tick()
    kept = Memory(Path(shared.memory._state).parent).state["desired"] if shared.memory._state.exists() else None
    if kept:
        restored = Desired(shared.hosts.topology).restored(kept)
        assert restored.plain() == kept, "an agent that is killed now goes on where this one was"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"5", 'no request; send {"op": ...}'),
        (b"[]", "no request"),
        (b"{", "JSONDecodeError"),
        (b'{"op": "wait", "seconds": NaN}', "seconds nan is no number"),
        (b'{"op": "wait", "seconds": 1e999}', "seconds inf is no number"),
        (b'{"op": "wait", "seconds": 1' + b"0" * 400 + b"}", "is no number"),
        (b'{"op": "events", "since": "nan"}', "since 'nan' is no number"),
        (b'{"op": "hold", "kind": "set", "for_s": NaN, "steps": []}', "for nan is no number"),
        (b'{"op": "hold", "kind": "set", "start": NaN, "steps": []}', "start nan is no number"),
        (b'{"op": "hold", "kind": "set", "steps": [{"links": {"client": 5}}]}', "client: 5 is no setting of a link"),
        (b'{"op": "hold", "kind": "set", "steps": [5]}', "AttributeError"),
        (b'{"op": "link-change", "changes": []}', "AttributeError"),
        (b'{"op": "links", "x": ' + b"[" * 100_000, "RecursionError"),
    ],
)
def test_what_is_no_request_is_refused_in_words(agent: Agent, line: bytes, told: str) -> None:
    (answer,) = agent.says(line)
    assert told in f"{answer['error']}; {answer.get('remedy', '')}"


def test_a_request_without_an_end_is_refused_and_costs_only_its_own_stream(agent: Agent) -> None:
    async def talk() -> bytes:
        reader = asyncio.StreamReader(limit=1000)
        reader.feed_data(b'{"op": "links"}\n' + b"x" * 5000)
        reader.feed_eof()
        writer = Written()
        await control_module._talk(agent.control, reader, cast(asyncio.StreamWriter, writer), "stream 7")
        return bytes(writer.said)

    first, second = asyncio.run(talk()).splitlines()
    assert len(json.loads(first)["links"]) == 4
    assert "a request has more than" in json.loads(second)["error"]


class Written:
    """The other end of a talk."""

    def __init__(self) -> None:
        self.said = bytearray()

    def write(self, data: bytes) -> None:
        self.said += data

    async def drain(self) -> None: ...

    def close(self) -> None: ...


# ---- the door

DOOR: tuple[dict[str, Any], ...] = (
    {"op": "find"},
    {"op": "socket", "pid": os.getpid(), "started": 0, "kind": "udp"},
    {"op": "write", "pid": os.getpid(), "started": 0, "name": "hosts", "text": "127.0.0.1 localhost\n"},
)


@pytest.fixture(scope="module")
def channel() -> Iterator[socket.socket]:
    """To a door of an instance that has no host: nothing may be entered."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=door.serve, args=(theirs, f"fuzz-{uuid.uuid4().hex}"))
    with mine, theirs:
        thread.start()
        mine.settimeout(10)
        yield mine
        mine.close()
        thread.join(10)
    assert not thread.is_alive()


def asked(channel: socket.socket, request: bytes) -> Any:
    channel.send(request)
    data, fds, _, _ = socket.recv_fds(channel, 1 << 20, 4)
    for fd in fds:
        os.close(fd)
    assert not fds, "no socket of a namespace that is not the instance's"
    return json.loads(data)


@fuzzed
@given(st.data())
def test_whatever_it_is_asked_the_door_refuses_and_goes_on(channel: socket.socket, data: st.DataObject) -> None:
    request = copy.deepcopy(data.draw(st.sampled_from(DOOR)))
    if data.draw(st.booleans()):
        request[data.draw(st.sampled_from([*request, "x"]))] = data.draw(
            st.one_of(values, st.sampled_from([1, -1, "1", "self"]))
        )
    line = data.draw(st.one_of(st.just(json.dumps(request).encode()), st.binary(min_size=1, max_size=40)))
    said = asked(channel, line)
    assert said == {"found": []} or isinstance(said["error"], str)
    assert asked(channel, b'{"op": "find"}') == {"found": []}


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (b"5", "no request: TypeError"),
        (b"\xff", "no request: UnicodeDecodeError"),
        (b"[" * 60_000, "no request: RecursionError"),
        (b'{"op": "socket", "pid": "self", "started": 0, "kind": "udp"}', "no request: ValueError"),
        (b'{"op": "shell", "pid": 1, "started": 0}', "is no first process of this instance"),
    ],
)
def test_the_door_says_what_is_wrong(channel: socket.socket, request_: bytes, told: str) -> None:
    assert told in asked(channel, request_)["error"]


def test_text_that_cannot_be_written_empties_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(door.os, "open", lambda *path, **how: opened.append(path))
    with contextlib.suppress(AppbedError), pytest.raises(UnicodeEncodeError):
        door._write(os.getpid(), "hosts", "127.0.0.1 localhöst\n")
    assert opened == []
