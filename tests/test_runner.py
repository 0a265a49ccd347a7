"""Runs of small scenarios on the engine in memory, and judging them again from disk."""

from __future__ import annotations

import gc
import json
import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appbed import places, runner, topology
from appbed.engine import Completed
from appbed.engine.fake import FakeEngine
from appbed.errors import CommandError, EngineError, TopologyError
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.runner import Ran
from appbed.scenario import Scenario, points
from appbed.verdict import Outcome, finding, judged
from small_scenario import ACCESS, SMALL_ONE


@pytest.fixture
def runs(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs go; the small lab, and its twin, are shipped."""
    twin = tmp_path / "twin.yaml"
    twin.write_text(small.read_text().replace("name: small", "name: twin"))
    monkeypatch.setattr(places, "topologies", lambda: {"small": small, "twin": twin})
    return tmp_path / "runs"


def do(engine: FakeEngine, runs: Path, *, seed: int = 5, **chosen: Scenario) -> list[Ran]:
    return list(runner.run(chosen, engine, runs, seed=seed, links="auto", say=lambda text: None))


# ---- a run


def test_a_run_is_predicted_acted_captured_judged_and_taken_down(engine: FakeEngine, runs: Path) -> None:
    engine.captured = b"packets"
    (ran,) = do(engine, runs, one=SMALL_ONE)
    assert (ran.name, ran.scenario) == ("one", SMALL_ONE)
    assert ran.verdict.outcome is Outcome.PASSED
    assert engine.instances() == []
    assert engine.open_streams == 0
    found = {path.name for path in ran.folder.iterdir()}
    assert found == {"prediction.json", "conditions.json", "events.jsonl", "capture.pcapng", "verdict.json"}
    assert (ran.folder / "capture.pcapng").read_bytes() == b"packets"
    assert ran.folder.parent == runs
    assert [event.kind for event in Evidence(ran.folder).events] == ["capturing", "step", "seen", "acted"]
    assert json.loads((ran.folder / "verdict.json").read_text()) == json.loads(json.dumps(ran.verdict.plain()))


def test_the_prediction_is_on_disk_before_anything_is_brought_up(engine: FakeEngine, runs: Path) -> None:
    found: list[dict[str, Any]] = []

    def look(call: str) -> None:
        if not found and call == "instances":
            found.extend(json.loads(path.read_text()) for path in runs.rglob("prediction.json"))

    engine.on_call = look
    do(engine, runs, one=SMALL_ONE)
    (prediction,) = found
    assert prediction["scenario"] == "one"
    assert prediction["claims"] == ["X1"]
    assert prediction["expected"] == {"delay": "50ms"}
    assert prediction["under"]["seed"] == 5
    assert prediction["under"]["links"][ACCESS] == {
        "up": {"delay": "50ms", "rate": "10mbit"},
        "down": {"delay": "50ms", "rate": "10mbit"},
    }


def test_the_links_are_set_with_the_seed_while_it_acts_and_only_then(engine: FakeEngine, runs: Path) -> None:
    changes: list[str] = []
    do(engine, runs, seed=99, one=replace(SMALL_ONE, run=lambda lab, record: changes.append(linked(engine))))
    (while_acting,) = changes
    assert while_acting == "delay 50ms rate 10mbit seed 99"


def linked(engine: FakeEngine) -> str:
    (instance,) = engine.instances()
    return str(engine.agent(instance.name).links[ACCESS])


def test_the_conditions_say_under_what_it_ran(engine: FakeEngine, runs: Path) -> None:
    engine.dropped = 0
    (ran,) = do(engine, runs, one=SMALL_ONE)
    conditions = Evidence(ran.folder).conditions
    assert conditions["seed"] == 5
    assert conditions["engine"] == "0 (fake)"
    assert conditions["backend"] == "fake"
    assert conditions["hosts"]["gateway"] == ["10.77.1.2", "10.77.2.2"]
    assert conditions["networks"] == {"campus": "10.77.1.0/24", "access": "10.77.2.0/24"}
    assert conditions["agent"]["before"] == conditions["agent"]["after"]
    assert conditions["capture"] == {
        "client": {"frames": 0, "dropped": 0},
        "access": {"frames": 0, "dropped": 0},
    }
    shown = {line["attachment"]: line["set"] for line in conditions["links"]}
    assert shown[ACCESS]["up"] == {"delay": "50ms", "rate": "10mbit", "seed": 5}


def test_servers_forget_before_each_scenario_and_one_lab_serves_all_of_its_topology(
    engine: FakeEngine, runs: Path
) -> None:
    asked: list[tuple[str, ...]] = []
    engine.on_exec = lambda host, argv, stdin: asked.append((host, *argv)) or Completed(0, "", "")
    ran = do(engine, runs, one=SMALL_ONE, other=replace(SMALL_ONE, topology="twin"), two=SMALL_ONE)
    assert [each.name for each in ran] == ["one", "two", "other"]
    assert engine.calls.count("create") == 2
    assert [what for what in asked if what[0] == "client"] == [
        *(("client", "/appbed/reset"), ("client", "/appbed/remembers"), ("client", "look")),
    ] * 3
    assert ("gateway", "/appbed/reset") not in asked


def test_one_scenario_s_links_are_not_the_next_one_s(engine: FakeEngine, runs: Path) -> None:
    plain = replace(
        SMALL_ONE,
        links={},
        predict=lambda conditions: {"delay": "30ms"},
    )
    outcomes = [ran.verdict.outcome for ran in do(engine, runs, one=SMALL_ONE, two=plain)]
    assert outcomes == [Outcome.PASSED, Outcome.PASSED]


def test_a_run_belongs_to_its_process(engine: FakeEngine, runs: Path) -> None:
    found: list[Any] = []
    do(engine, runs, one=replace(SMALL_ONE, run=lambda lab, record: found.extend(engine.instances())))
    (instance,) = found
    assert instance.name == f"run-small-{os.getpid()}"
    assert not instance.lives_on
    assert f":{os.getpid()}:" in instance.owner


def test_a_wrong_prediction_fails(engine: FakeEngine, runs: Path) -> None:
    (ran,) = do(engine, runs, one=replace(SMALL_ONE, predict=lambda conditions: {"delay": "51ms"}))
    assert ran.verdict.outcome is Outcome.FAILED
    assert ran.verdict.because == "delay: expected 51ms, saw 50ms"


# ---- sweeps, and what roles say


def _swept(lab: Lab, record: Recorder) -> None:
    for name in points(lab, record):
        record.event("seen", at=name, link=lab.link(ACCESS).show()["set"]["up"])


SWEPT = replace(
    SMALL_ONE,
    sweep={"slow": {ACCESS: {"delay": "80ms"}}, "lossy": {ACCESS: {"loss": "3%"}}},
    short=("lossy",),
    predict=lambda conditions: {name: point["links"][ACCESS]["up"] for name, point in conditions["sweep"].items()},
    run=_swept,
    check=lambda found: judged([finding("points", 2, len(found.of("seen")), len(found.of("seen")) == 2)]),
)


def test_every_point_of_a_sweep_is_predicted_set_and_recorded(engine: FakeEngine, runs: Path) -> None:
    (ran,) = do(engine, runs, seed=99, one=SWEPT)
    found = Evidence(ran.folder)
    assert found.prediction["expected"] == {
        "slow": {"delay": "80ms", "rate": "10mbit"},
        "lossy": {"delay": "50ms", "loss": "3%", "rate": "10mbit"},
    }
    seen = {event.data["at"]: event.data["link"] for event in found.of("seen")}
    assert seen == {name: {**point, "seed": 99} for name, point in found.prediction["expected"].items()}
    assert found.step("slow").data["links"] == {ACCESS: {"delay": "80ms"}}
    assert {line["attachment"]: line["set"] for line in found.conditions["links"]}[ACCESS]["up"]["delay"] == "50ms"


def test_the_short_form_has_fewer_points(engine: FakeEngine, runs: Path) -> None:
    (ran,) = runner.run({"one": SWEPT}, engine, runs, seed=1, links="auto", say=lambda text: None, short=True)
    assert [event.data["name"] for event in Evidence(ran.folder).of("step")] == ["lossy"]
    assert list(Evidence(ran.folder).prediction["expected"]) == ["lossy"]


def test_the_links_are_as_before_when_a_sweep_ends_half_way(engine: FakeEngine, runs: Path) -> None:
    after: list[str] = []

    def act(lab: Lab, record: Recorder) -> None:
        going = points(lab, record)
        assert next(going) == "slow"
        going.close()  # type: ignore[attr-defined]
        after.append(linked(engine))

    do(engine, runs, seed=99, one=replace(SWEPT, run=act))
    assert after == ["delay 50ms rate 10mbit seed 99"]


def test_a_server_that_still_knows_something_after_its_reset_makes_the_run_inconclusive(
    engine: FakeEngine, runs: Path
) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(
        0, "http://x/a\nhttp://x/b\n" if (host, argv[0]) == ("server", "/appbed/remembers") else "", ""
    )
    (ran,) = do(engine, runs, one=SMALL_ONE)
    assert ran.verdict.outcome is Outcome.INCONCLUSIVE
    assert ran.verdict.because == "server still knew http://x/a after its reset"
    assert Evidence(ran.folder).conditions["remembered"] == {"client": [], "server": ["http://x/a", "http://x/b"]}


@pytest.mark.parametrize("status", [69, 126, 127])
def test_a_role_that_cannot_say_what_it_remembers_is_left_out(engine: FakeEngine, runs: Path, status: int) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(
        status if argv[0] == "/appbed/remembers" else 0, "no such file", ""
    )
    (ran,) = do(engine, runs, one=SMALL_ONE)
    assert ran.verdict.outcome is Outcome.PASSED
    assert Evidence(ran.folder).conditions["remembered"] == {}


@pytest.mark.parametrize("status", [1, 2, 124, 137])
def test_a_role_that_fails_to_say_what_it_remembers_makes_the_run_inconclusive(
    engine: FakeEngine, runs: Path, status: int
) -> None:
    engine.on_exec = lambda host, argv, stdin: (
        Completed(status, "", "connect: refused\n")
        if (host, argv[0]) == ("server", "/appbed/remembers")
        else Completed(0, "", "")
    )
    (ran,) = do(engine, runs, one=SMALL_ONE)
    assert ran.verdict.outcome is Outcome.INCONCLUSIVE
    assert ran.verdict.because == (
        f"server could not say what it knew after its reset: exit status {status}: connect: refused"
    )


def test_exit_status_69_is_unsupported_and_the_others_still_run(engine: FakeEngine, runs: Path) -> None:
    def act(lab: Lab, record: Recorder) -> None:
        raise CommandError("client", ["load"], 69, "", "no pipelining here")

    first, second = do(engine, runs, one=replace(SMALL_ONE, run=act), two=SMALL_ONE)
    assert first.verdict.outcome is Outcome.UNSUPPORTED
    assert first.verdict.because == "client: load: exit status 69: no pipelining here"
    assert second.verdict.outcome is Outcome.PASSED
    assert runner.check(first.folder, SMALL_ONE) == first.verdict


@pytest.mark.parametrize("said", ["X1", "one"])
def test_what_an_image_says_no_to_is_not_tried(engine: FakeEngine, runs: Path, said: str) -> None:
    file = places.topologies()["small"]
    role = "x-role: {name: client}"
    assert role in file.read_text()
    file.write_text(file.read_text().replace(role, f"x-role: {{name: client, unsupported: [{said}]}}"))
    asked: list[tuple[str, ...]] = []
    engine.on_exec = lambda host, argv, stdin: asked.append((host, *argv)) or Completed(0, "", "")
    (ran,) = do(engine, runs, one=SMALL_ONE)
    assert ran.verdict.outcome is Outcome.UNSUPPORTED
    assert ran.verdict.because == f"client: lab/client does not support {said}"
    assert not asked


def test_a_link_of_a_scenario_that_is_none_is_refused(runs: Path) -> None:
    shape = topology.load(places.topologies()["small"], {})
    with pytest.raises(TopologyError, match="small: no host 'nobody'"):
        runner._links(replace(SMALL_ONE, links={"nobody": {"delay": "5ms"}}), shape)
    with pytest.raises(TopologyError, match=r"links\.client\.delay: 'fast' is not a time"):
        runner._links(replace(SMALL_ONE, links={"client": {"delay": "fast"}}), shape)


def test_a_prediction_that_fails_leaves_nothing_behind(engine: FakeEngine, runs: Path) -> None:
    def predicted() -> None:
        with pytest.raises(ZeroDivisionError):
            do(engine, runs, one=replace(SMALL_ONE, predict=lambda conditions: {"delay": 1 / 0}))

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        predicted()
        gc.collect()
    assert "create" not in engine.calls
    assert (warned, list(runs.glob("*"))) == ([], [])


# ---- trouble


def raising(error: BaseException) -> Callable[[Lab, Recorder], None]:
    def act(lab: Lab, record: Recorder) -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [EngineError("gone"), ZeroDivisionError()])
def test_when_acting_fails_the_capture_is_kept_and_the_lab_taken_down(
    engine: FakeEngine, runs: Path, error: Exception
) -> None:
    engine.captured = b"packets"
    with pytest.raises(type(error)):
        do(engine, runs, one=replace(SMALL_ONE, run=raising(error)))
    assert engine.instances() == []
    (folder,) = runs.iterdir()
    assert (folder / "capture.pcapng").read_bytes() == b"packets"
    kinds = [event.kind for event in Evidence(folder).events]
    assert kinds[:2] == ["capturing", "acted"]
    assert not (folder / "verdict.json").exists(), "what did not run to its end is not judged"


def test_a_capture_that_ended_early_makes_a_run_inconclusive(engine: FakeEngine, runs: Path) -> None:
    engine.captured, engine.capture_problem = b"packets", "capture 'run': No space left on device"
    (ran,) = do(engine, runs, one=SMALL_ONE)
    assert (ran.verdict.outcome, ran.verdict.because) == (Outcome.INCONCLUSIVE, engine.capture_problem)
    assert (ran.folder / "capture.pcapng").read_bytes() == b"packets"


def test_what_went_wrong_is_an_event(engine: FakeEngine, runs: Path) -> None:
    with pytest.raises(EngineError):
        do(engine, runs, one=replace(SMALL_ONE, run=raising(EngineError("gone", remedy="start it"))))
    (folder,) = runs.iterdir()
    (event,) = Evidence(folder).of("error")
    assert event.data == {"message": "gone; start it"}


def moments(runs: Path) -> list[tuple[int, str]]:
    """The calls of a good run between coming up, of which test_lab.py takes care, and going down; "hang up" has its test there."""
    good = FakeEngine()
    do(good, runs, one=SMALL_ONE)
    begin = len(good.calls) - good.calls[::-1].index("start one")
    calls = list(enumerate(good.calls, start=1))[begin : good.calls.index("down")]
    return [(number, call) for number, call in calls if call != "hang up"]


@pytest.mark.thorough
def test_ctrl_c_when_any_call_of_a_run_has_happened_leaves_nothing(quiet: None, runs: Path) -> None:
    for number, call in moments(runs)[::2]:
        engine = FakeEngine()
        engine.fail("", KeyboardInterrupt(), nth=number, after=True)
        with pytest.raises((KeyboardInterrupt, KeyError)):  # KeyError: see the stale answer in test_agent_client.py
            do(engine, runs, one=SMALL_ONE)
        assert engine.instances() == [], f"interrupted at call {number}, {call}"


@pytest.mark.thorough
def test_a_real_signal_at_any_call_of_a_run_leaves_nothing(quiet: None, runs: Path) -> None:
    for number, call in moments(runs)[1::2]:
        engine = FakeEngine()

        def interrupt(call: str, engine: FakeEngine = engine, number: int = number) -> None:
            if len(engine.calls) == number:
                os.kill(os.getpid(), signal.SIGINT)

        engine.on_call = interrupt
        with pytest.raises((KeyboardInterrupt, KeyError)):
            do(engine, runs, one=SMALL_ONE)
        assert engine.instances() == [], f"interrupted at call {number}, {call}"


def test_who_stops_listening_half_way_leaves_nothing(engine: FakeEngine, runs: Path) -> None:
    running = runner.run(
        {"one": SMALL_ONE, "two": SMALL_ONE}, engine, runs, seed=1, links="auto", say=lambda text: None
    )
    assert next(iter(running)).name == "one"
    assert engine.instances() != []
    running.close()  # type: ignore[attr-defined]
    assert engine.instances() == []
