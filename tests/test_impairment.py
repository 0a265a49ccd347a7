from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appbed import units
from appbed.errors import TopologyError
from appbed.impairment import CLEAN, SETTINGS, Burst, Impairment, Link, change, parse, resolve

PLACE = "lab.yaml: networks.lan.x-link"
percent = st.integers(0, 10_000).map(lambda hundredths: f"{hundredths / 100:g}%")
positive_percent = st.integers(1, 10_000).map(lambda hundredths: f"{hundredths / 100:g}%")


@st.composite
def x_links(draw: st.DrawFn) -> dict[str, object]:
    """Settings as a person may write them, all combinations that mean something."""
    said: dict[str, object] = {}
    delay_us = draw(st.integers(0, 10_000_000))
    if delay_us:
        said["delay"] = f"{delay_us}us"
        if draw(st.booleans()):
            said["jitter"] = f"{draw(st.integers(0, delay_us))}us"
            said["distribution"] = draw(st.sampled_from(["uniform", "normal"]))
        if draw(st.booleans()):
            said["reorder"] = draw(percent)
    if draw(st.booleans()):
        said["loss"] = draw(
            st.one_of(
                percent,
                st.lists(positive_percent, min_size=2, max_size=4).map(lambda shares: " ".join(["gemodel", *shares])),
            )
        )
    for key in ("duplicate", "corrupt"):
        if draw(st.booleans()):
            said[key] = draw(percent)
    if draw(st.booleans()):
        said["rate"] = f"{draw(st.integers(1, 10_000))}mbit"
        if draw(st.booleans()):
            said["queue"] = draw(st.one_of(st.integers(1, 5000), st.integers(20, 5000).map(lambda ms: f"{ms}ms")))
    if draw(st.booleans()):
        said["state"] = draw(st.sampled_from(["up", "down"]))
    if draw(st.booleans()):
        said["seed"] = draw(st.integers(0, 2**31))
    return said


@given(x_links())
def test_what_an_impairment_says_of_itself_reads_back_as_the_same(said: dict[str, object]) -> None:
    it = parse(said, PLACE)
    assert parse(it.settings(), PLACE) == it


@pytest.mark.parametrize("text", ["0.7ms", "1001.1ms", "0.1us", "1.0000000001s"])
def test_no_digit_is_lost_on_the_way_to_the_relay(text: str) -> None:
    it = parse({"delay": text}, PLACE)
    assert parse(it.settings(), PLACE) == it


@given(x_links(), x_links())
@settings(max_examples=25)
def test_a_link_survives_being_written(up: dict[str, object], down: dict[str, object]) -> None:
    link = resolve(PLACE, {"up": up, "down": down})
    assert resolve(PLACE, link.settings()) == link


@given(x_links())
@settings(max_examples=25)
def test_changing_nothing_changes_nothing(said: dict[str, object]) -> None:
    link = resolve(PLACE, said)
    assert change(link, {}, PLACE) == link


def test_every_setting_is_read_into_its_field() -> None:
    it = parse(
        {
            "delay": "20ms",
            "jitter": "2ms",
            "distribution": "normal",
            "loss": "1%",
            "duplicate": "2%",
            "reorder": "3%",
            "corrupt": "4%",
            "rate": "10mbit",
            "queue": 50,
            "state": "down",
            "seed": "7",
        },
        PLACE,
    )
    assert it == Impairment(
        20.0, 2.0, "normal", 1.0, None, 2.0, 3.0, 4.0, 10e6, units.Queue(packets=50), state="down", seed=7
    )
    assert set(it.settings()) == set(SETTINGS), (
        "a setting that is not written back would be lost on the way to the relay"
    )


def test_an_empty_block_is_a_clean_cable() -> None:
    assert parse({}, PLACE) == CLEAN
    assert CLEAN.clean
    assert CLEAN.settings() == {}
    assert str(CLEAN) == "clean"


@pytest.mark.parametrize(
    ("said", "clean"),
    [
        ({"seed": 3}, True),
        ({"distribution": "normal"}, True),
        ({"state": "up"}, True),
        ({"loss": "0%"}, True),
        ({"delay": "1us"}, False),
        ({"loss": "0.01%"}, False),
        ({"loss": "gemodel 1% 10%"}, False),
        ({"rate": "10gbit"}, False),
        ({"state": "down"}, False),
        ({"duplicate": "1%"}, False),
        ({"corrupt": "1%"}, False),
    ],
)
def test_a_cable_is_clean_when_frames_pass_as_they_are(said: dict[str, object], clean: bool) -> None:
    assert parse(said, PLACE).clean is clean
    assert Link(up=parse(said, PLACE)).clean is clean
    assert Link(down=parse(said, PLACE)).clean is clean


def test_bursts_are_read_as_tc_reads_gemodel() -> None:
    burst = parse({"loss": "gemodel 1% 10%"}, PLACE).burst
    assert burst == Burst(1.0, 10.0, 100.0, 0.0)
    assert parse({"loss": "GEMODEL 1% 10% 70% 0.1%"}, PLACE).burst == Burst(1.0, 10.0, 70.0, 0.1)
    assert parse({"loss": "gemodel 1% 10%"}, PLACE).loss_pct == 0


