"""Links kept as they should be: all or none on request, whatever can be by the clock, and again after the agent was killed."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from appbed import process, topology
from appbed.agent import hosts as hosts_module
from appbed.agent.cables import Port
from appbed.agent.door import Door, Found
from appbed.agent.hosts import Hosts, Running
from appbed.agent.memory import Memory
from appbed.agent.netlink import Interface
from appbed.agent.shaping import Shaping
from appbed.errors import AgentError, InputError
from appbed.impairment import Link
from small_lab import write_small

CLIENT, GATEWAY, SERVER = "client@campus", "gateway@access", "server@access"
DOWN: Mapping[str, object] = {"state": "down"}


class Cables:
    """Remembers what each cable was set to; those in `gone` have lost their interface."""

    kind = "memory"
    unused: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self.gone: set[str] = set()

    def plug(self, port: Port, link: Link) -> None:
        self.set({port.name: link})

    def clean(self, port: Port) -> None:
        pass

    def set(self, links: Mapping[str, Link]) -> None:
        for name, link in links.items():  # one after the other, as tc does it
            if name in self.gone:
                raise OSError(f"Cannot find device {name}")
            self.now[name] = str(link)

    def unplug(self, port: Port, *, gone: bool) -> None:
        self.now.pop(port.name, None)

    def leave(self) -> None:
        pass

    def counters(self) -> Mapping[str, Any]:
        return {}


class Agent:
    """The part of an agent that shapes, in a folder that outlives it, with every host running and plugged in."""

    def __init__(self, folder: Path, cables: Cables) -> None:
        self.cables = cables
        self.memory = Memory(folder)
        shape = topology.load(folder / "small.yaml", {})
        self.hosts = Hosts(shape, "x", cast(Door, None), cables, self.memory)
        self.shaping = Shaping(self.hosts, self.memory)
        for host in shape.hosts.values():
            ports = {at.network: Port(str(at), str(at), 1, "veth", 2) for at in host.attachments}
            inside = {network: Interface(3, "eth0", b"\2\0\0\0\0\1", 1500, 1, 0, ()) for network in ports}
            self.hosts.running[host.name] = Running(host, Found(1, 1, 1), inside, ports)
        cables.set({str(at): self.hosts.link(at) for at in shape.attachments()})

    def set(self) -> dict[str, str]:
        """What the cables do, which must be what the agent says they do."""
        said = {line["attachment"]: str(self.hosts.wanted[line["attachment"]]) for line in self.shaping.lines()}
        assert said == self.cables.now
        return self.cables.now

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.memory.events if event["event"] == kind]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    monkeypatch.setattr(hosts_module, "READY", tmp_path / "ready")
    write_small(tmp_path)
    return Agent(tmp_path, Cables())


def again(agent: Agent, tmp_path: Path) -> Agent:
    """Killed, and started on what it kept."""
    return Agent(tmp_path, Cables())


def hold(agent: Agent, kind: str = "set", *, holder: str = "", stream: str = "stream 1", **request: Any) -> str:
    return str(agent.shaping.hold({"kind": kind, "holder": holder, **request}, stream)["hold"])


def over(link: str = CLIENT, **settings: object) -> list[dict[str, Any]]:
    return [{"links": {link: settings}}]


def test_what_is_asked_for_is_there_as_a_whole_or_not_at_all(agent: Agent) -> None:
    before = dict(agent.set())
    agent.cables.gone.add(SERVER)
    both = {CLIENT: {"delay": "5ms"}, SERVER: {"delay": "5ms"}}
    with pytest.raises(AgentError, match=rf"{CLIENT} and 1 more: Cannot find device {SERVER}; nothing was changed"):
        agent.shaping.change(both, "now")
    assert agent.set() == before
    with pytest.raises(AgentError, match="nothing was changed"):
        hold(agent, "partition", steps=[{"links": dict.fromkeys(both, DOWN)}])
    assert agent.set() == before
    assert agent.shaping.holds() == []
    assert agent.events("release")[-1]["why"].startswith("could not begin")
    agent.cables.gone.clear()
    agent.shaping.change(both, "now")
    assert (agent.set()[CLIENT], agent.set()[SERVER]) == ("delay 5ms", "delay 5ms")


def test_what_ends_ends_also_where_an_interface_is_gone(agent: Agent) -> None:
    name = hold(agent, "partition", steps=[{"links": dict.fromkeys((SERVER, CLIENT), DOWN)}])
    agent.cables.gone.add(SERVER)
    agent.shaping.release([name])
    assert agent.cables.now[CLIENT] == "clean"
    assert agent.events("failed")[-1]["link"] == SERVER
    (line,) = agent.shaping.lines([SERVER])
    assert "Cannot find device" in line["failed"]
    agent.cables.gone.clear()
    agent.shaping.change({SERVER: {"delay": "1ms"}}, "now")
    assert agent.shaping.lines([SERVER])[0]["failed"] is None


def test_of_a_host_that_is_stopped_nothing_is_changed_but_everything_is_taken_back(agent: Agent) -> None:
    name = hold(agent, "cut", steps=over(SERVER, state="down"), targets=[SERVER])
    del agent.hosts.running["server"]
    with pytest.raises(AgentError, match="server is not running; start it first: appbed fault heal server"):
        agent.shaping.change({CLIENT: {"delay": "5ms"}, SERVER: {"delay": "5ms"}}, "now")
    with pytest.raises(AgentError, match="server is not running"):
        hold(agent, steps=over(SERVER, loss="1%"))
    assert agent.cables.now[CLIENT] == "clean"
    agent.shaping.release([name])
    assert agent.hosts.wanted[SERVER].clean
    agent.shaping.change({CLIENT: {}, SERVER: {}}, "declared")


@pytest.mark.parametrize("name", ["klient", "client@core"])
def test_names_that_are_none_are_refused_with_those_that_are(agent: Agent, name: str) -> None:
    with pytest.raises(InputError, match="known: "):
        agent.shaping.change({name: {}}, "now")


def test_time_ends_a_hold_and_says_when_to_wake(agent: Agent) -> None:
    hold(agent, steps=over(delay="9ms"), for_s=0.05)
    due = agent.shaping.tick()
    assert due is not None
    assert agent.set()[CLIENT] == "delay 9ms"
    while time.monotonic() < due:
        pass
    assert agent.shaping.tick() is None
    assert agent.set()[CLIENT] == "clean"
    assert agent.events("release")[-1]["why"] == "its time is over"
    assert agent.events("links")[-1]["late_ms"] >= 0


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_wall_clock_that_jumps_moves_no_plan(agent: Agent, monkeypatch: pytest.MonkeyPatch, jump_s: int) -> None:
    hold(agent, steps=over(delay="9ms"), for_s=60)
    hold(agent, "schedule", steps=[{"at_s": 5, "links": {SERVER: {"delay": "7ms"}}}], start=time.time() + 60)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + jump_s)
    due = agent.shaping.tick()
    assert due is not None
    assert 0 < due - time.monotonic() <= 60
    assert (agent.set()[CLIENT], agent.set()[SERVER]) == ("delay 9ms", "clean")
    assert [0 < each["seconds_left"] <= 60 for each in agent.shaping.holds() if each["seconds_left"]] == [True]


def test_a_holder_that_is_gone_holds_no_link_but_its_host_fault_is_told(agent: Agent) -> None:
    boot, namespace, pid, started = process.me().split(":")
    hold(agent, steps=over(delay="9ms"), holder=process.me())
    fault = hold(agent, "pause", targets=["server"], holder=process.me())
    agent.shaping.look_after_holders()
    assert agent.set()[CLIENT] == "delay 9ms"
    kept = agent.memory.state["desired"]["holds"]
    for each in kept:
        each["holder"] = f"{boot}:{namespace}:{pid}:{int(started) + 1}"  # somebody who had this pid before
    agent.memory.keep(desired=agent.memory.state["desired"])
    agent = again(agent, agent.memory._state.parent)
    agent.shaping.look_after_holders()
    assert agent.set()[CLIENT] == "clean"
    assert agent.events("release")[-1]["why"] == "its holder is gone"
    (left,) = agent.shaping.holds()
    assert (left["hold"], left["left_behind"]) == (fault, True)


def test_of_a_holder_elsewhere_the_stream_decides(agent: Agent) -> None:
    hold(agent, steps=over(delay="9ms"), holder="another-boot:1:2:3", stream="stream 4")
    hold(agent, "kill", targets=["server"], holder="another-boot:1:2:3", stream="stream 4")
    agent.shaping.look_after_holders()
    agent.shaping.hung_up("stream 3")
    assert agent.set()[CLIENT] == "delay 9ms"
    agent.shaping.hung_up("stream 4")
    assert agent.set()[CLIENT] == "clean"
    assert [each["left_behind"] for each in agent.shaping.holds()] == [True]


def test_one_that_was_killed_goes_on_where_the_clock_stands(agent: Agent, tmp_path: Path) -> None:
    agent.shaping.change({GATEWAY: {"loss": "3%"}}, "now")
    hold(agent, steps=over(delay="9ms"), holder=process.me())
    hold(agent, steps=over(SERVER, loss="1%"), holder="another-boot:1:2:3", stream="stream 1")
    hold(agent, steps=over(SERVER, delay="1ms"), for_s=0.01)
    flap = [{"for_s": 1000, "links": {"client": {"up": {"state": "down"}}}}]
    hold(agent, "flap", steps=flap, period_s=2000)
    end = time.monotonic() + 0.01
    while time.monotonic() < end:
        pass
    after = again(agent, tmp_path)
    assert after.set()[CLIENT] == "up delay 9ms state down, down delay 9ms"
    assert after.set()[GATEWAY].count("loss 3%") == 2
    assert after.set()[SERVER] == "clean"
    assert {(each["hold"], each["why"]) for each in after.events("release")} == {
        ("set 2", "its holder's stream broke when the agent ended"),
        ("set 3", "its time was over"),
    }
    assert hold(after, steps=over(loss="1%")) == "5"


def test_after_another_boot_no_hold_is_left(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(agent, steps=over(delay="9ms"), for_s=60)
    agent.shaping.change({GATEWAY: {"loss": "3%"}}, "now")
    monkeypatch.setattr(process, "boot", lambda: "the next one")
    after = again(agent, tmp_path)
    assert after.set()[CLIENT] == "clean"
    assert "loss 3%" in after.set()[GATEWAY]


def test_events_and_the_last_sign_of_life_outlive_the_agent(agent: Agent, tmp_path: Path) -> None:
    assert agent.memory.last_alive is None
    agent.memory.sign_of_life()
    hold(agent, steps=over(delay="9ms"))
    with (tmp_path / "events.jsonl").open("a") as log:
        log.write('{"time": 1, "eve')  # killed in the middle of a line
    after = again(agent, tmp_path)
    assert [event["event"] for event in after.memory.events] == ["hold", "links"]
    assert after.memory.last_alive is not None
    assert abs(after.memory.last_alive - time.time()) < 60


def test_what_failed_is_tried_again_by_itself_and_said_once(agent: Agent) -> None:
    name = hold(agent, "cut", steps=over(SERVER, state="down"))
    agent.cables.gone.add(SERVER)
    agent.shaping.release([name])
    said = len(agent.memory.events)
    due = agent.shaping.tick()
    assert due is not None
    assert time.monotonic() < due < time.monotonic() + 5
    assert len(agent.memory.events) == said
    agent.cables.gone.clear()
    assert agent.shaping.tick() is None
    assert agent.set()[SERVER] == "clean"
    assert agent.events("links")[-1]["links"] == {SERVER: "clean"}


def test_a_reset_tries_again_what_failed_and_another_change_does_not(agent: Agent) -> None:
    name = hold(agent, "cut", steps=over(SERVER, state="down"))
    agent.cables.gone.add(SERVER)
    agent.shaping.release([name])
    agent.shaping.change({CLIENT: {"delay": "5ms"}}, "now")
    (line,) = agent.shaping.change({SERVER: {}}, "declared")
    assert "Cannot find device" in line["failed"]
    agent.cables.gone.clear()
    (line,) = agent.shaping.change({SERVER: {}}, "declared")
    assert line["failed"] is None
    assert agent.set()[SERVER] == "clean"


def test_on_a_full_disk_nothing_begins_and_everything_ends(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    name = hold(agent, steps=over(delay="9ms"))
    before = dict(agent.set())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", _full)
        with pytest.raises(AgentError, match="No space left on device; nothing was changed"):
            agent.shaping.change({GATEWAY: {"loss": "3%"}}, "now")
        with pytest.raises(AgentError, match="nothing was changed"):
            hold(agent, steps=over(SERVER, loss="1%"))
        assert agent.set() == before
        agent.shaping.release([name])
        assert agent.set()[CLIENT] == "clean"
        assert agent.shaping.tick() is not None
    assert len(agent.memory.state["desired"]["holds"]) == 1
    assert agent.shaping.tick() is None
    assert agent.memory.state["desired"]["holds"] == []


def _full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_could_not_be_done_is_not_kept(agent: Agent, tmp_path: Path) -> None:
    agent.cables.gone.add(SERVER)
    with pytest.raises(AgentError):
        agent.shaping.change({SERVER: {"delay": "5ms"}}, "now")
    assert again(agent, tmp_path).set()[SERVER] == "clean"
