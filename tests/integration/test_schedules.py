"""Changes planned ahead: made by the agent's own clock, seen in packets, and undone whoever dies in the middle of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from appbed.analysis import Capture
from appbed.errors import AgentError, InputError
from appbed.lab import Lab

from .conftest import wait_for
from .test_faults import AS_ROOT, another, answers, holds, kill_agent, settings

pytestmark = pytest.mark.docker


def done(lab: Lab, since: float) -> list[dict[str, Any]]:
    """What the clock did: (link, settings) in order."""
    return [event for event in lab.agent.ask("events", since=since)["events"] if event["event"] == "links"]


def now(lab: Lab) -> float:
    return float(lab.agent.ask("status")["now"])


def test_a_schedule_is_seen_in_the_packets_when_it_was_planned(pair: Lab, tmp_path: Path) -> None:
    file, before, since = tmp_path / "schedule.pcapng", settings(pair), now(pair)
    with pair.capture(file, "client"), pair.schedule({"client": ["at 600ms for 600ms: down.state=down"]}):
        (hold,) = holds(pair)
        address = str(pair.topology.host("server").address)
        pair.exec("client", "ping", "-n", "-q", "-c", "90", "-i", "0.02", "-W", "1", address, check=False)
        wait_for(lambda: not holds(pair), "the schedule ends by itself")
    assert settings(pair) == before
    packets = Capture.open(file).packets(point="host:client")
    replies = [packet.time_s for packet in packets if packet.source.host == address]
    down, up = (event["time"] for event in done(pair, since))
    # An event is noted when its cable has changed, and no cable changes before its time.
    planned = hold["began"] + 0.6, hold["began"] + 1.2
    assert planned[0] < down < planned[1] <= up + 0.001
    assert not [reply for reply in replies if down < reply < planned[1]]
    assert [reply for reply in replies if reply < planned[0]]
    assert [reply for reply in replies if reply > planned[1]]


def test_a_flap_keeps_its_rhythm(pair: Lab) -> None:
    since = now(pair)
    pair.faults.flap("client", down="250ms", up="350ms", lasting="2.4s")
    wait_for(lambda: not holds(pair), "the flap ends by itself")
    events = done(pair, since)
    assert [event["links"]["client@campus"] for event in events] == ["state down", "clean"] * 4
    # By the clock and not one after the other: each is late by itself, and never so late that the next one is due.
    late = [event.get("late_ms", 0.0) for event in events]
    assert max(late) < 250
    due = [event["time"] - ms / 1000 - events[0]["time"] for event, ms in zip(events, late, strict=True)]
    assert due == pytest.approx([0, 0.25, 0.6, 0.85, 1.2, 1.45, 1.8, 2.05], abs=0.1)


@pytest.mark.parametrize("after_s", [0.02, 0.3, 0.45, 0.8])
def test_whenever_the_caller_is_killed_the_links_go_back(pair: Lab, after_s: float) -> None:
    before = settings(pair)
    plan = '["at 200ms for 200ms: loss=50%", "at 400ms for 200ms: delay=90ms", "at 700ms: rate=1mbit"]'
    with another(pair, f'with lab.schedule({{"client": {plan}, "isp@access": {plan}}}):') as child:
        threading.Event().wait(after_s)  # the moment of its death is what this is about
        child.kill()
        wait_for(lambda: not holds(pair), "the schedule ends", 2)
        assert settings(pair) == before
    assert answers(pair) == 3


@AS_ROOT
@pytest.mark.parametrize("after_s", [0.05, 0.5, 1.1])
def test_whenever_the_agent_is_killed_its_links_are_told_truly_and_reset(pair: Lab, after_s: float) -> None:
    before, first = settings(pair), pair.agent.ask("status")
    began = time.monotonic()
    with pair.schedule({"client": ["at 400ms for 600ms: loss=50%", "at 1s for 60s: up.delay=30ms down.delay=30ms"]}):
        threading.Event().wait(after_s)  # the moment of its death is what this is about
        kill_agent(pair)
        pair.until(lambda: pair.agent.ask_again("status")["started"] != first["started"], "the agent starts again")
        pair.wait_ready()
        threading.Event().wait(max(0.0, 1.2 - (time.monotonic() - began)))  # until the plan says so
        assert settings(pair)["client@campus"] == {"up": {"delay": "30ms"}, "down": {"delay": "30ms"}}
        address = str(pair.topology.host("gateway").address)
        said = pair.exec("client", "ping", "-n", "-c", "3", "-i", "0.1", address).stdout
        assert float(said.rpartition("mdev = ")[2].split("/")[0]) >= 60
        pair.reset_links()
        assert settings(pair) == before
        assert holds(pair) == []
    assert settings(pair) == before


def test_a_plan_of_the_command_line_needs_no_process(pair: Lab) -> None:
    since = now(pair)
    argv = [sys.executable, "-m", "appbed.cli", "link", "schedule", "--name", pair.name, "client"]
    subprocess.run(
        [*argv, "at 100ms for 100ms: loss=1%", "at 300ms for 100ms: loss=2%"], check=True, capture_output=True
    )
    wait_for(lambda: not holds(pair), "the schedule ends by itself", 5)
    assert [event["links"]["client@campus"] for event in done(pair, since)] == ["loss 1%", "clean", "loss 2%", "clean"]
    refused = subprocess.run(
        [*argv, "at 1s: loss=1%", "--start", "2020-01-01"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "the schedule would have begun" in refused.stderr


def changed(lab: Lab, loss: str) -> str:
    """Two links at once, or none of them; why none."""
    try:
        lab.change_links({"client": {"loss": loss}, "server": {"loss": loss}})
    except AgentError as error:
        problem = error.message
    else:
        problem = ""
    seen = settings(lab)
    assert seen["client@campus"]["up"].get("loss") == seen["server@core"]["up"].get("loss")
    return problem


def test_a_host_that_goes_while_its_link_is_changed_leaves_the_others_alone(pair: Lab) -> None:
    before = settings(pair)
    with pair.link("client").set(delay="5ms"), pair.faults.flap("server", down="20ms", up="20ms"):
        with pair.faults.kill("server"):
            wait_for(lambda: "server" in changed(pair, "1%"), "a change of a host that is gone is refused")
        assert pair.link("server").show()["cable"] != "bridge"
    pair.reset_links()
    assert settings(pair) == before
    assert answers(pair) == 3


def test_what_is_held_is_refused_and_named(pair: Lab) -> None:
    with (
        pair.link("client").set(loss="1%"),
        pytest.raises(InputError, match=rf"held by set \d+ .*process {os.getpid()}"),
    ):
        pair.link("client").change(loss="2%")


def test_a_command_ended_by_a_signal_heals_its_host(pair: Lab) -> None:
    argv = [sys.executable, "-m", "appbed.cli", "fault", "pause", "--name", pair.name, "server", "--for", "60s"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as command:
        wait_for(lambda: [each["state"] for each in pair.faults.show()] == ["paused"], "the server is paused")
        command.send_signal(signal.SIGTERM)
        assert command.wait(20) == 130
    assert pair.faults.show() == []
    assert answers(pair) == 3
