"""The engine in memory stands for the real one: same protocol, same refusals; what it is told to do wrong, it does."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from appbed import loader
from appbed.engine import AddressTaken, Completed, Engine, Project
from appbed.engine.docker import DockerEngine
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError

METHODS = [name for name in vars(Engine) if not name.startswith("_")]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [FakeEngine, DockerEngine])
def test_both_engines_take_what_the_protocol_says(kind: type[Any], name: str) -> None:
    wanted = inspect.signature(getattr(Engine, name))
    assert inspect.signature(getattr(kind, name)).parameters == wanted.parameters


@pytest.fixture
def project(small: Path) -> Project:
    return Project("x", (small,), {"APPBED_NET": "10.80", "APPBED_OWNER": "me", "APPBED_LIVES_ON": "true"})


@pytest.fixture
def running(engine: FakeEngine, project: Project) -> FakeEngine:
    engine.create(project)
    engine.start("x", lambda service: None)
    return engine


def ask(engine: FakeEngine, **question: Any) -> list[dict[str, Any]]:
    with engine.stream("x", "agent", ["talk"]) as stream:
        stream.send(json.dumps(question))
        return [json.loads(line) for line in stream.lines(1)]


def test_an_instance_comes_and_goes(engine: FakeEngine, project: Project, small: Path) -> None:
    assert engine.instances() == []
    engine.create(project)
    (created,) = engine.instances()
    assert (created.name, created.files, created.net, created.owner) == ("x", (small,), "10.80", "me")
    assert created.lives_on
    assert (set(created.networks), created.running) == ({"access", "campus"}, 0)
    started: list[str] = []
    engine.start("x", started.append)
    assert sorted(started) == ["agent", "client", "gateway", "server"]
    (up,) = engine.instances()
    assert up.running == 4
    assert [each.service for each in up.containers] == ["agent", "client", "gateway", "server"]
    assert up.containers[0].environment["APPBED_NET"] == "10.80"
    assert engine.down("x") == 6
    assert engine.down("x") == 0
    assert engine.instances() == []


def test_its_networks_are_routes_of_the_machine(running: FakeEngine) -> None:
    running.taken.append(IPv4Network("192.168.0.0/16"))
    assert running.routes() == [IPv4Network("192.168.0.0/16"), IPv4Network("10.80.0.0/16")]


def test_missing_images(engine: FakeEngine) -> None:
    assert engine.missing_images(["a", "b"]) == []
    engine.images = {"a"}
    assert engine.missing_images(["c", "a", "b"]) == ["b", "c"]


def test_a_net_that_somebody_else_was_quicker_to_take_leaves_a_half(engine: FakeEngine, project: Project) -> None:
    engine.raced.add("10.80")
    with pytest.raises(AddressTaken):
        engine.create(project)
    assert [one.name for one in engine.instances()] == ["x"]


def test_a_failure_comes_when_it_is_told_to(engine: FakeEngine, project: Project) -> None:
    engine.fail("start one", EngineError("no"), nth=3)
    engine.create(project)
    with pytest.raises(EngineError, match="no"):
        engine.start("x", lambda service: None)
    states = [container.state for container in engine.containers("x")]
    assert sorted(states) == ["created", "created", "running", "running"]


@pytest.mark.parametrize(("after", "left"), [(False, 0), (True, 1)])
def test_a_failure_comes_before_the_deed_or_after_it(
    engine: FakeEngine, project: Project, after: bool, left: int
) -> None:
    engine.fail("create", KeyboardInterrupt(), after=after)
    with pytest.raises(KeyboardInterrupt):
        engine.create(project)
    assert len(engine.instances()) == left


def test_any_call_can_be_counted(engine: FakeEngine) -> None:
    engine.fail("", EngineError("the second"), nth=2)
    engine.version()
    with pytest.raises(EngineError, match="the second"):
        engine.routes()
    engine.version()
    assert engine.calls == ["version", "routes", "version"]


def test_hosts_that_are_not_there_are_refused_as_the_real_engine_does(running: FakeEngine, tmp_path: Path) -> None:
    for attempt in (
        lambda: running.exec("x", "nobody", ["true"]),
        lambda: running.logs("x", "nobody"),
        lambda: running.act("x", "nobody", "restart"),
        lambda: running.copy_in("x", "nobody", "/a", b""),
        lambda: running.read("x", "nobody", "/a"),
    ):
        with pytest.raises(EngineError, match=r"x has no host 'nobody'; see `appbed ps --name x`"):
            attempt()
    with pytest.raises(EngineError, match="/a is no file"):
        running.copy_out("x", "client", "/a", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_container_that_died_runs_nothing(engine: FakeEngine, project: Project) -> None:
    engine.dead = {"client"}
    engine.create(project)
    engine.start("x", lambda service: None)
    with pytest.raises(EngineError, match="not running"):
        engine.exec("x", "client", ["true"])
    engine.act("x", "client", "restart")
    assert engine.exec("x", "client", ["true"]).status == 0


def test_commands_are_answered_as_scripted(running: FakeEngine) -> None:
    running.on_exec = lambda host, argv, stdin: Completed(3, host, " ".join(argv) + stdin)
    assert running.exec("x", "client", ["a", "b"], stdin="c") == Completed(3, "client", "a bc")


def test_logs_and_their_last_lines(running: FakeEngine) -> None:
    running.log["client"] = "a\nb\nc\n"
    assert running.logs("x", "client") == "a\nb\nc\n"
    assert running.logs("x", "client", tail=2) == "b\nc\n"
    assert running.logs("x", "server") == ""


def test_files_go_in_and_come_out(running: FakeEngine, tmp_path: Path) -> None:
    running.copy_in("x", "client", "/a", b"content")
    assert running.read("x", "client", "/a") == b"content"
    running.copy_out("x", "client", "/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"
    running.exec("x", "client", ["rm", "-f", "/a"])
    with pytest.raises(EngineError):
        running.read("x", "client", "/a")


# ---- the agent


def test_the_agent_waits_for_those_that_are_not_ready(running: FakeEngine) -> None:
    *_, last = ask(running, op="wait", seconds=5)
    assert last == {"missing": {}, "done": True}
    running.unready = {"server": "port 80"}
    first, last = ask(running, op="wait", seconds=5)
    assert first == {"missing": {"server": "port 80"}, "waiting": True}
    assert last == {"missing": {"server": "port 80"}, "done": False}


def test_the_agent_knows_the_topology_it_was_given(engine: FakeEngine, project: Project) -> None:
    engine.create(project)
    document = loader.load(project.files[0], {"APPBED_NET": "10.99"})
    engine.copy_in("x", "agent", "/appbed/topology.json", json.dumps(document.data).encode())
    engine.start("x", lambda service: None)
    (answer,) = ask(engine, op="links")
    assert {line["address"].rpartition(".")[0] for line in answer["links"]} == {"10.99.1", "10.99.2"}


def test_links_change_all_or_none(running: FakeEngine) -> None:
    def shown() -> Iterator[tuple[str, dict[str, Any]]]:
        (answer,) = ask(running, op="links")
        return ((line["attachment"], line["set"]) for line in answer["links"])

    before = dict(shown())
    (refused,) = ask(running, op="link-change", changes={"client": {"delay": "5ms"}, "server": {"delay": "fast"}})
    assert refused["error"].startswith("link server@access.delay: 'fast' is not a time")
    assert "20ms" in refused["remedy"]
    assert dict(shown()) == before
    (answer,) = ask(running, op="link-change", changes={"gateway@access": {"loss": "1%"}})
    assert answer["links"][0]["set"]["up"] == {"delay": "30ms", "rate": "10mbit", "loss": "1%"}
    assert answer["links"][0]["declared"] == before["gateway@access"]
    ask(running, op="link-change", changes={"gateway@access": {"loss": "2%"}}, base="clean")
    assert dict(shown())["gateway@access"] == {"up": {"loss": "2%"}, "down": {"loss": "2%"}}
    ask(running, op="link-change", changes={"gateway@access": {}}, base="declared")
    assert dict(shown()) == before


def test_captures_start_once_stop_once_and_leave_a_file(running: FakeEngine) -> None:
    running.captured, running.dropped = b"pcapng", 2
    assert ask(running, op="capture-start", name="c", points=["client", "campus"]) == [{"ready": True}]
    assert "already running" in ask(running, op="capture-start", name="c", points=["client"])[0]["error"]
    assert "no host 'nobody'" in ask(running, op="capture-start", name="d", points=["nobody"])[0]["error"]
    assert ask(running, op="status")[0]["captures"] == ["c"]
    (stopped,) = ask(running, op="capture-stop", name="c")
    assert stopped["points"] == [
        {"name": "client", "frames": 0, "dropped": 2},
        {"name": "campus", "frames": 0, "dropped": 0},
    ]
    assert running.read("x", "agent", *stopped["files"]) == b"pcapng"
    assert "no capture 'c'" in ask(running, op="capture-stop", name="c")[0]["error"]


def test_an_unknown_command_is_refused(running: FakeEngine) -> None:
    assert ask(running, op="dance")[0]["error"] == "unknown command 'dance'"


def test_a_refusal_says_whether_a_person_is_to_blame(running: FakeEngine) -> None:
    assert ask(running, op="link-change", changes={"client": {"delay": "fast"}})[0]["input"] is True
    assert ask(running, op="capture-stop", name="none")[0]["input"] is False


def test_an_agent_that_does_not_listen_yet_ends_the_stream(running: FakeEngine) -> None:
    running.agent_late = 1
    with running.stream("x", "agent", ["talk"]) as stream:
        stream.send(json.dumps({"op": "status"}))
        with pytest.raises(EngineError, match=r"control\.sock"):
            next(stream.lines(1))
        with pytest.raises(BrokenPipeError):
            stream.send(json.dumps({"op": "status"}))
        assert running.open_streams == 1
    assert running.open_streams == 0
    assert ask(running, op="status")
