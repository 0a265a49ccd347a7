"""Schedules and settings as people write them."""

from __future__ import annotations

import pytest

from appbed import links
from appbed.errors import InputError


def test_an_entry_says_when_for_how_long_and_what() -> None:
    read = links.plan({"client@campus": ["at 2s for 500ms: loss=5% up.delay=20ms", " at 0 : rate=1mbit "]})
    assert read["steps"] == [
        {"at_s": 2.0, "for_s": 0.5, "links": {"client@campus": {"loss": "5%", "up": {"delay": "20ms"}}}},
        {"at_s": 0.0, "for_s": None, "links": {"client@campus": {"rate": "1mbit"}}},
    ]
    assert read["targets"] == ["schedule of client@campus"]
    assert read["start"] is None


def test_a_value_may_have_spaces() -> None:
    (step,) = links.plan({"a": ["at 1s for 1s: loss=gemodel 1% 10% down.queue=5 packets"]})["steps"]
    assert step["links"] == {"a": {"loss": "gemodel 1% 10%", "down": {"queue": "5 packets"}}}


def test_a_start_is_a_moment() -> None:
    assert links.plan({"a": ["at 0: loss=1%"]}, "2026-11-22T20:15:00+00:00")["start"] == 1795378500.0


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("loss=5%", r"a: 'loss=5%' is no entry of a schedule; write \"at 2s for 5s: loss=5%\""),
        ("at 2s for: loss=5%", "is no entry of a schedule"),
        ("at 2s for 5s:", "is no entry of a schedule"),
        ("at 2 for 5s: loss=5%", "'2' has no unit"),
        ("at -2s for 5s: loss=5%", "'-2s' is not a time"),
        ("at 2s for soon: loss=5%", "'soon' is not a time"),
        ("at 2s for 5s: loss", "'loss' is no setting"),
        ("at 2s for 5s: left.loss=5%", "direction 'left' is unknown"),
        ("at 2s for 2h: loss=5%", "unit 'h' unknown"),
    ],
)
def test_an_entry_that_cannot_be_read_is_refused(entry: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        links.plan({"a": [entry]})


def test_an_empty_schedule_and_a_start_that_is_no_time_are_refused() -> None:
    with pytest.raises(InputError, match="the schedule is empty"):
        links.plan({"a": []})
    with pytest.raises(InputError, match="'tomorrow' is no time; write date and time: 2026-11-22T20:15:00"):
        links.plan({"a": ["at 0: loss=1%"]}, "tomorrow")
