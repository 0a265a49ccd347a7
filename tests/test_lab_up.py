"""Coming up, on addresses of its own; no engine but the one in memory."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from appbed import process
from appbed.engine import AddressTaken
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError, InputError
from appbed.lab import Lab, Progress
from small_lab import nothing_left

# ---- coming up


def test_a_lab_comes_up_and_goes_down_with_its_block(engine: FakeEngine, small: Path) -> None:
    with Lab.up(small, engine) as lab:
        assert lab.name == "small"
        (instance,) = engine.instances()
        assert instance.running == 4
        assert lab.topology.host("client").address.exploded == "10.77.1.10"
    assert nothing_left(engine)


def test_the_order_of_things(engine: FakeEngine, small: Path) -> None:
    Lab.up(small, engine)
    steps = [call for call in engine.calls if call not in ("create one", "start one", "routes", "instances")]
    assert steps == ["missing_images", "create", "copy_in", "start", "stream", "send", "lines"]


def test_the_agent_is_given_the_topology_as_it_was_created(engine: FakeEngine, small: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("services: {client: {networks: {campus: {x-link: {delay: 7ms}}}}}", encoding="utf-8")
    engine.taken = [IPv4Network("10.77.0.0/16")]
    Lab.up(small, engine, overrides=[over], name="mine")
    given = json.loads(engine.files("mine")["agent", "/appbed/topology.json"])
    assert given["services"]["client"]["networks"]["campus"] == {
        "ipv4_address": "10.78.1.10",
        "x-link": {"delay": "7ms"},
    }
    assert str(engine.agent("mine").links["client@campus"]) == "delay 7ms"


def test_settings_reach_compose(engine: FakeEngine, small: Path) -> None:
    seen = {}
    create = engine.create

    def spy(project: object) -> None:
        seen["project"] = project
        create(project)  # type: ignore[arg-type]

    engine.create = spy  # type: ignore[method-assign]
    Lab.up(small, engine, name="mine", links="relay", lives_on=True)
    project = seen["project"]
    assert (project.name, project.files) == ("mine", (small,))  # type: ignore[attr-defined]
    environment = project.environment  # type: ignore[attr-defined]
    assert environment["APPBED_LINKS"] == "relay"
    assert environment["APPBED_NET"] == "10.77"
    (instance,) = engine.instances()
    assert (instance.owner, instance.lives_on) == (process.me(), True)


def test_a_lab_ends_with_its_process_unless_it_is_said_to_live_on(engine: FakeEngine, small: Path) -> None:
    Lab.up(small, engine)
    (instance,) = engine.instances()
    assert (instance.owner, instance.lives_on) == (process.me(), False)


def test_progress_is_told_with_times_that_grow(engine: FakeEngine, small: Path) -> None:
    told: list[Progress] = []
    Lab.up(small, engine, say=told.append)
    assert [step.what for step in told] == [
        "creating on 10.77.0.0/16",
        *(f"started {service}" for service in ("agent", "client", "gateway", "server")),
        "waiting for client (its network namespace), gateway (its network namespace), server (its network namespace)",
    ]
    assert [step.seconds for step in told] == sorted(step.seconds for step in told)


def test_an_agent_that_is_still_starting_is_asked_again(engine: FakeEngine, small: Path) -> None:
    engine.agent_late = 2
    with Lab.up(small, engine):
        assert engine.calls.count("stream") == 3
        assert engine.open_streams == 1
    assert nothing_left(engine)


@pytest.mark.parametrize("name", ["Web", "-web", "a b", "web/1", "x" * 42, "a\nb", "../x"])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(engine: FakeEngine, small: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no instance name; use at most 41") as caught:
        Lab.up(small, engine, name=name)
    assert "\n" not in str(caught.value)
    assert engine.calls == []


def test_a_second_lab_of_the_same_name_is_refused_and_the_first_goes_on(engine: FakeEngine, small: Path) -> None:
    Lab.up(small, engine)
    with pytest.raises(InputError) as caught:
        Lab.up(small, engine)
    assert str(caught.value) == (
        "small is already up (4 containers); `appbed down --name small`, or choose another --name"
    )
    assert "down" not in engine.calls
    assert engine.instances()[0].running == 4


def test_a_stopped_lab_of_the_same_name_is_refused_too(engine: FakeEngine, small: Path) -> None:
    engine.fail("start", KeyboardInterrupt())
    engine.down = lambda name: 0  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        Lab.up(small, engine)
    with pytest.raises(InputError, match=r"small is already up \(0 containers\)"):
        Lab.up(small, engine)


def test_two_labs_side_by_side_get_different_nets(engine: FakeEngine, small: Path) -> None:
    with Lab.up(small, engine, name="one") as one, Lab.up(small, engine, name="two") as two:
        nets = [lab.topology.host("client").address.exploded for lab in (one, two)]
        assert nets == ["10.77.1.10", "10.78.1.10"]
    assert nothing_left(engine)


def test_two_commands_at_once_do_not_take_each_other_down(engine: FakeEngine, small: Path) -> None:
    """The other command brings its lab up between this one's look at the names and its create."""

    def other(call: str) -> None:
        if call == "missing_images":
            engine.on_call = lambda call: None
            Lab.up(small, engine)

    engine.on_call = other
    with pytest.raises(InputError, match="already up"):
        Lab.up(small, engine)
    assert engine.instances()[0].running == 4


# ---- addresses


def test_a_net_with_a_route_is_passed_over(engine: FakeEngine, small: Path) -> None:
    engine.taken = [IPv4Network("10.77.128.0/17"), IPv4Network("10.78.3.0/24")]
    with Lab.up(small, engine):
        assert engine.instances()[0].net == "10.79"


def test_a_net_that_somebody_else_took_first_is_passed_over_and_its_half_removed(
    engine: FakeEngine, small: Path
) -> None:
    engine.raced = {"10.77", "10.78"}
    with Lab.up(small, engine):
        assert engine.instances()[0].net == "10.79"
    assert engine.calls.count("create") == 3
    assert nothing_left(engine)


def test_a_wanted_net_is_taken(engine: FakeEngine, small: Path) -> None:
    with Lab.up(small, engine, net="10.200"):
        assert engine.instances()[0].net == "10.200"


def test_a_wanted_net_with_a_route_is_refused_before_anything_is_created(engine: FakeEngine, small: Path) -> None:
    engine.taken = [IPv4Network("10.200.4.0/22")]
    with pytest.raises(
        EngineError, match=r"APPBED_NET=10\.200: this machine has a route to 10\.200\.4\.0/22; free are"
    ):
        Lab.up(small, engine, net="10.200")
    assert "create" not in engine.calls
    assert nothing_left(engine)


def test_a_wanted_net_that_somebody_else_took_first_is_not_swapped_for_another(engine: FakeEngine, small: Path) -> None:
    engine.raced = {"10.200"}
    with pytest.raises(AddressTaken):
        Lab.up(small, engine, net="10.200")
    assert engine.calls.count("create") == 1
    assert nothing_left(engine)


def test_without_end_is_no_trying(engine: FakeEngine, small: Path) -> None:
    engine.raced = {f"10.{second}" for second in range(256)}
    with pytest.raises(AddressTaken):
        Lab.up(small, engine)
    assert engine.calls.count("create") < 10
    assert nothing_left(engine)


def test_no_net_at_all_is_said_before_anything_is_created(engine: FakeEngine, small: Path) -> None:
    engine.taken = [IPv4Network("10.0.0.0/8")]
    with pytest.raises(EngineError, match="every net from"):
        Lab.up(small, engine)
    assert "create" not in engine.calls
