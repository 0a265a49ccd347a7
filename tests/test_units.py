from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appbed import units
from appbed.errors import UnitError

READERS: tuple[Callable[[object], object], ...] = (
    units.duration_ms,
    units.share_pct,
    units.rate_bit,
    units.size_bytes,
    units.queue,
)


def refusal(read: Callable[[object], object], value: object) -> str:
    """What is said against a value; nothing if it is taken."""
    try:
        read(value)
    except UnitError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("20ms", 20.0),
        ("20 ms", 20.0),
        (" 20ms ", 20.0),
        ("1.5s", 1500.0),
        (".5s", 500.0),
        ("2.ms", 2.0),
        ("250us", 0.25),
        ("250µs", 0.25),
        ("250usec", 0.25),
        ("3msec", 3.0),
        ("2sec", 2000.0),
        ("1e3ms", 1000.0),
        ("1e-1s", 100.0),
        ("20MS", 20.0),
        ("0", 0.0),
        (0, 0.0),
        (0.0, 0.0),
        ("0ms", 0.0),
    ],
)
def test_a_time_is_milliseconds(text: object, ms: float) -> None:
    assert units.duration_ms(text) == pytest.approx(ms, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "bit"),
    [
        ("10mbit", 10e6),
        ("56kbit", 56e3),
        ("1gbit", 1e9),
        ("9600bit", 9600.0),
        ("10Mbit", 10e6),
        ("1.5mbit", 1.5e6),
        ("1mbps", 8e6),
        ("1kbps", 8e3),
        ("1bps", 8.0),
        ("2gbps", 16e9),
    ],
)
def test_a_rate_is_bits_and_bps_is_bytes_as_in_tc(text: str, bit: float) -> None:
    assert units.rate_bit(text) == bit


@pytest.mark.parametrize(("text", "pct"), [("1%", 1.0), ("0.5 %", 0.5), ("100%", 100.0), ("0%", 0.0), (0, 0.0)])
def test_a_share_is_percent(text: object, pct: float) -> None:
    assert units.share_pct(text) == pct


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("16MB", 16_000_000),
        ("64KiB", 65_536),
        ("1MiB", 1 << 20),
        ("1GiB", 1 << 30),
        ("2kb", 2000),
        ("200B", 200),
        (0, 0),
    ],
)
def test_a_size_is_bytes(text: object, count: int) -> None:
    assert units.size_bytes(text) == count


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100 packets", units.Queue(packets=100)),
        ("1 packet", units.Queue(packets=1)),
        ("100packets", units.Queue(packets=100)),
        ("100", units.Queue(packets=100)),
        (100, units.Queue(packets=100)),
        ("50ms", units.Queue(ms=50.0)),
        ("1.5s", units.Queue(ms=1500.0)),
    ],
)
def test_a_queue_is_packets_or_a_time(text: object, wanted: units.Queue) -> None:
    assert units.queue(text) == wanted


@pytest.mark.parametrize(
    ("read", "text", "remedy"),
    [
        (units.duration_ms, "fast", "20ms"),
        (units.duration_ms, "20", "20ms"),
        (units.duration_ms, 20, "20ms"),
        (units.duration_ms, "20mbit", "20ms"),
        (units.duration_ms, "-5ms", "20ms"),
        (units.duration_ms, "1,5ms", "20ms"),
        (units.duration_ms, "", "20ms"),
        (units.duration_ms, ".ms", "20ms"),
        (units.duration_ms, "20ms 5ms", "20ms"),
        (units.duration_ms, "nan", "20ms"),
        (units.duration_ms, "infs", "20ms"),
        (units.duration_ms, float("nan"), "20ms"),
        (units.duration_ms, float("inf"), "20ms"),
        (units.duration_ms, "1e400ms", "20ms"),
        (units.duration_ms, True, "20ms"),
        (units.duration_ms, None, "20ms"),
        (units.duration_ms, ["20ms"], "20ms"),
        (units.share_pct, "1", "1%"),
        (units.share_pct, "0.01", "1%"),
        (units.share_pct, "1ms", "1%"),
        (units.share_pct, "100.1%", "between 0% and 100%"),
        (units.share_pct, "-1%", "1%"),
        (units.rate_bit, "10", "10mbit"),
        (units.rate_bit, "10mb", "10mbit"),
        (units.rate_bit, "0mbit", "state: down"),
        (units.rate_bit, 0, "state: down"),
        (units.size_bytes, "5", "16MB"),
        (units.size_bytes, "5ms", "16MB"),
        (units.queue, "0", "1 packet"),
        (units.queue, 0, "1 packet"),
        (units.queue, "0ms", "1 packet"),
        (units.queue, "-1", "100 packets"),
        (units.queue, "many", "100 packets"),
        (units.queue, "1.5 packets", "100 packets"),
        (units.queue, None, "100 packets"),
        (units.queue, True, "100 packets"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_value_and_the_remedy(
    read: Callable[[object], object], text: object, remedy: str
) -> None:
    with pytest.raises(UnitError) as caught:
        read(text)
    assert repr(text) in caught.value.message
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(UnitError, match="unit 'parsec' unknown"):
        units.duration_ms("12parsec")


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=9)))
def test_anything_else_is_a_unit_error_and_nothing_worse(value: object) -> None:
    for read in READERS:
        assert "\n" not in refusal(read, value)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (units.duration_ms, "1e306s"),
        (units.rate_bit, "1e300gbit"),
        (units.size_bytes, "1e300gb"),
        (units.duration_ms, "1e999999s"),
        pytest.param(units.duration_ms, "1e99999999999999999999ms"),
    ],
)
def test_a_quantity_is_finite_whatever_its_unit(read: Callable[[object], float], text: str) -> None:
    assert refusal(read, text) or math.isfinite(read(text))


