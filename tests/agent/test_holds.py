"""A hold's plan: what it does at a moment follows from the moment, and what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed import topology
from appbed.agent import holds
from appbed.agent.holds import Hold, Step
from appbed.errors import InputError
from appbed.topology import Topology
from small_lab import write_small

LOSS: Mapping[str, Mapping[str, object]] = {"client@campus": {"loss": "5%"}}
DOWN: Mapping[str, Mapping[str, object]] = {"client@campus": {"state": "down"}}
NOW, CLOCK = 100.0, 1_700_000_000.0


@pytest.fixture
def shape(tmp_path: Path) -> Topology:
    return topology.load(write_small(tmp_path), {})


def plan(shape: Topology, **request: Any) -> Hold:
    return holds.planned("1", {"kind": "schedule", **request}, shape, NOW, CLOCK)


def test_a_step_counts_from_its_beginning_until_its_end(shape: Topology) -> None:
    hold = plan(shape, steps=[{"at_s": 2, "for_s": 5, "links": {"client": {"loss": "5%"}}}])
    assert [bool(hold.active(NOW + at)) for at in (0, 1.99, 2, 6.99, 7)] == [False, False, True, True, False]
    assert hold.links == ("client@campus",)


def test_it_is_over_when_its_last_step_is_or_its_time(shape: Topology) -> None:
    steps = [{"at_s": 0, "for_s": 1, "links": LOSS}, {"at_s": 2, "for_s": 3, "links": DOWN}]
    assert plan(shape, steps=steps).until == NOW + 5
    assert plan(shape, steps=steps, for_s=4).until == NOW + 4
    assert not plan(shape, steps=steps).over(NOW + 4.9)
    assert plan(shape, steps=steps).over(NOW + 5)
    forever = plan(shape, steps=[{"links": LOSS}])
    assert not forever.over(NOW + 1e9)
    assert list(forever.moments(NOW)) == []


def test_a_period_goes_on_and_on_and_its_moments_are_those_to_come(shape: Topology) -> None:
    hold = plan(shape, steps=[{"for_s": 1, "links": DOWN}], period_s=4, for_s=30)
    assert [bool(hold.active(NOW + at)) for at in (0, 0.5, 1, 3.9, 4, 5, 28, 29, 30)] == [
        *(True, True, False, False, True, False, True, False, False)
    ]
    assert min(hold.moments(NOW)) == NOW + 1
    assert min(hold.moments(NOW + 1)) == NOW + 4
    assert min(hold.moments(NOW + 29.5)) == NOW + 30


@given(period=st.floats(0.02, 100), share=st.floats(0.1, 0.9), rounds=st.integers(0, 10_000), began=st.floats(0, 1e7))
def test_whoever_wakes_at_every_moment_sees_every_change_of_a_flap(
    period: float, share: float, rounds: int, began: float
) -> None:
    """Floats are not exact: just after the moment it wakes for, the other state must hold, or it would wake for ever."""
    hold = Hold("1", "flap", (), (Step(0, period * share, DOWN),), began, period_s=period)
    now = began + rounds * period + period * share / 2
    assert hold.active(now)
    end = min(hold.moments(now))
    assert not hold.active(end)
    assert hold.active(min(hold.moments(end)))


def test_a_schedule_begins_when_it_is_told_to(shape: Topology) -> None:
    hold = plan(shape, steps=[{"for_s": 1, "links": LOSS}], start=CLOCK + 10)
    assert not hold.active(NOW + 9.9)
    assert hold.active(NOW + 10)
    assert hold.until == NOW + 11


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"start": CLOCK - 3, "steps": [{"links": LOSS}]}, r"would have begun 3\.0 s ago.*still to come"),
        ({"steps": [{"at_s": -1, "links": LOSS}]}, "1 s before its schedule begins"),
        ({"steps": [{"for_s": 0, "links": LOSS}]}, "for 0ms is too short.*shortest is 10ms"),
        ({"steps": [{"links": LOSS}], "for_s": 0.001}, "for 1ms is too short"),
        ({"steps": [{"for_s": 0.01, "links": LOSS}], "period_s": 0.001}, "period 1ms is too short"),
        ({"steps": [{"links": {"klient": {}}}]}, "no host 'klient'; known: client, gateway, server"),
        ({"steps": [{"links": {"client@core": {}}}]}, "network 'core' unknown; known: campus"),
        ({"steps": [{"links": LOSS}] * 201}, "201 steps in one schedule"),
    ],
)
def test_times_and_names_that_cannot_be_are_refused(shape: Topology, request_: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        plan(shape, **request_)


def test_what_is_kept_reads_back_as_the_same(shape: Topology) -> None:
    for hold in (
        plan(shape, steps=[{"at_s": 1, "for_s": 2, "links": LOSS}], holder="boot:ns:7:8", targets=["a"]),
        plan(shape, kind="flap", steps=[{"for_s": 1, "links": DOWN}], period_s=4),
        plan(shape, kind="pause", targets=["client"]),
    ):
        assert holds.restored(json.loads(json.dumps(hold.plain()))) == hold
