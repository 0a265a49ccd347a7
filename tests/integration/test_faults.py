"""Faults on real containers: seen in packets, healed whoever dies, refused when they cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from appbed import process
from appbed.analysis import Capture
from appbed.errors import AgentError, InputError
from appbed.lab import Lab

from .conftest import wait_for

pytestmark = pytest.mark.docker
AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may kill the agent's process; run the tests as root on the engine's machine"
)


def answers(lab: Lab, host: str = "server", count: int = 3) -> int:
    """Echo replies the client gets."""
    address = str(lab.topology.host(host).address)
    argv = ["ping", "-n", "-q", "-c", str(count), "-i", "0.05", "-W", "1", address]
    said = lab.exec("client", *argv, check=False).stdout
    return int(said.partition(" received")[0].rpartition(" ")[2])


def settings(lab: Lab) -> dict[str, Any]:
    return {line["attachment"]: line["set"] for line in lab.links()}


def echoes(capture: Path) -> dict[tuple[str, str], int]:
    """Echo requests and replies by point and sender."""
    found: dict[tuple[str, str], int] = {}
    for point in ("host:client", "network:campus"):
        for packet in Capture.open(capture).packets(point=point):
            if packet.protocol == "icmp":
                key = (point.partition(":")[2], packet.source.host)
                found[key] = found.get(key, 0) + 1
    return found


@contextmanager
def another(lab: Lab, code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `lab` and does `code`; it says when it has begun."""
    whole = f"""
import signal
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab
lab = Lab.attach(DockerEngine(), {lab.name!r})
{code}
    print("begun", flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", whole], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            yield child
        finally:
            child.kill()


def holds(lab: Lab) -> list[dict[str, Any]]:
    return list(lab.agent.ask("holds")["holds"])


# ---- what a fault does


def test_a_paused_host_answers_nothing_and_goes_on_afterwards(pair: Lab) -> None:
    fetch = ["curl", "-s", "--max-time", "2", "-o", "/dev/null", f"http://{pair.topology.host('server').address}/"]
    with pair.faults.pause("server"):
        assert pair.exec("client", *fetch, check=False).status == 28  # curl: timed out
        with pytest.raises(InputError, match="server is held by pause"):
            pair.faults.kill("server")
    assert pair.exec("client", *fetch, check=False).status == 0


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_a_host_that_was_stopped_has_its_link_back_when_it_is_healed(pair: Lab, fault: str) -> None:
    with pair.link("server").set(delay="15ms"):
        before = settings(pair)
        with getattr(pair.faults, fault)("server"):
            assert answers(pair) == 0
            with pytest.raises(AgentError, match="server is not running; start it first"):
                pair.link("server").change(loss="1%")
            assert settings(pair) == before
        assert answers(pair) == 3
        assert pair.link("server").show()["cable"] != "bridge"
    assert pair.faults.show() == []


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_link_is_cut_in_one_direction(pair: Lab, tmp_path: Path, direction: str) -> None:
    file = tmp_path / "cut.pcapng"
    with pair.faults.cut("client", direction), pair.capture(file, "client", "campus"):
        assert answers(pair) == 0
    seen = echoes(file)
    client, server = (str(pair.topology.host(name).address) for name in ("client", "server"))
    assert seen["client", client] == 3
    if direction == "up":
        assert seen == {("client", client): 3}
    else:
        assert seen == {("client", client): 3, ("campus", client): 3, ("campus", server): 3}
    assert answers(pair) == 3


def test_groups_are_parted_from_each_other_and_whole_in_themselves(pair: Lab) -> None:
    with pair.faults.partition(["client"], ["server"]):
        assert answers(pair) == 0
        assert answers(pair, "gateway") == 3
    assert answers(pair) == 3


def test_a_fault_is_healed_when_its_block_fails_and_every_one_is_an_event(pair: Lab) -> None:
    since = pair.agent.ask("status")["now"]
    with pytest.raises(RuntimeError), pair.faults.pause("server"), pair.faults.cut("client"):
        raise RuntimeError
    assert answers(pair) == 3
    events = [
        event for event in pair.agent.ask("events", since=since)["events"] if event["event"] in ("hold", "release")
    ]
    assert [(event["event"], event["hold"].split()[0]) for event in events] == [
        *(("hold", "pause"), ("hold", "cut"), ("release", "cut"), ("release", "pause"))
    ]


# ---- who dies


def test_of_a_killed_caller_links_heal_by_themselves_and_hosts_are_told_and_mended(pair: Lab) -> None:
    before = settings(pair)
    code = 'with lab.link("client").set(delay="70ms"), lab.faults.cut("isp@access"), lab.faults.pause("server"):'
    with another(pair, code) as child:
        assert settings(pair) != before
        assert len(pair.faults.show()) == 2
        child.kill()
        wait_for(lambda: settings(pair) == before, "the links go back", 2)
    (left,) = pair.faults.show()
    assert (left["kind"], left["state"], left["left_behind"]) == ("pause", "paused", True)
    with pytest.raises(InputError, match="server is held by pause"):
        pair.faults.kill("server")
    assert pair.faults.heal() == ["pause of server"]
    assert answers(pair) == 3


def test_of_a_caller_elsewhere_the_end_of_its_stream_decides(pair: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an engine on another machine: the agent cannot see the process."""
    before = settings(pair)
    monkeypatch.setattr(process, "me", lambda: "another-boot:1:2:3")
    other = Lab.attach(pair.engine, pair.name)
    fault = other.faults.cut("client")
    assert settings(pair) != before
    other.agent.close()
    wait_for(lambda: not holds(pair), "the hold ends with its stream", 5)
    assert settings(pair) == before
    fault.heal()
    other.agent.close()


