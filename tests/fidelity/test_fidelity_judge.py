"""Links judged: sound ones pass whatever is set, and each thing that may be wrong is named."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from appbed import fidelity, impairment
from appbed.engine.fake_agent import played
from appbed.fidelity import Reading, Sample, Train, bounds
from appbed.fidelity.judge import FULL, QUICK, Allowance, judge
from appbed.fidelity.plan import SMALL, held_frames
from appbed.impairment import Impairment
from appbed.verdict import Outcome

pytestmark = pytest.mark.thorough  # simulated by the hundred

ERROR = bounds.each(700)
SOUND: tuple[dict[str, Any], ...] = (
    {},
    {"delay": "30ms"},
    {"delay": "20ms", "jitter": "5ms"},
    {"delay": "20ms", "jitter": "5ms", "distribution": "normal"},
    {"delay": "5ms", "jitter": "5ms", "distribution": "normal"},
    {"loss": "2%"},
    {"loss": "30%"},
    {"loss": "gemodel 1% 20%"},
    {"loss": "gemodel 2% 30% 80% 1%"},
    {"duplicate": "5%"},
    {"corrupt": "3%"},
    {"delay": "30ms", "reorder": "10%"},
    {"delay": "30ms", "reorder": "10%", "duplicate": "5%", "loss": "5%", "corrupt": "2%"},
    {"delay": "10ms", "jitter": "8ms", "reorder": "10%"},
    {"rate": "10mbit"},
    {"rate": "1.5mbit", "delay": "5ms", "queue": "20"},
    {"rate": "56kbit", "queue": "3"},
    {"rate": "50mbit", "queue": "50ms"},
    {"rate": "10mbit", "delay": "20ms", "jitter": "10ms"},
    {"rate": "8mbit", "loss": "1%", "duplicate": "2%"},
    {"state": "down"},
    {"loss": "100%"},
)


def it(**settings: Any) -> Impairment:
    return impairment.parse(settings, "test")


def measured(set_as: Impairment, real: Impairment, *, full: bool, seed: int = 1) -> tuple[Reading, ...]:
    """What comes of measuring a cable that is set as one thing and does another."""
    planned = fidelity.full(set_as, 1500) if full else fidelity.quick(set_as, 1500)
    answer = played(replace(real, seed=seed), [asdict(series) for series in planned])
    sample = fidelity.sample(set_as, planned, answer, (None, None))
    return judge(set_as, sample, ERROR, FULL if full else QUICK)


def wrong(readings: tuple[Reading, ...]) -> set[str]:
    return {reading.what for reading in readings if reading.outcome is Outcome.FAILED}


@pytest.mark.parametrize("settings", SOUND, ids=str)
def test_a_sound_link_passes_the_quick_form(settings: dict[str, Any]) -> None:
    for seed in range(20):
        assert not wrong(measured(it(**settings), it(**settings), full=False, seed=seed))


@pytest.mark.thorough
@pytest.mark.parametrize("settings", SOUND, ids=str)
def test_a_sound_link_passes_full_statistics(settings: dict[str, Any]) -> None:
    for seed in range(3):
        readings = measured(it(**settings), it(**settings), full=True, seed=seed)
        assert not wrong(readings)
        named = {"duplicate", "corrupt", "reorder", "rate", "state"} & set(settings)
        assert named <= {reading.what for reading in readings}


@pytest.mark.parametrize(
    ("settings", "real", "what"),
    [
        ({}, {"delay": "30ms"}, "delay"),
        ({}, {"delay": "2ms"}, "delay"),
        ({"delay": "30ms"}, {}, "delay"),
        ({"delay": "30ms"}, {"delay": "28ms"}, "delay"),
        ({"delay": "30ms", "jitter": "5ms"}, {"delay": "60ms", "jitter": "5ms"}, "delay"),
        ({}, {"loss": "50%"}, "loss"),
        ({}, {"state": "down"}, "loss"),
        ({"state": "down"}, {}, "state"),
        ({"rate": "10mbit"}, {"rate": "8mbit"}, "rate"),
        ({"rate": "10mbit"}, {"rate": "12mbit"}, "rate"),
        ({"rate": "10mbit"}, {}, "rate"),
        ({}, {"rate": "10mbit"}, "rate"),
    ],
)
def test_what_is_grossly_wrong_is_named_by_the_quick_form(
    settings: dict[str, Any], real: dict[str, Any], what: str
) -> None:
    assert what in wrong(measured(it(**settings), it(**real), full=False))


@pytest.mark.parametrize(
    ("settings", "real", "what"),
    [
        ({"delay": "30ms"}, {"delay": "31ms"}, "delay"),
        ({"loss": "2%"}, {"loss": "3.5%"}, "loss"),
        ({"loss": "2%"}, {"loss": "0.8%"}, "loss"),
        ({"loss": "gemodel 1% 20%"}, {"loss": "gemodel 1% 8%"}, "burst"),
        ({"loss": "gemodel 1% 20%"}, {"loss": "4.8%"}, "burst"),
        ({"delay": "50ms", "jitter": "10ms"}, {"delay": "50ms", "jitter": "13ms"}, "jitter"),
        ({"delay": "50ms"}, {"delay": "50ms", "jitter": "2ms"}, "jitter"),
        (
            {"delay": "50ms", "jitter": "10ms", "distribution": "normal"},
            {"delay": "50ms", "jitter": "10ms"},
            "jitter",
        ),
        ({}, {"duplicate": "1%"}, "duplicate"),
        ({"duplicate": "5%"}, {}, "duplicate"),
        ({}, {"corrupt": "1%"}, "corrupt"),
        ({"corrupt": "5%"}, {"corrupt": "2%"}, "corrupt"),
        ({"delay": "30ms", "reorder": "10%"}, {"delay": "30ms", "reorder": "3%"}, "reorder"),
        ({"rate": "10mbit"}, {"rate": "9.5mbit"}, "rate"),
        ({"rate": "10mbit"}, {"rate": "10.5mbit"}, "rate"),
        ({"rate": "10mbit"}, {"rate": "10mbit", "queue": "80"}, "queue"),
        ({"rate": "10mbit", "queue": "20ms"}, {"rate": "10mbit", "queue": "40ms"}, "queue"),
    ],
)
def test_what_is_wrong_by_less_is_named_by_full_statistics(
    settings: dict[str, Any], real: dict[str, Any], what: str
) -> None:
    assert what in wrong(measured(it(**settings), it(**real), full=True))


# ---- what other traffic and a busy machine may be excused with

CALM = Sample(60, 30, 10, (10.0,) * 10, train=Train(20, 20, 1514, 1.2112, 0.0, 0.3))
BUSY_LINK = it(rate="10mbit", delay="10ms")


def readings(sample: Sample, settings: Impairment = BUSY_LINK, allowed: Allowance = QUICK) -> dict[str, Reading]:
    return {reading.what: reading for reading in judge(settings, sample, ERROR, allowed)}


def test_a_queue_of_others_excuses_a_delay_it_can_explain() -> None:
    late = replace(CALM, delays_ms=(22.0,) * 10)
    assert readings(late)["delay"].outcome is Outcome.FAILED
    assert readings(replace(late, foreign=5))["delay"].outcome is Outcome.FAILED, "five frames take 6 ms, not 12"
    excused = readings(replace(late, foreign=12))["delay"]
    assert (excused.outcome, excused.because) == (
        Outcome.INCONCLUSIVE,
        "the link carried 12 other frames meanwhile",
    )
    assert excused.again


def test_others_excuse_nothing_that_comes_too_early() -> None:
    assert readings(replace(CALM, delays_ms=(5.0,) * 10, foreign=500))["delay"].outcome is Outcome.FAILED


def test_a_train_held_up_as_a_whole_says_nothing_and_one_that_is_early_does() -> None:
    held = replace(CALM, train=Train(20, 20, 1514, 0.2, -3.0, 0.3))
    assert readings(held)["rate"].outcome is Outcome.INCONCLUSIVE
    early = replace(CALM, train=Train(20, 20, 1514, 0.2, 15.0, 0.3))
    assert readings(early)["rate"].outcome is Outcome.FAILED


def test_a_slow_train_says_nothing_while_the_machine_holds_up_probes_too() -> None:
    slow = replace(CALM, train=Train(20, 20, 1514, 2.4, 0.0, 0.3))
    assert readings(slow)["rate"].outcome is Outcome.FAILED
    busy = readings(replace(slow, delays_ms=(*(10.0,) * 5, *(17.0,) * 5)))["rate"]
    assert (busy.outcome, busy.again) == (Outcome.INCONCLUSIVE, True)
    assert readings(replace(slow, delays_ms=(*(10.0,) * 9, 17.0)))["rate"].outcome is Outcome.FAILED


def test_one_probe_in_time_is_enough_and_late_ones_do_not_matter() -> None:
    assert readings(replace(CALM, delays_ms=(*(40.0,) * 9, 10.1)))["delay"].outcome is Outcome.PASSED


def test_of_two_probes_nobody_can_tell() -> None:
    assert readings(replace(CALM, delays_ms=(10.0, 10.0)))["delay"].outcome is Outcome.INCONCLUSIVE


# ---- plans


@pytest.mark.parametrize("settings", SOUND, ids=str)
def test_a_train_fits_the_queue_and_no_plan_takes_long(settings: dict[str, Any]) -> None:
    link = it(**settings)
    for series in fidelity.quick(link, 1500, 5):
        held = held_frames(link, series.size)
        assert series.kind == "probes" or held is None or series.count <= max(2, held)
        assert SMALL <= series.size <= 1514
        assert series.count * series.interval_us + series.pause_us + series.wait_us < 2_000_000
    for series in fidelity.full(link, 1500):
        assert series.count * series.interval_us <= 12_000_000


def test_probes_of_a_slow_link_do_not_wait_for_each_other() -> None:
    probes, _ = fidelity.quick(it(rate="8kbit"), 1500)
    assert probes.interval_us >= 60_000, "60 bytes take 60 ms"
