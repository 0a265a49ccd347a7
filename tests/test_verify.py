"""Links measured in a lab, on the command line and around a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appbed import impairment, places, runner, verify
from appbed.agent_client import AgentClient
from appbed.engine.fake import FakeEngine
from appbed.evidence import Evidence, Recorder
from appbed.impairment import Link
from appbed.lab import Lab
from appbed.runner import Ran
from appbed.scenario import Scenario
from appbed.verdict import Outcome
from command_line import Appbed
from small_scenario import ACCESS, SMALL_ONE


def hide(engine: FakeEngine, **settings: Any) -> None:
    """The access link does something that nobody set."""
    (instance,) = engine.instances()
    agent = engine.agent(instance.name)
    link = agent.links[ACCESS]
    agent.hidden[ACCESS] = impairment.change(link, settings, "hidden") if settings else Link()


# ---- a lab


@pytest.fixture
def lab(up: FakeEngine) -> Lab:
    return Lab.attach(up)


def test_every_direction_is_measured_quickly(lab: Lab) -> None:
    measured = verify.quick(lab)
    assert [(one.attachment, one.direction) for one in measured.checked] == [
        (str(at), way) for at in lab.topology.attachments() for way in ("up", "down")
    ]
    assert {one.outcome for one in measured.checked} == {Outcome.PASSED}
    assert {len(one.samples) for one in measured.checked} == {1}
    assert measured.absent == {}


def test_a_doubtful_link_is_measured_again_before_it_is_blamed(lab: Lab, up: FakeEngine) -> None:
    hide(up, delay="60ms")
    wrong = {(one.attachment, one.direction): one for one in verify.quick(lab).checked if one.outcome is Outcome.FAILED}
    assert set(wrong) == {(ACCESS, "up"), (ACCESS, "down")}
    assert {len(one.samples) for one in wrong.values()} == {6}


def test_a_host_that_is_stopped_is_said_to_be_absent(lab: Lab, up: FakeEngine) -> None:
    up.dead.add("server")
    measured = verify.quick(lab)
    assert measured.absent == {"server@access": "its host is not running"}
    assert "server@access" not in {one.attachment for one in measured.checked}


@pytest.mark.parametrize("settings", [{"rate": "10kbit"}, {"delay": "60s"}], ids=str)
def test_a_slow_link_is_given_the_time_that_its_plan_takes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    asked: list[dict[str, Any]] = []
    ask = AgentClient.ask
    monkeypatch.setattr(
        AgentClient,
        "ask",
        lambda self, op, **details: (asked.append({"op": op, **details}), ask(self, op, **details))[1],
    )
    lab.link(ACCESS).change(**settings)
    list(verify.full(lab, [ACCESS]))
    measure = next(each for each in asked if each["op"] == "measure")
    ways = measure["series"][ACCESS].values()
    planned_s = max(
        sum((each["pause_us"] + each["count"] * each["interval_us"] + each["wait_us"]) / 1e6 for each in way)
        for way in ways
    )
    assert planned_s > 100, "else this test says nothing"
    assert planned_s + 30 < measure["seconds"] < measure["timeout_s"]


# ---- the command


def test_verify_shows_set_measured_and_verdict(appbed: Appbed, up: FakeEngine) -> None:
    done = appbed("verify")
    assert done.status == 0
    assert "30.05 ms" in done.out
    assert "10mbit" in done.out
    assert done.out.rstrip().endswith("as set")
    assert "gateway@access" in done.err, "progress"


def test_verify_of_some_and_as_json(appbed: Appbed, up: FakeEngine) -> None:
    shown = appbed("verify", "gateway", "client@campus", "--json").json
    assert {line["attachment"] for line in shown} == {"gateway@campus", "gateway@access", "client@campus"}
    up_line = next(line for line in shown if (line["attachment"], line["direction"]) == (ACCESS, "up"))
    assert up_line["outcome"] == "PASSED"
    assert {reading["what"] for reading in up_line["readings"]} == {"delay", "jitter", "loss", "rate", "queue"}


def test_verify_says_what_is_not_as_set_and_ends_with_1(appbed: Appbed, up: FakeEngine) -> None:
    hide(up, up={"loss": "5%"})
    done = appbed("verify", ACCESS)
    assert done.status == 1
    assert "FAILED" in done.out
    assert "1 not as set" in done.out


def test_verify_of_what_is_not_there_is_one_line(appbed: Appbed, up: FakeEngine) -> None:
    done = appbed("verify", "klient")
    assert (done.status, done.complaint) == (
        2,
        "small: no host 'klient'; known: client, gateway, server; did you mean client?",
    )


def test_a_stopped_host_asked_for_by_name_is_inconclusive(appbed: Appbed, up: FakeEngine) -> None:
    up.dead.add("server")
    done = appbed("verify", "server")
    assert done.status == 4
    assert "server@access: not measured, its host is not running" in done.out


def test_without_a_name_too_what_is_not_measured_is_inconclusive(appbed: Appbed, up: FakeEngine) -> None:
    up.dead.add("server")
    assert appbed("verify").status == 4


@pytest.mark.thorough
def test_a_setting_that_cannot_be_told_is_inconclusive_and_a_wrong_one_is_worse(
    appbed: Appbed, up: FakeEngine, lab: Lab
) -> None:
    lab.link(ACCESS).change(reorder="10%", jitter="18ms")
    done = appbed("verify", ACCESS)
    assert "could not be told" in done.out
    assert done.status == 4
    hide(up, up={"loss": "5%"})
    assert appbed("verify", ACCESS).status == 1


# ---- a run


@pytest.fixture
def ran(tmp_path: Path, small: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Ran]:
    monkeypatch.setattr(places, "topologies", lambda: {"small": small})

    def run(chosen: Scenario) -> Ran:
        (one,) = runner.run({"one": chosen}, engine, tmp_path / "runs", seed=5, links="auto", say=lambda text: None)
        return one

    return run


def test_a_run_keeps_links_as_set_and_as_measured(ran: Callable[[Any], Ran]) -> None:
    kept = Evidence(ran(SMALL_ONE).folder).conditions
    for moment in ("before", "after"):
        access = next(one for one in kept["measured"][moment]["links"] if one["attachment"] == ACCESS)
        assert access["set"]["delay"] == "50ms"
        assert min(access["samples"][0]["delays_ms"]) == pytest.approx(50.05, abs=0.1)
    assert len(kept["counters"]) == 4


@pytest.mark.parametrize("settings", [{"delay": "80ms"}, {"rate": "5mbit"}, {}], ids=str)
def test_what_changed_behind_our_back_makes_a_run_inconclusive(
    ran: Callable[[Any], Ran], engine: FakeEngine, settings: dict[str, Any]
) -> None:
    def act(lab: Lab, record: Recorder) -> None:
        SMALL_ONE.run(lab, record)
        hide(engine, **settings)

    verdict = ran(replace(SMALL_ONE, run=act)).verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because.startswith(f"{ACCESS} up was not as set after the run: ")


def test_hosts_know_each_other_before_anything_is_timed(
    ran: Callable[[Any], Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = AgentClient.ask
    monkeypatch.setattr(AgentClient, "ask", lambda self, op, **details: (asked.append(op), ask(self, op, **details))[1])
    ran(SMALL_ONE)
    assert asked.index("introduce") < asked.index("measure") < asked.index("capture-start")
    assert asked.index("capture-stop") < len(asked) - 1 - asked[::-1].index("measure")
