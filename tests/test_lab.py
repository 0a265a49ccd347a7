"""A lab that is up: found again, its links, commands and captures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appbed.engine import Completed
from appbed.engine.fake import FakeEngine
from appbed.engine.fake_agent import FakeAgent
from appbed.errors import AppbedError, CommandError, EngineError, InputError, LinkError, TopologyError
from appbed.lab import Lab
from small_lab import write_small

# ---- finding a lab again


def test_a_lab_is_found_again_by_name_or_because_it_is_the_only_one(engine: FakeEngine, small: Path) -> None:
    with pytest.raises(InputError, match="0 instances are up: none; bring one up, for example `appbed up web`"):
        Lab.attach(engine)
    Lab.up(small, engine, name="one", net="10.99")
    found = Lab.attach(engine)
    assert (found.name, str(found.topology.host("client").address)) == ("one", "10.99.1.10")
    assert Lab.attach(engine, "one").name == "one"
    Lab.up(small, engine, name="two")
    with pytest.raises(InputError, match="2 instances are up: one, two; name one with --name"):
        Lab.attach(engine)
    with pytest.raises(InputError, match="no instance 'three' is up; up: one, two; see `appbed ps`"):
        Lab.attach(engine, "three")


def test_a_lab_is_what_it_was_brought_up_as_wherever_one_stands(
    engine: FakeEngine, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override by a relative path, another folder, and a file that was changed since."""
    (tmp_path / "over.yaml").write_text("services: {client: {image: other}}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    Lab.up(small, engine, overrides=[Path("over.yaml")])
    monkeypatch.chdir("/")
    write_small(tmp_path, ("  client:\n", "  customer:\n"))
    assert Lab.attach(engine).topology.host("client").image == "other"


ROLE = "org.appbed.role: agent, "


@pytest.mark.parametrize("label", [("", ""), (ROLE, "")], ids=["by its label", "by the topology's files"])
def test_the_agent_may_have_another_name(engine: FakeEngine, tmp_path: Path, label: tuple[str, str]) -> None:
    mine = write_small(tmp_path, ("  agent:\n", "  watcher:\n"), label)
    Lab.up(mine, engine, net="10.99")
    write_small(tmp_path, ("  agent:\n", "  watcher:\n"), ("image: lab/client", "image: other"))
    found = Lab.attach(engine)
    assert found.topology.agent == "watcher"
    assert found.topology.host("client").image == "lab/client", "as it was brought up, not as the file is now"
    assert found.link("client").show()["attachment"] == "client@campus"


def test_an_instance_without_an_agent_says_so(engine: FakeEngine, small: Path, tmp_path: Path) -> None:
    Lab.up(write_small(tmp_path, (ROLE, "")), engine)
    (instance,) = engine.instances()
    engine.instances = lambda: [replace(instance, files=())]  # type: ignore[method-assign]
    with pytest.raises(EngineError, match=r"^small: no container of it is its agent; `appbed down --name small`$"):
        Lab.attach(engine)


def test_a_lab_that_compose_brought_up_is_read_from_its_file(engine: FakeEngine, small: Path) -> None:
    Lab.up(small, engine, net="10.99")
    engine.files("small").clear()
    assert str(Lab.attach(engine).topology.host("server").address) == "10.99.2.80"


# ---- links


def settings(engine: FakeEngine, attachment: str = "gateway@access") -> str:
    return str(engine.agent("small").links[attachment])


DECLARED = "up delay 30ms rate 10mbit, down delay 20ms rate 10mbit"


@pytest.fixture
def lab(engine: FakeEngine, small: Path) -> Iterator[Lab]:
    with Lab.up(small, engine) as up:
        yield up


def test_a_link_is_set_for_the_length_of_a_block(engine: FakeEngine, lab: Lab) -> None:
    with lab.link("gateway@access").set(delay="50ms", up={"loss": "1%"}):
        assert settings(engine) == "up delay 50ms loss 1% rate 10mbit, down delay 50ms rate 10mbit"
        assert settings(engine, "client@campus") == "clean"
    assert settings(engine) == DECLARED


@pytest.mark.parametrize("trouble", [ValueError, KeyboardInterrupt, AssertionError])
def test_a_link_is_as_before_when_the_block_raises(engine: FakeEngine, lab: Lab, trouble: type[BaseException]) -> None:
    def block() -> None:
        with lab.link("client").set(loss="gemodel 1% 10%", state="down"):
            assert settings(engine, "client@campus") == "loss gemodel 1% 10% 100% 0% state down"
            raise trouble

    with pytest.raises(trouble):
        block()
    assert settings(engine, "client@campus") == "clean"


def test_before_is_what_was_set_and_not_what_is_declared(engine: FakeEngine, lab: Lab) -> None:
    lab.link("gateway@access").change(loss="3%", up={"delay": "1ms"})
    was = settings(engine)
    with lab.link("gateway@access").set(delay="50ms", rate="1mbit", queue=5):
        with lab.link("gateway@access").set(loss="9%"):
            assert "loss 9%" in settings(engine)
        assert "loss 3%" in settings(engine)
    assert settings(engine) == was != DECLARED


def test_a_link_that_cannot_be_set_stays_as_it_is(engine: FakeEngine, lab: Lab) -> None:
    with pytest.raises(AppbedError, match="'fast' is not a time"), lab.link("gateway@access").set(delay="fast"):
        raise AssertionError("the block is not entered")
    assert settings(engine) == DECLARED


def test_a_link_is_changed_until_it_is_reset(engine: FakeEngine, lab: Lab) -> None:
    line = lab.link("gateway@access").change(loss="2%")
    assert line["set"]["up"] == {"delay": "30ms", "rate": "10mbit", "loss": "2%"}
    assert line["declared"]["up"] == {"delay": "30ms", "rate": "10mbit"}
    assert lab.link("gateway@access").reset()["set"] == line["declared"]
    assert settings(engine) == DECLARED


def test_several_links_change_together_and_all_are_reset(engine: FakeEngine, lab: Lab) -> None:
    lab.change_links({"client": {"delay": "1ms"}, "gateway@access": {"loss": "1%"}}, base="clean")
    assert (settings(engine, "client@campus"), settings(engine)) == ("delay 1ms", "loss 1%")
    lab.reset_links()
    assert (settings(engine, "client@campus"), settings(engine)) == ("clean", DECLARED)


def test_a_cable_that_does_not_do_what_it_was_told_is_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    line = FakeAgent._line
    monkeypatch.setattr(FakeAgent, "_line", lambda agent, name: line(agent, name) | {"failed": "Cannot find device"})
    for change in (lab.reset_links, lab.link("client").reset, lambda: lab.link("client").change(loss="1%")):
        with pytest.raises(LinkError, match=r"client@campus.*: Cannot find device; the agent tries again"):
            change()


def test_calm_is_when_the_processors_were_half_idle_for_a_moment(engine: FakeEngine, lab: Lab) -> None:
    engine.ticks = [{"busy": busy, "all": 50 * number} for number, busy in enumerate((0, 50, 90, 100, 150))]
    assert lab.calm() == 0.2
    assert len(engine.ticks) == 1


def test_a_machine_that_does_not_calm_down_is_told_when_time_is_up(engine: FakeEngine, lab: Lab) -> None:
    engine.ticks = [{"busy": 50 * number, "all": 50 * number} for number in range(10_000)]
    assert lab.calm(timeout_s=0.1) == 1.0


def test_a_link_shows_itself_and_no_other_of_its_host(lab: Lab) -> None:
    assert lab.link("gateway@campus").show()["attachment"] == "gateway@campus"
    assert lab.link("gateway@access").show()["address"] == "10.77.2.2"
    assert lab.link("client").name == "client@campus"
    assert [line["attachment"] for line in lab.links()] == [
        "client@campus",
        "gateway@campus",
        "gateway@access",
        "server@access",
    ]


@pytest.mark.parametrize("name", ["nobody", "gateway", "client@access", ""])
def test_a_link_that_is_none_is_refused_without_asking_the_agent(engine: FakeEngine, lab: Lab, name: str) -> None:
    asked = engine.calls.count("send")
    with pytest.raises(TopologyError):
        lab.link(name)
    assert engine.calls.count("send") == asked


# ---- commands, captures, reset


def test_a_command_gives_its_output_or_its_failure(engine: FakeEngine, lab: Lab) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(7 if argv[0] == "false" else 0, f"{host} {stdin}", "bad\n")
    assert lab.exec("client", "cat", stdin="x") == Completed(0, "client x", "bad\n")
    assert lab.exec("client", "false", check=False).status == 7
    with pytest.raises(CommandError, match="client: false now: exit status 7: bad"):
        lab.exec("client", "false", "now")


def test_a_command_goes_to_a_host_or_the_agent_and_nowhere_else(engine: FakeEngine, lab: Lab) -> None:
    assert lab.exec("agent", "true").status == 0
    asked = len(engine.calls)
    with pytest.raises(TopologyError, match="small: no host 'clinet'; known: client, gateway, server"):
        lab.exec("clinet", "true")
    assert len(engine.calls) == asked


def test_a_capture_is_there_after_the_block(engine: FakeEngine, lab: Lab, tmp_path: Path) -> None:
    engine.captured = b"packets"
    with lab.capture(tmp_path / "c.pcapng", "client", "campus") as file:
        assert lab.agent.ask("status")["captures"] == ["c"]
    assert file.read_bytes() == b"packets"
    assert lab.agent.ask("status")["captures"] == []
    assert ("agent", "/appbed/out/c.pcapng") not in engine.files("small"), "it does not stay in the agent"


def test_a_capture_is_there_also_when_the_block_raises(engine: FakeEngine, lab: Lab, tmp_path: Path) -> None:
    engine.captured = b"packets"
    with pytest.raises(ZeroDivisionError), lab.capture(tmp_path / "c.pcapng"):
        raise ZeroDivisionError
    assert (tmp_path / "c.pcapng").read_bytes() == b"packets"


def test_a_capture_says_what_was_dropped_at_each_point(engine: FakeEngine, lab: Lab, tmp_path: Path) -> None:
    engine.dropped = 5
    lab.start_capture("c", ["all"])
    captured = lab.stop_capture("c", tmp_path / "c.pcapng")
    assert captured.dropped == 5
    assert list(captured.points) == ["client", "gateway", "server", "campus", "access"]
    assert captured.points["client"] == {"frames": 0, "dropped": 5}


def test_a_capture_that_ended_before_its_block_is_kept_and_raised(engine: FakeEngine, lab: Lab, tmp_path: Path) -> None:
    engine.captured, engine.capture_problem = b"packets", "capture 'c': No space left on device"
    with (
        pytest.raises(AppbedError, match=r"No space left on device; see .*c\.pcapng"),
        lab.capture(tmp_path / "c.pcapng"),
    ):
        pass
    assert (tmp_path / "c.pcapng").read_bytes() == b"packets"


def test_a_fetch_that_fails_can_be_tried_again(engine: FakeEngine, lab: Lab, tmp_path: Path) -> None:
    lab.start_capture("c", ["all"])
    with pytest.raises(AppbedError, match="No such file"):
        lab.stop_capture("c", tmp_path / "nowhere" / "c.pcapng")
    assert ("agent", "/appbed/out/c.pcapng") in engine.files("small")


def test_a_capture_of_nothing_known_is_refused(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(AppbedError, match="no host 'clinet'"), lab.capture(tmp_path / "c.pcapng", "clinet"):
        raise AssertionError("the block is not entered")


def test_every_server_forgets_and_routers_have_nothing_to_forget(engine: FakeEngine, lab: Lab) -> None:
    asked = []
    engine.on_exec = lambda host, argv, stdin: asked.append((host, argv)) or Completed(0, "", "")
    lab.reset()
    assert sorted(asked) == [("client", ("/appbed/reset",)), ("server", ("/appbed/reset",))]
    asked.clear()
    lab.reset("gateway")
    assert asked == [("gateway", ("/appbed/reset",))]


def test_a_server_that_does_not_forget_is_told(engine: FakeEngine, lab: Lab) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(int(host == "server"), "", "database is locked")
    with pytest.raises(CommandError, match="server: /appbed/reset: exit status 1: database is locked"):
        lab.reset()