@pytest.mark.parametrize(
    ("burst", "mean_pct"),
    [
        (Burst(1, 9), 10.0),
        (Burst(50, 50, 100, 0), 50.0),
        (Burst(10, 30, 80, 4), 0.25 * 80 + 0.75 * 4),
        (Burst(0, 10, 100, 2), 2.0),
        (Burst(0, 0, 100, 3), 3.0),
        (Burst(10, 0, 40, 0), 40.0),
    ],
)
def test_mean_loss_of_bursts(burst: Burst, mean_pct: float) -> None:
    assert burst.mean_pct == pytest.approx(mean_pct)


def test_later_loss_replaces_earlier_loss_of_the_other_kind() -> None:
    bursts = resolve(PLACE, {"loss": "5%"}, {"loss": "gemodel 1% 10%"}).up
    assert (bursts.loss_pct, bursts.burst) == (0.0, Burst(1, 10))
    single = resolve(PLACE, {"loss": "gemodel 1% 10%"}, {"loss": "5%"}).up
    assert (single.loss_pct, single.burst) == (5.0, None)


def test_an_attachment_inherits_from_its_network_and_overrides_it() -> None:
    network = {"delay": "1ms", "loss": "1%", "down": {"delay": "3ms"}}
    attachment = {"delay": "5ms", "up": {"rate": "10mbit"}}
    link = resolve(PLACE, network, attachment)
    assert link.up == Impairment(delay_ms=5.0, loss_pct=1.0, rate_bit=10e6)
    assert link.down == Impairment(delay_ms=5.0, loss_pct=1.0), "what the attachment says for both beats the network"
    assert resolve(PLACE, network).down.delay_ms == 3.0


def test_a_change_keeps_what_it_does_not_name() -> None:
    link = resolve(PLACE, {"rate": "10mbit", "up": {"delay": "30ms"}, "down": {"delay": "20ms"}})
    changed = change(link, {"loss": "1%", "up": {"delay": "50ms"}}, PLACE)
    assert changed.up == Impairment(delay_ms=50.0, loss_pct=1.0, rate_bit=10e6)
    assert changed.down == Impairment(delay_ms=20.0, loss_pct=1.0, rate_bit=10e6)


@pytest.mark.parametrize(
    ("said", "key", "shown", "remedy"),
    [
        ({"delay": "fast"}, "delay", "'fast'", "20ms"),
        ({"delay": 5}, "delay", "5 has no unit", "20ms"),
        ({"dealy": "5ms"}, "dealy", "unknown setting", "delay, jitter"),
        ({"jitter": "2ms"}, "jitter", "2ms is more than the delay of 0ms", "raise the delay"),
        ({"delay": "1ms", "jitter": "1.1ms"}, "jitter", "1.1ms is more than the delay of 1ms", "lower the jitter"),
        ({"reorder": "1%"}, "reorder", "needs a delay", "set delay"),
        ({"queue": 50}, "queue", "before a rate", "set rate"),
        ({"rate": "1mbit", "queue": "5ms"}, "queue", "5ms at 1mbit holds less than one full frame", "longer time"),
        ({"rate": "0mbit"}, "rate", "'0mbit' is no rate", "state: down"),
        ({"loss": "101%"}, "loss", "more than 100%", "between 0% and 100%"),
        ({"loss": "gemodel 1%"}, "loss", "'gemodel 1%': gemodel takes 2 to 4 shares", "gemodel 1% 10%"),
        ({"loss": "gemodel 1% 2% 3% 4% 5%"}, "loss", "gemodel takes 2 to 4 shares", "gemodel 1% 10%"),
        ({"loss": "gemodel 1 10"}, "loss", "'1' has no unit", "1%"),
        ({"distribution": "pareto"}, "distribution", "'pareto' is unknown", "uniform, normal"),
        ({"state": "off"}, "state", "'off' is unknown", "up, down"),
        ({"state": True}, "state", "True is unknown", "up, down"),
        ({"seed": "-1"}, "seed", "'-1' is no seed", "whole number"),
        ({"seed": 1.5}, "seed", "1.5 is no seed", "whole number"),
        ({"seed": True}, "seed", "True is no seed", "whole number"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place_value_and_remedy(
    said: dict[str, object], key: str, shown: str, remedy: str
) -> None:
    with pytest.raises(TopologyError) as caught:
        parse(said, PLACE)
    text = str(caught.value)
    assert text.startswith(f"{PLACE}.{key}: ")
    assert shown in text
    assert remedy in text
    assert "\n" not in text


@given(st.sampled_from(SETTINGS), st.one_of(st.text(max_size=20), st.integers(-5, 10**6), st.floats(), st.booleans()))
def test_any_value_is_read_or_refused(key: str, value: object) -> None:
    said = ""
    try:
        parse({key: value}, PLACE)
    except TopologyError as error:
        said = str(error)
    assert not said or said.startswith(f"{PLACE}.")


def test_a_seed_of_very_many_digits_is_refused() -> None:
    with pytest.raises(TopologyError):
        parse({"seed": "9" * 5000}, PLACE)


def test_a_link_says_both_directions_once_when_they_are_alike() -> None:
    assert str(resolve(PLACE, {"delay": "5ms"})) == "delay 5ms"
    assert str(resolve(PLACE, {"up": {"delay": "5ms"}})) == "up delay 5ms, down clean"
