"""`appbed fault` and what `appbed link` does for a while, as a shell sees them."""

from __future__ import annotations

import pytest

from appbed.engine.fake import FakeEngine
from command_line import Appbed

CLIENT = "client@campus"


def link(engine: FakeEngine, name: str = CLIENT) -> str:
    return str(engine.agent("small").links[name])


def state(engine: FakeEngine, host: str) -> str:
    return next(each.state for each in engine.containers("small") if each.service == host)


def test_a_fault_stays_until_it_is_healed(appbed: Appbed, up: FakeEngine) -> None:
    begun = appbed("fault", "pause", "server")
    assert begun.status == 0
    assert "pause of server; `appbed fault heal 1` ends it" in begun.out
    assert state(up, "server") == "paused"
    (shown,) = appbed("fault", "show", "--json").json
    assert (shown["kind"], shown["targets"], shown["state"]) == ("pause", ["server"], "paused")
    assert "when healed" in appbed("fault", "show").out
    assert appbed("fault", "heal", "server", "--json").json == ["pause of server"]
    assert state(up, "server") == "running"
    assert appbed("fault", "show").out.strip() == "nothing is wrong"
    assert appbed("fault", "heal").out.strip() == "healed: nothing"


def test_a_fault_of_a_host_for_a_time_is_healed_before_the_command_ends(appbed: Appbed, up: FakeEngine) -> None:
    assert appbed("fault", "stop", "server", "--for", "10ms").status == 0
    assert up.calls.index("stop") < up.calls.index("start", up.calls.index("stop"))
    assert state(up, "server") == "running"
    assert appbed("fault", "kill", "server", "--for", "soon").status == 2
    assert state(up, "server") == "running"


def test_faults_of_links(appbed: Appbed, up: FakeEngine) -> None:
    assert appbed("fault", "cut", "client", "up", "--json").json == {
        "fault": "1",
        "kind": "cut",
        "targets": [f"{CLIENT} up"],
    }
    assert link(up) == "up state down, down clean"
    assert "held by cut 1 until it is ended" in appbed("fault", "cut", "client").complaint
    assert appbed("fault", "heal").status == 0
    assert appbed("fault", "flap", "client", "--down", "1s", "--up", "3s", "--for", "30s").status == 0
    assert "in 30.0 s" in appbed("fault", "show").out
    up.agent("small").now += 30
    assert link(up) == "clean"
    parted = appbed("fault", "partition", "client,campus", "server")
    assert "partition of gateway@access up, gateway@access down" in parted.out


def test_a_restart_says_when_it_is_done(appbed: Appbed, up: FakeEngine) -> None:
    assert appbed("fault", "restart", "server", "--json").json == {"restarted": "server"}
    assert "server was restarted" in appbed("fault", "restart", "server").out
    assert up.calls.count("restart") == 2


def test_a_link_is_set_for_a_time_and_shown_with_what_holds_it(appbed: Appbed, up: FakeEngine) -> None:
    changed = appbed("link", "set", "client", "loss=2%", "--for", "10s", "--json").json
    assert changed[0]["set"]["up"] == {"loss": "2%"}
    assert changed[0]["holds"] == ["set 1"]
    assert "set 1" in appbed("link", "show", "client").out
    assert "down.loss is held by set 1 for 10.0 s more" in appbed("link", "set", "client", "loss=3%").complaint
    up.agent("small").now += 10
    assert link(up) == "clean"


def test_a_schedule_is_carried_out_and_reset_ends_it(appbed: Appbed, up: FakeEngine) -> None:
    done = appbed("link", "schedule", "client", "at 1s for 1s: loss=5%", "at 3s: delay=5ms", "--json")
    assert done.json[0]["holds"] == ["schedule 1"]
    up.agent("small").now += 1
    assert link(up) == "loss 5%"
    up.agent("small").now += 2
    assert link(up) == "delay 5ms"
    assert appbed("link", "reset", "client", "--json").json[0]["holds"] == []
    assert link(up) == "clean"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("link", "schedule", "client", "loss=5%"), "is no entry of a schedule"),
        (("link", "schedule", "client", "at 1s: loss=5%", "--start", "2020-01-01"), "would have begun"),
        (("link", "schedule", "client", "at 1s: loss=120%"), "is more than 100%"),
        (("link", "set", "client", "loss=5%", "--for", "5"), "'5' has no unit"),
        (("fault", "pause", "klient"), "no host 'klient'; known: client, gateway, server"),
        (("fault", "cut", "gateway"), "is on several networks; known: campus, access"),
        (("fault", "partition", "client,server", "gateway"), "would be parted too"),
        (("fault", "heal", "nobody"), "no host 'nobody'"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(
    appbed: Appbed, up: FakeEngine, words: tuple[str, ...], problem: str
) -> None:
    up.agent("small").now = 1.8e9
    done = appbed(*words)
    assert done.status == 2
    assert problem in done.complaint
    assert up.agent("small").desired.holds == {}
