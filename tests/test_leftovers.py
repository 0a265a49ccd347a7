from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
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
    containers = tuple(
        Container(f"h{i}", f"x-h{i}-1", state, "", "", {}, role="" if i else "agent") for i, state in enumerate(states)
    )
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


@pytest.mark.parametrize(
    ("states", "why"),
    [
        (("running", "created"), ["the command that brought it up was killed half-way"]),
        (("running", "running"), []),
        (("running", "exited"), []),
    ],
)
def test_what_was_to_live_on_and_was_never_whole_goes(states: tuple[str, ...], why: list[str]) -> None:
    here = process.me().rpartition(":")[0].rpartition(":")[0]
    assert whys(instance(owner=f"{here}:{ended_process()}:1", lives_on=True, states=states)) == why
    assert whys(instance(owner=process.me(), lives_on=True, states=states)) == [], "it may still be coming up"
    assert whys(instance(lives_on=True, states=states)) == [], "of Compose's own nobody knows who it belongs to"


def test_what_is_left_of_a_lab_that_was_being_taken_down_goes() -> None:
    here = process.me().rpartition(":")[0].rpartition(":")[0]
    whole = instance(owner=f"{here}:{ended_process()}:1", lives_on=True)
    assert whys(whole) == []
    half = ["the command that took it down was killed half-way"]
    assert whys(replace(whole, containers=whole.containers[1:])) == half
    for state, why in (("exited", half), ("removing", half), ("restarting", []), ("paused", [])):
        assert whys(instance(owner=whole.owner, lives_on=True, states=(state, "running"))) == why


@pytest.mark.thorough
def test_what_still_works_for_a_command_that_is_gone_is_ended_and_nothing_else() -> None:
    here = process.me().rpartition(":")[0].rpartition(":")[0]
    gone, elsewhere = f"{here}:{ended_process()}:1", f"another-boot:1:{ended_process()}:1"
    argv = [sys.executable, "-I", "-c", "import sys; print(flush=True); sys.stdin.read()"]
    owners = (gone, process.me(), elsewhere, "")
    with contextlib.ExitStack() as stack:
        workers = []
        for owner in owners:
            environment = {**os.environ, "APPBED_OWNER": owner}
            pipe = subprocess.PIPE
            workers.append(stack.enter_context(subprocess.Popen(argv, env=environment, stdin=pipe, stdout=pipe)))
            assert workers[-1].stdout is not None
            workers[-1].stdout.readline()
        assert leftovers.end_orphans() == 1
        assert [worker.poll() for worker in workers] == [-9, None, None, None]
        assert leftovers.end_orphans() == 0


def test_what_the_engine_still_does_for_a_killed_command_is_waited_for(engine: FakeEngine, small: Path) -> None:
    looks: list[int] = []

    def late(call: str) -> None:
        """The last requests of the one that was killed: one more is done before each of the first looks."""
        if call == "instances" and len(looks) < 3:
            looks.append(1)
            engine.on_call = lambda call: None  # `up` looks too
            Lab.up(small, engine, name=f"late-{len(looks)}")
            engine.on_call = late

    engine.on_call = late
    leftovers.settle(engine)
    assert len(looks) == 3
