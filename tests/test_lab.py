"""Coming up, going down, and all that can go wrong on the way; no engine but the one in memory."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from appbed import leftovers
from appbed.engine import AddressTaken, Completed
from appbed.engine.fake import FakeEngine
from appbed.errors import AgentError, AppbedError, CommandError, EngineError, InputError, StartError, TopologyError
from appbed.lab import Lab, Progress
from small_lab import write_small

Break = Callable[[FakeEngine], object]


def nothing_left(engine: FakeEngine) -> bool:
    """No container, no network, no stream; a signal ends this process as before."""
    return (
        engine.instances() == []
        and engine.open_streams == 0
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


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
    assert (instance.owner, instance.lives_on) == (leftovers.me(), True)


def test_a_lab_ends_with_its_process_unless_it_is_said_to_live_on(engine: FakeEngine, small: Path) -> None:
    Lab.up(small, engine)
    (instance,) = engine.instances()
    assert (instance.owner, instance.lives_on) == (leftovers.me(), False)


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


# ---- failed starts


def set_unready(engine: FakeEngine) -> None:
    engine.unready = {"server": "port 80"}


def set_dead(*services: str) -> Break:
    def kill(engine: FakeEngine) -> None:
        engine.dead = set(services)

    return kill


FAILURES: dict[str, Break] = {
    "create refuses": lambda engine: engine.fail("create", EngineError("no space left on device")),
    "create stops half-way": lambda engine: engine.fail("create one", EngineError("no such image"), nth=2),
    "create fails at the end": lambda engine: engine.fail("create", EngineError("boom"), after=True),
    "the topology cannot be handed over": lambda engine: engine.fail("copy_in", EngineError("no space left")),
    "start refuses": lambda engine: engine.fail("start", EngineError("cgroups")),
    "start stops half-way": lambda engine: engine.fail("start one", EngineError("no memory"), nth=3),
    "the agent's container ends": set_dead("agent"),
    "a host's container ends": set_dead("server"),
    "a host never gets ready": set_unready,
    "a defect of ours": lambda engine: engine.fail("lines", ZeroDivisionError()),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_lab_that_does_not_come_up_is_gone_again(engine: FakeEngine, small: Path, failure: str) -> None:
    FAILURES[failure](engine)
    with pytest.raises((AppbedError, ZeroDivisionError)):
        Lab.up(small, engine)
    assert engine.instances() == []


def test_an_agent_that_refuses_once_is_asked_again(engine: FakeEngine, small: Path) -> None:
    engine.fail("lines", AgentError("not yet"))
    with Lab.up(small, engine) as lab:
        assert lab.agent.ask("status")["missing"] == {}


@pytest.mark.parametrize("failure", ["a host never gets ready", "a host's container ends"])
def test_a_lab_that_does_not_come_up_leaves_no_stream(engine: FakeEngine, small: Path, failure: str) -> None:
    FAILURES[failure](engine)
    with pytest.raises(StartError):
        Lab.up(small, engine)
    assert engine.open_streams == 0


def test_another_lab_does_not_go_with_the_one_that_failed(engine: FakeEngine, small: Path) -> None:
    Lab.up(small, engine, name="kept")
    engine.unready = {"server": "port 80"}
    with pytest.raises(StartError):
        Lab.up(small, engine, name="failed")
    assert [one.name for one in engine.instances()] == ["kept"]


def test_the_last_lines_of_the_host_that_is_not_ready_are_told(engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80", "client": "its network namespace"}
    engine.log["server"] = "".join(f"line {number}\n" for number in range(1, 21)) + "nginx: bind() failed\n"
    with pytest.raises(StartError) as caught:
        Lab.up(small, engine, timeout_s=5)
    said = str(caught.value)
    assert said.startswith("small: server is not ready after 5 s: waited for port 80 (and 1 more); its last lines: ")
    assert "line 14 | line 15" in said
    assert said.endswith("line 20 | nginx: bind() failed; it was taken down again")
    assert "line 13" not in said
    assert "\n" not in said
    assert caught.value.exit_code == 3


def test_a_host_that_logged_nothing_is_told_too(engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80"}
    with pytest.raises(StartError, match="waited for port 80; it logged nothing; it was taken down again"):
        Lab.up(small, engine)


def test_an_agent_that_died_is_told_at_once_with_its_last_lines(engine: FakeEngine, small: Path) -> None:
    engine.dead = {"agent"}
    engine.log["agent"] = "agent: APPBED_LINKS is 'fast'; known: auto, netem, relay\n"
    with pytest.raises(StartError) as caught:
        Lab.up(small, engine, timeout_s=3600)
    assert "small: agent is not ready: waited for its container, which ended; its last lines: agent: APPBED_LINKS" in (
        str(caught.value)
    )


def test_an_agent_that_never_answers_is_given_up_in_time(engine: FakeEngine, small: Path) -> None:
    engine.agent_late = 10**6
    with pytest.raises(StartError, match="agent is not ready after 0 s: waited for the agent; it logged nothing"):
        Lab.up(small, engine, timeout_s=0.1)
    assert nothing_left(engine)


def test_missing_images_are_named_before_anything_is_created(engine: FakeEngine, small: Path) -> None:
    engine.images = {"lab/client"}
    with pytest.raises(EngineError) as caught:
        Lab.up(small, engine)
    assert str(caught.value) == "images missing: lab/router, lab/web; run `appbed setup`"
    assert "create" not in engine.calls


def test_when_the_removal_fails_too_both_are_told(engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80"}
    engine.fail("down", EngineError("3 objects of small would not go"))
    with pytest.raises(EngineError) as caught:
        Lab.up(small, engine)
    assert "server is not ready" in str(caught.value)
    assert "would not go" in str(caught.value)


# ---- Ctrl-C


def calls_of_a_good_start(small: Path) -> int:
    engine = FakeEngine()
    Lab.up(small, engine)
    return len(engine.calls)


@pytest.mark.parametrize("after", [False, True], ids=["before it happens", "when it has happened"])
def test_ctrl_c_at_any_call_leaves_nothing(quiet: None, small: Path, after: bool) -> None:
    for number in range(1, calls_of_a_good_start(small) + 1):
        engine = FakeEngine()
        engine.fail("", KeyboardInterrupt(), nth=number, after=after)
        with pytest.raises(KeyboardInterrupt):
            Lab.up(small, engine)
        assert engine.instances() == [], f"interrupted at call {number}, {engine.calls[number - 1]}"


def test_a_real_signal_at_any_call_leaves_nothing(quiet: None, small: Path) -> None:
    for number in range(1, calls_of_a_good_start(small) + 1):
        engine = FakeEngine()

        def interrupt(call: str, engine: FakeEngine = engine, number: int = number) -> None:
            if len(engine.calls) == number:
                os.kill(os.getpid(), signal.SIGINT)

        engine.on_call = interrupt
        with pytest.raises(KeyboardInterrupt):
            Lab.up(small, engine)
        assert engine.instances() == [], f"interrupted at call {number}, {engine.calls[number - 1]}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_impatience_does_not_stop_the_taking_down(engine: FakeEngine, small: Path, number: signal.Signals) -> None:
    """Ctrl-C again and again while containers are removed: the first failure is what is told."""
    engine.unready = {"server": "port 80"}
    engine.on_call = lambda call: call in ("down", "remove one") and os.kill(os.getpid(), number)
    with pytest.raises(StartError, match="server is not ready"):
        Lab.up(small, engine)
    assert engine.instances() == []


def test_impatience_does_not_stop_the_end_of_a_block(engine: FakeEngine, small: Path) -> None:
    engine.on_call = lambda call: call in ("down", "remove one") and os.kill(os.getpid(), signal.SIGINT)
    with Lab.up(small, engine):
        pass
    assert nothing_left(engine)


def test_an_interrupted_block_takes_its_lab_down(engine: FakeEngine, small: Path) -> None:
    def interrupted() -> None:
        with Lab.up(small, engine) as lab:
            engine.on_exec = lambda host, argv, stdin: os.kill(os.getpid(), signal.SIGINT) or Completed(0, "", "")
            lab.exec("client", "sleep", "9")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert nothing_left(engine)


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), EngineError("connection reset"), OSError("bad file")])
def test_trouble_with_the_stream_does_not_stop_the_taking_down(
    engine: FakeEngine, small: Path, trouble: BaseException
) -> None:
    lab = Lab.up(small, engine)
    engine.fail("hang up", trouble)
    with pytest.raises(type(trouble)):
        lab.down()
    assert engine.instances() == []


@pytest.mark.parametrize(("lives_on", "found"), [(False, ["small"]), (True, [])])
def test_a_process_that_was_killed_leaves_what_gc_finds(
    engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch, lives_on: bool, found: list[str]
) -> None:
    boot, pid, started = leftovers.me().split(":")
    monkeypatch.setattr(leftovers, "me", lambda: f"{boot}:{pid}:{int(started) - 1}")
    Lab.up(small, engine, lives_on=lives_on)
    assert [each.instance for each in leftovers.find(engine)] == found


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
