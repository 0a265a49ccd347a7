"""Faults of hosts and links: begun, told truly, refused twice, healed whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from appbed import process
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError, InputError, TopologyError
from appbed.faults import Fault, Faults
from appbed.lab import Lab

CLIENT, GATEWAY = "client@campus", "gateway@access"


@pytest.fixture
def lab(up: FakeEngine) -> Iterator[Lab]:
    lab = Lab.attach(up)
    with lab.agent:
        yield lab


@pytest.fixture
def faults(lab: Lab) -> Faults:
    return lab.faults


def state(engine: FakeEngine, host: str) -> str:
    return next(each.state for each in engine.containers("small") if each.service == host)


def link(engine: FakeEngine, name: str) -> str:
    return str(engine.agent("small").links[name])


@pytest.mark.parametrize(("kind", "while_it_lasts"), [("pause", "paused"), ("stop", "exited"), ("kill", "exited")])
def test_a_host_has_its_fault_for_the_length_of_the_block(
    up: FakeEngine, faults: Faults, kind: str, while_it_lasts: str
) -> None:
    begin: Callable[[str], Fault] = getattr(faults, kind)
    with begin("server"):
        assert state(up, "server") == while_it_lasts
        (shown,) = faults.show()
        assert (shown["kind"], shown["targets"], shown["state"]) == (kind, ["server"], while_it_lasts)
        assert shown["holder"] == process.me()
    assert state(up, "server") == "running"
    assert faults.show() == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, AssertionError])
def test_it_is_healed_when_the_block_raises(up: FakeEngine, faults: Faults, failure: type[BaseException]) -> None:
    with pytest.raises(failure), faults.pause("server"), faults.cut("client", "up"):
        raise failure
    assert state(up, "server") == "running"
    assert link(up, CLIENT) == "clean"
    assert faults.show() == []


def test_without_a_block_it_lasts_until_it_is_healed_and_once_is_enough(up: FakeEngine, faults: Faults) -> None:
    fault = faults.stop("server")
    fault.heal()
    assert state(up, "server") == "running"
    again = faults.stop("server")
    fault.heal()
    assert state(up, "server") == "exited"
    again.heal()


@pytest.mark.parametrize("call", ["pause", "send"])
def test_one_that_cannot_begin_leaves_nothing(up: FakeEngine, faults: Faults, call: str) -> None:
    up.fail(call, EngineError("no"), nth=up.calls.count(call) + 1)
    with pytest.raises(EngineError):
        faults.pause("server")
    assert state(up, "server") == "running"
    assert faults.show() == []


def test_one_interrupted_after_it_began_is_healed(up: FakeEngine, faults: Faults) -> None:
    up.fail("pause", KeyboardInterrupt(), after=True)
    with pytest.raises(KeyboardInterrupt):
        faults.pause("server")
    assert state(up, "server") == "running"
    assert faults.show() == []


def test_a_second_one_on_the_same_target_is_refused_with_who_has_it(faults: Faults) -> None:
    me = process.me().split(":")[2]
    with faults.pause("server"):
        for second in (faults.kill, faults.pause, faults.restart):
            with pytest.raises(InputError, match=rf"server is held by pause 1 until it is ended by process {me}"):
                second("server")
    with faults.cut("client", "up"):
        with pytest.raises(InputError, match=r"client@campus up is held by cut \d"):
            faults.flap("client", down="1s", up="1s")
        with faults.cut("client", "down"):
            pass
        with pytest.raises(InputError, match="held by cut"):
            faults.partition(["client"])
    assert faults.show() == []


def test_a_host_that_does_not_run_is_not_paused(up: FakeEngine, faults: Faults) -> None:
    up.act("small", "server", "stop")
    with pytest.raises(InputError, match="server is exited; mend it first: appbed fault heal server"):
        faults.pause("server")
    assert [(each["kind"], each["targets"], each["state"]) for each in faults.show()] == [
        ("unknown", ["server"], "exited")
    ]
    assert faults.heal("server") == ["unknown of server"]
    assert state(up, "server") == "running"


def test_links_are_cut_one_way_parted_and_flapped(up: FakeEngine, faults: Faults) -> None:
    with faults.cut("client", "up"):
        assert link(up, CLIENT) == "up state down, down clean"
    with faults.cut("client"):
        assert link(up, CLIENT) == "state down"
    with faults.partition(["client", "campus"], ["server"]):
        assert "state down" in link(up, GATEWAY)
        assert faults.show()[0]["targets"] == [f"{GATEWAY} up", f"{GATEWAY} down"]
    with faults.flap("client", down="1s", up="3s"):
        seen = []
        for _ in range(8):
            seen.append(link(up, CLIENT) == "clean")
            up.agent("small").now += 1
        assert seen == [False, True, True, True] * 2
    assert link(up, CLIENT) == "clean"


def test_a_fault_of_a_link_may_end_by_itself(up: FakeEngine, faults: Faults) -> None:
    faults.cut("client", lasting="5s")
    up.agent("small").now += 4.9
    assert link(up, CLIENT) == "state down"
    up.agent("small").now += 0.1
    assert link(up, CLIENT) == "clean"
    assert faults.show() == []


def test_healing_keeps_what_was_set_by_hand(up: FakeEngine, lab: Lab) -> None:
    lab.link("client").change(delay="5ms")
    with lab.link("client").set(loss="1%"), lab.faults.cut("client"):
        assert lab.faults.heal() == ["cut of client@campus up, client@campus down"]
        assert link(up, CLIENT) == "delay 5ms loss 1%"
    assert link(up, CLIENT) == "delay 5ms"


def test_heal_mends_what_others_left_behind_and_an_agent_that_was_stopped(up: FakeEngine, lab: Lab) -> None:
    others = Faults(lab.engine, lab.name, lab.topology, lab.agent, outlive=True)
    others.kill("server")
    others.cut("client")
    up.act("small", "agent", "stop")
    lab.agent.close()
    healed = lab.faults.heal()
    assert sorted(healed) == ["cut of client@campus up, client@campus down", "kill of server"]
    assert {each.state for each in up.containers("small")} == {"running"}
    assert link(up, CLIENT) == "clean"


def test_heal_takes_a_host_a_link_or_a_number(up: FakeEngine, faults: Faults) -> None:
    cut, pause, kill = faults.cut("client", "up"), faults.pause("gateway"), faults.kill("server")
    assert faults.heal("client@campus") == ["cut of client@campus up"]
    assert faults.heal(pause.hold) == ["pause of gateway"]
    assert faults.heal("client") == []
    assert faults.heal("server") == ["kill of server"]
    for fault in (cut, pause, kill):
        fault.heal()
    for wrong, problem in (("klient", "no host 'klient'; known: client"), ("77", "no fault 77; known: none")):
        with pytest.raises(InputError, match=problem):
            faults.heal(wrong)


def test_one_host_that_will_not_start_does_not_keep_the_others_from_being_healed(
    up: FakeEngine, faults: Faults
) -> None:
    faults.kill("client")
    faults.stop("server")
    faults.cut("gateway@access")
    up.fail("start", EngineError("client: its image is gone"), nth=up.calls.count("start") + 1)
    with pytest.raises(EngineError, match="its image is gone"):
        faults.heal()
    assert (state(up, "client"), state(up, "server")) == ("exited", "running")
    assert [(each["kind"], each["targets"]) for each in faults.show()] == [("kill", ["client"])]
    assert "state down" not in link(up, GATEWAY)
    assert faults.heal() == ["kill of client"]


def test_every_host_that_will_not_start_is_named(up: FakeEngine, faults: Faults) -> None:
    faults.kill("client")
    faults.kill("server")
    for nth in (1, 2):
        up.fail("start", EngineError(f"no {nth}"), nth=up.calls.count("start") + nth)
    with pytest.raises(EngineError, match="no 1; no 2"):
        faults.heal()
    faults.heal()


def test_a_restart_ends_with_the_host_ready(up: FakeEngine, faults: Faults) -> None:
    faults.restart("server")
    assert up.calls.count("restart") == 1
    assert faults.show() == []


@pytest.mark.parametrize(
    ("do", "problem"),
    [
        (lambda faults: faults.pause("klient"), "no host 'klient'; known: client, gateway, server"),
        (lambda faults: faults.pause("agent"), "no host 'agent'; known"),
        (lambda faults: faults.cut("gateway"), "is on several networks; known: campus, access"),
        (lambda faults: faults.cut("client@core"), "network 'core' unknown; known: campus"),
        (lambda faults: faults.cut("client", "left"), "direction 'left' is unknown; write up or down"),
        (lambda faults: faults.cut("client", lasting="soon"), "'soon' is not a time"),
        (lambda faults: faults.cut("client", lasting="0"), "for 0ms is too short"),
        (lambda faults: faults.flap("client", down="1s", up="0"), "leaves no time in which the link is up"),
        (lambda faults: faults.flap("client", down="0", up="1s"), "for 0ms is too short"),
        (lambda faults: faults.partition(["client"], ["nobody"]), "no host or network 'nobody'; known"),
    ],
)
def test_what_means_nothing_is_refused_and_nothing_is_begun(
    faults: Faults, do: Callable[[Faults], object], problem: str
) -> None:
    with pytest.raises((InputError, TopologyError), match=problem):
        do(faults)
    assert faults.show() == []


def test_a_schedule_lasts_as_long_as_its_block_or_its_steps(up: FakeEngine, lab: Lab) -> None:
    with lab.schedule({"client": ["at 1s for 2s: loss=5%", "at 5s: delay=7ms"], GATEWAY: ["at 1s for 1s: rate=1mbit"]}):
        seen = []
        for _ in range(6):
            seen.append((link(up, CLIENT), "rate 1mbit" in link(up, GATEWAY)))
            up.agent("small").now += 1
        assert seen == [
            ("clean", False),
            ("loss 5%", True),
            ("loss 5%", False),
            ("clean", False),
            ("clean", False),
            ("delay 7ms", False),
        ]
        with pytest.raises(InputError, match="schedule of client@campus is held by schedule 1"):
            lab.schedule({"client": ["at 0: loss=1%"]}).__enter__()
    assert link(up, CLIENT) == "clean"


def test_a_schedule_in_the_past_is_refused(up: FakeEngine, lab: Lab) -> None:
    up.agent("small").now = 1.8e9
    past = pytest.raises(InputError, match="the schedule would have begun")
    with past, lab.schedule({"client": ["at 1s: loss=5%"]}, start="2020-01-01T00:00:00"):
        pass
    assert up.agent("small").desired.holds == {}