def test_a_queue_of_very_many_digits_is_a_unit_error() -> None:
    with pytest.raises(UnitError):
        units.queue("9" * 5000)


numbers = st.one_of(
    st.decimals(min_value=0, max_value=99_999, places=4, allow_nan=False).map(lambda d: f"{d:f}"),
    st.floats(min_value=1e-9, max_value=1e9).map(repr),
)


@given(numbers, st.sampled_from(["us", "ms", "s"]))
def test_a_time_survives_being_written(number: str, unit: str) -> None:
    assume(not refusal(units.duration_ms, number + unit))
    ms = units.duration_ms(number + unit)
    assert units.duration_ms(units.format_ms(ms)) == ms


@given(numbers, st.sampled_from(["bit", "kbit", "mbit", "gbit", "bps", "mbps"]))
def test_a_rate_survives_being_written(number: str, unit: str) -> None:
    assume(not refusal(units.rate_bit, number + unit))
    bit = units.rate_bit(number + unit)
    assert units.rate_bit(units.format_rate(bit)) == bit


@pytest.mark.parametrize(
    ("read", "taken", "refused", "remedy"),
    [
        (units.duration_ms, "3600s", "3600.001s", "an hour"),
        (units.duration_ms, "3600000ms", "1e15s", "an hour"),
        (units.rate_bit, "1bit", "0.9bit", "1bit"),
        (units.rate_bit, "1000gbit", "1001gbit", "1000gbit"),
    ],
)
def test_no_link_is_beyond_what_can_be_carried(
    read: Callable[[object], object], taken: str, refused: str, remedy: str
) -> None:
    assert not refusal(read, taken)
    assert refused in refusal(read, refused)
    assert remedy in refusal(read, refused)


@given(st.decimals(min_value=0, max_value=100, places=5).map(lambda d: f"{d:f}%"))
def test_a_share_survives_being_written(text: str) -> None:
    assert units.share_pct(units.format_pct(units.share_pct(text))) == units.share_pct(text)


@given(st.one_of(st.integers(1, 10**6).map(lambda n: f"{n} packets"), st.integers(1, 10**6).map(lambda n: f"{n}ms")))
def test_a_queue_survives_being_written(text: str) -> None:
    assert units.queue(str(units.queue(text))) == units.queue(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(30.0, "30ms"), (0.0, "0ms"), (0.25, "250us"), (1.0, "1ms"), (999.5, "999.5ms"), (1000.0, "1s"), (1500.0, "1.5s")],
)
def test_a_time_is_written_in_the_largest_unit_that_keeps_it_above_one(ms: float, text: str) -> None:
    assert units.format_ms(ms) == text


@pytest.mark.parametrize(
    ("bit", "text"), [(10e6, "10mbit"), (1.5e6, "1.5mbit"), (1e9, "1gbit"), (56e3, "56kbit"), (300.0, "300bit")]
)
def test_a_rate_is_written_in_the_largest_unit(bit: float, text: str) -> None:
    assert units.format_rate(bit) == text