def kill_agent(lab: Lab) -> None:
    argv = ["docker", "inspect", "--format", "{{.State.Pid}}", f"{lab.name}-agent-1"]
    os.kill(int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout), signal.SIGKILL)


def started(container: str) -> float:
    argv = ["docker", "inspect", "--format", "{{.State.StartedAt}}", container]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    return datetime.fromisoformat(said[:26] + "+00:00").timestamp()


@AS_ROOT
@pytest.mark.parametrize("topology", ["pair", "internet"])
def test_after_the_agent_was_killed_every_host_has_its_link_back_within_a_second(
    topology: str, request: pytest.FixtureRequest
) -> None:
    lab: Lab = request.getfixturevalue(topology)
    first = lab.agent.ask("status")
    with lab.link("client").set(delay="25ms"):
        before = settings(lab)
        kill_agent(lab)
        lab.until(lambda: lab.agent.ask_again("status")["started"] != first["started"], "the agent starts again")
        assert settings(lab) == before
        lab.wait_ready()
    events = lab.agent.ask("events", since=first["now"])["events"]
    (outage,) = [event for event in events if event["event"] == "outage"]
    assert first["now"] - 1 < outage["since"] < started(f"{lab.name}-agent-1")
    back = {event["host"]: event["time"] for event in events if event["event"] == "host"}
    assert set(back) == set(lab.topology.hosts)
    assert max(back.values()) - started(f"{lab.name}-agent-1") < 1.0


@pytest.mark.parametrize(("topology", "host"), [("pair", "gateway"), ("internet", "gateway")])
def test_a_restarted_router_has_its_links_back_within_a_second(
    topology: str, host: str, request: pytest.FixtureRequest
) -> None:
    lab: Lab = request.getfixturevalue(topology)
    since = lab.agent.ask("status")["now"]
    before = settings(lab)
    lab.faults.restart(host)
    events = lab.agent.ask("events", since=since)["events"]
    (back,) = [event["time"] for event in events if event["event"] == "host"]
    assert back - started(f"{lab.name}-{host}-1") < 1.0
    assert settings(lab) == before
    line = next(line for line in lab.links() if line["attachment"].startswith(f"{host}@") and any(line["set"].values()))
    assert line["cable"] != "bridge"


@AS_ROOT
def test_a_run_that_lived_through_the_agents_death_is_inconclusive_and_says_so(
    pair: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("appbed.runner")
    from appbed import places, runner
    from appbed.evidence import Evidence
    from appbed.scenario import Scenario
    from appbed.verdict import Outcome, Verdict

    file = pair.engine.instances()
    path = next(instance.files[0] for instance in file if instance.name == pair.name)
    monkeypatch.setattr(places, "topologies", lambda: {"pair": path})
    scenario = Scenario(
        about="The agent dies in the middle of it.",
        topology="pair",
        predict=lambda conditions: {},
        run=lambda lab, recorder: kill_agent(lab),
        check=lambda evidence: Verdict(Outcome.PASSED, "nobody looked"),
        capture=("client",),
    )
    chosen = {"dies": scenario}
    (ran,) = runner.run(chosen, pair.engine, tmp_path, seed=1, links="auto", say=lambda text: None)
    assert ran.verdict.outcome is Outcome.INCONCLUSIVE
    assert "agent" in ran.verdict.because
    assert [event.data["what"] for event in Evidence(ran.folder).of("agent")].count("outage") == 1
