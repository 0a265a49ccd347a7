"""What links should be: declared, changed by hand, and holds over that; refused as a whole or there as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appbed import topology
from appbed.agent.desired import GONE, Desired
from appbed.errors import InputError
from small_lab import write_small

CLIENT, GATEWAY = "client@campus", "gateway@access"
NOW = 100.0


@pytest.fixture
def desired(tmp_path: Path) -> Desired:
    return Desired(topology.load(write_small(tmp_path), {}))


def hold(desired: Desired, kind: str = "set", now: float = NOW, **request: Any) -> Desired:
    return desired.hold({"kind": kind, **request}, now, 0.0)


def over(link: str = CLIENT, **settings: object) -> list[dict[str, Any]]:
    return [{"links": {link: settings}}]


def said(desired: Desired, link: str = CLIENT, now: float = NOW) -> str:
    return str(desired.links(now)[link])


def test_holds_lie_over_what_was_changed_and_over_each_other(desired: Desired) -> None:
    desired = desired.change({CLIENT: {"delay": "10ms"}}, "now", NOW)
    desired = hold(desired, steps=over(loss="1%"))
    desired = hold(desired, steps=over(loss="2%", rate="10mbit"))
    assert said(desired) == "delay 10ms loss 2% rate 10mbit"
    assert said(desired, GATEWAY) == said(Desired(desired.topology), GATEWAY)


def test_holds_may_end_in_any_order(desired: Desired) -> None:
    first = hold(desired, steps=over(loss="1%"))
    both = hold(first, steps=over(loss="2%"))
    one, two = both.holds.values()
    assert said(both.without([one])) == "loss 2%"
    assert said(both.without([two])) == "loss 1%"
    assert said(both.without([one, two])) == "clean"


def test_a_hold_that_means_nothing_on_what_is_left_ends_too(desired: Desired) -> None:
    desired = hold(desired, steps=over(delay="30ms"))
    desired = hold(desired, steps=over(jitter="10ms"))
    desired = hold(desired, steps=over(GATEWAY, loss="1%"))
    delay, _, loss = desired.holds.values()
    left = desired.without([delay]).standing(NOW)
    assert list(left.holds.values()) == [loss]
    assert said(left) == "clean"


def test_a_hold_is_refused_when_it_would_outlast_what_it_stands_on(desired: Desired) -> None:
    desired = hold(desired, steps=over(delay="30ms"), for_s=5)
    assert said(hold(desired, steps=over(jitter="10ms"), for_s=4)) == "delay 30ms jitter 10ms"
    with pytest.raises(InputError, match="more than the delay"):
        hold(desired, steps=over(jitter="10ms"))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"delay": "-1ms"}, "is not a time"),
        ({"loss": "120%"}, "more than 100%"),
        ({"rate": 0}, "is no rate"),
        ({"jitter": "5ms"}, "more than the delay"),
        ({"dealy": "5ms"}, "unknown setting.*known: delay"),
    ],
)
def test_settings_that_cannot_be_are_refused_now_and_for_later(
    desired: Desired, settings: dict[str, object], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        desired.change({CLIENT: settings, GATEWAY: {"loss": "1%"}}, "now", NOW)
    with pytest.raises(InputError, match=problem):
        hold(desired, steps=over(**settings))
    with pytest.raises(InputError, match=problem):
        hold(desired, "schedule", steps=[{"at_s": 60, "for_s": 1, "links": {CLIENT: settings}}])


def test_a_change_that_a_planned_step_could_not_stand_on_is_refused(desired: Desired) -> None:
    desired = desired.change({CLIENT: {"delay": "30ms"}}, "now", NOW)
    desired = hold(desired, "schedule", steps=[{"at_s": 60, "for_s": 1, "links": {CLIENT: {"jitter": "20ms"}}}])
    with pytest.raises(InputError, match="more than the delay"):
        desired.change({CLIENT: {"delay": "10ms"}}, "now", NOW)


def test_a_change_that_a_hold_would_hide_is_refused_with_who_holds_it(desired: Desired) -> None:
    desired = hold(desired, steps=over(up={"loss": "1%"}), for_s=7, holder="boot:ns:4711:99")
    with pytest.raises(InputError, match=r"up\.loss is held by set 1 for 7\.0 s more by process 4711; wait, or end it"):
        desired.change({CLIENT: {"loss": "3%"}}, "now", NOW)
    assert said(desired.change({CLIENT: {"down": {"loss": "3%"}}}, "now", NOW)) == "up loss 1%, down loss 3%"


def test_two_faults_on_one_target_are_refused(desired: Desired) -> None:
    down = over(up={"state": "down"})
    desired = hold(desired, "cut", steps=down, targets=[f"{CLIENT} up"])
    with pytest.raises(
        InputError, match=rf"{CLIENT} up is held by cut 1 until it is ended; .*appbed fault heal {CLIENT}"
    ):
        hold(desired, "flap", steps=over(state="down"), targets=[f"{CLIENT} up", f"{CLIENT} down"])
    with pytest.raises(InputError, match="held by cut 1"):
        hold(desired, steps=over(state="up"))
    other_way = hold(desired, "cut", steps=over(down={"state": "down"}), targets=[f"{CLIENT} down"])
    assert said(other_way) == "state down"


def test_going_back_to_what_is_declared_ends_the_holds_of_these_links_only(desired: Desired) -> None:
    desired = hold(desired, "cut", steps=over(state="down"), targets=[CLIENT])
    desired = hold(desired, steps=over(GATEWAY, loss="1%")).change({CLIENT: {"delay": "1ms"}}, "now", NOW)
    desired = desired.change({CLIENT: {}}, "declared", NOW)
    assert said(desired) == "clean"
    assert [each.kind for each in desired.holds.values()] == ["set"]
    assert desired.changed == {}


def test_a_number_is_never_given_twice(desired: Desired) -> None:
    desired = hold(desired, steps=over(loss="1%"))
    desired = hold(desired.without(desired.holds.values()), steps=over(loss="1%"))
    assert list(desired.holds) == ["2"]


def test_what_is_kept_reads_back_as_the_same(desired: Desired) -> None:
    empty = desired
    desired = desired.change({CLIENT: {"delay": "10ms"}}, "now", NOW)
    desired = hold(desired, "flap", steps=[{"for_s": 1, "links": {CLIENT: {"state": "down"}}}], period_s=2)
    assert empty.restored(json.loads(json.dumps(desired.plain()))) == desired


def test_orphaned_holds_know_no_holder(desired: Desired) -> None:
    desired = hold(desired, "pause", targets=["client"], holder="stream 3")
    (orphan,) = desired.orphaned(desired.holds.values()).holds.values()
    assert orphan == replace(next(iter(desired.holds.values())), holder=GONE)
