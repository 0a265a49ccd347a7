from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from appbed import leftovers, process
from appbed.engine import Container, Instance
from appbed.engine.fake import FakeEngine
from appbed.lab import Lab


class Holding(FakeEngine):
    """An engine that holds just these instances."""

    def __init__(self, *held: Instance) -> None:
        super().__init__()
        self.held = held

    def instances(self) -> list[Instance]:
        return list(self.held)


def instance(owner: str = "", states: Sequence[str] = ("running", "running"), lives_on: bool = False) -> Instance:
    containers = tuple(Container(f"h{i}", f"x-h{i}-1", state, "", "", {}) for i, state in enumerate(states))
    return Instance("x", (Path("x.yaml"),), "10.77", owner, containers, ("x_lan",), (), lives_on=lives_on)


def whys(*held: Instance) -> list[str]:
    return [leftover.why for leftover in leftovers.find(Holding(*held))]


def ended_process() -> int:
    """The id of a process that was, and has been waited for."""
    with subprocess.Popen([sys.executable, "-I", "-c", ""]) as process:
        pass
    return process.pid


def test_an_instance_that_runs_without_an_owner_stays() -> None:
    assert whys(instance()) == []
    assert whys(instance(states=("running", "exited"))) == []
    assert whys(instance(states=("paused",))) == []


def test_an_instance_of_a_living_process_stays() -> None:
    assert whys(instance(owner=process.me())) == []


def test_an_instance_of_an_ended_process_goes() -> None:
    here = process.me().rpartition(":")[0].rpartition(":")[0]
    assert whys(instance(owner=f"{here}:{ended_process()}:12345")) == ["the command that brought it up is gone"]


def test_another_process_with_the_same_number_is_not_the_owner() -> None:
    boot, space, pid, started = process.me().split(":")
    assert whys(instance(owner=f"{boot}:{space}:{pid}:{int(started) + 1}")) == [
        "the command that brought it up is gone"
    ]


@pytest.mark.parametrize(("boot", "namespace"), [("another-boot", None), (None, "1")], ids=["machine", "container"])
def test_a_process_of_another_machine_or_container_counts_as_alive(boot: str | None, namespace: str | None) -> None:
    """An engine may be remote, or asked out of several containers: who asks there cannot tell."""
    here = process.me().split(":")
    owner = f"{boot or here[0]}:{namespace or here[1]}:{ended_process()}:1"
    assert whys(instance(owner=owner)) == []


@pytest.mark.parametrize("states", [(), ("exited", "dead"), ("created",)])
def test_an_instance_of_which_nothing_runs_goes(states: tuple[str, ...]) -> None:
    assert whys(instance(states=states)) == ["none of its containers runs"]


def test_an_instance_that_a_living_process_is_bringing_up_stays() -> None:
    assert whys(instance(owner=process.me(), states=("created", "created"))) == []


@pytest.mark.parametrize("rest", ["", ":", "::", ":x:1", ":²:1", ":-1:1", ":1", ":1:x", ":1:1:1"])
def test_an_owner_that_names_no_process_is_nobody(rest: str) -> None:
    broken = process.me().rpartition(":")[0].rpartition(":")[0] + rest
    assert whys(instance(owner=broken)) == []
    assert whys(instance(owner=broken, states=("exited",))) == ["none of its containers runs"]


def test_a_leftover_says_how_much_there_is() -> None:
    (found,) = leftovers.find(Holding(instance(states=("exited", "exited"))))
    assert (found.what, found.instance) == ("x (3 objects)", "x")


def test_an_instance_that_was_meant_to_outlive_its_command_stays() -> None:
    here = process.me().rpartition(":")[0].rpartition(":")[0]
    gone = f"{here}:{ended_process()}:12345"
    assert whys(instance(owner=gone, lives_on=True)) == []
    assert whys(instance(owner=gone, lives_on=True, states=("exited",))) == ["none of its containers runs"]


def test_removing_takes_the_instance_down(engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Lab.up(small, engine, name="kept")
    here = process.me().rpartition(":")[0].rpartition(":")[0]
    monkeypatch.setattr(process, "me", lambda: f"{here}:{ended_process()}:1")
    Lab.up(small, engine, name="left")
    (found,) = leftovers.find(engine)
    assert found.instance == "left"
    leftovers.remove(engine, found)
    assert [one.name for one in engine.instances()] == ["kept"]
