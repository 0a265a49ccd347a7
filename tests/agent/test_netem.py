"""What tc is told. What the kernel makes of it is measured with real containers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed import units
from appbed.agent.netem import arguments, limit_packets
from appbed.impairment import CLEAN, Burst, Impairment


def said(it: Impairment) -> str:
    return " ".join(arguments(it))


def test_a_clean_link_is_told_only_a_queue_that_never_overflows() -> None:
    assert said(CLEAN) == "limit 1000000"


@pytest.mark.parametrize(
    ("it", "words"),
    [
        (Impairment(delay_ms=30), "delay 30000.000us"),
        (Impairment(delay_ms=0.25), "delay 250.000us"),
        (Impairment(delay_ms=20, jitter_ms=5), "delay 20000.000us 5000.000us"),
        (
            Impairment(delay_ms=20, jitter_ms=5, distribution="normal"),
            "delay 20000.000us 5000.000us distribution normal",
        ),
        (Impairment(loss_pct=0.5), "loss random 0.500000%"),
        (Impairment(burst=Burst(1, 10)), "loss gemodel 1.000000% 10.000000% 100.000000% 0.000000%"),
        (Impairment(burst=Burst(1, 10, 70, 0.1)), "loss gemodel 1.000000% 10.000000% 70.000000% 0.100000%"),
        (Impairment(duplicate_pct=2), "duplicate 2.000000%"),
        (Impairment(corrupt_pct=3), "corrupt 3.000000%"),
        (Impairment(delay_ms=1, reorder_pct=4), "delay 1000.000us reorder 4.000000%"),
    ],
)
def test_each_setting_in_tc_s_words(it: Impairment, words: str) -> None:
    assert said(it) == f"limit 1000000 {words}"


def test_a_distribution_without_jitter_is_not_said() -> None:
    assert "distribution" not in said(Impairment(delay_ms=20, distribution="normal"))


def test_a_rate_is_whole_bits() -> None:
    assert said(Impairment(rate_bit=1.5e6)).endswith("rate 1500000bit")


def test_all_together_in_the_order_tc_reads() -> None:
    it = Impairment(10, 1, "uniform", 1, None, 2, 3, 4, 1e6, units.Queue(packets=50))
    assert said(it) == (
        "limit 52 delay 10000.000us 1000.000us loss random 1.000000% duplicate 2.000000% corrupt 4.000000% "
        "reorder 3.000000% rate 1000000bit"
    )


def test_a_link_that_is_down_loses_everything_whatever_else_is_set() -> None:
    assert said(Impairment(state="down", delay_ms=30, rate_bit=1e6)) == "limit 1 loss 100%"


def test_a_burst_replaces_the_plain_loss() -> None:
    assert said(Impairment(loss_pct=5, burst=Burst(1, 10))).count("loss") == 1


@pytest.mark.parametrize(
    ("it", "packets"),
    [
        (Impairment(), 1_000_000),
        (Impairment(delay_ms=1000), 1_000_000),
        (Impairment(rate_bit=10e6), 101),
        (Impairment(rate_bit=10e6, queue=units.Queue(packets=20)), 21),
        (Impairment(rate_bit=10e6, delay_ms=100), 101 + 83),  # 10 Mbit/s hold 82.6 full frames in 100 ms
        (Impairment(rate_bit=10e6, delay_ms=100, jitter_ms=10), 101 + 107),
        (Impairment(rate_bit=10e6, queue=units.Queue(ms=100)), 83 + 1),
        (Impairment(rate_bit=10e6, delay_ms=100, queue=units.Queue(ms=100)), 83 + 1 + 83),
        (Impairment(rate_bit=1e3, queue=units.Queue(ms=1)), 2),
    ],
)
def test_the_limit_counts_the_queue_and_what_is_on_the_way(it: Impairment, packets: int) -> None:
    assert limit_packets(it) == packets


@given(st.integers(1, 2000), st.integers(0, 2000), st.integers(10**4, 10**10))
def test_a_full_queue_fits_beside_all_full_frames_on_the_way(queue: int, delay_ms: int, rate_bit: int) -> None:
    it = Impairment(delay_ms=delay_ms, rate_bit=rate_bit, queue=units.Queue(packets=queue))
    on_the_way = rate_bit * delay_ms / 1000 / 8 / 1514
    assert limit_packets(it) >= queue + 1 + int(on_the_way)


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="netem has one limit for the way and the queue; sized for full frames, or a queue of full ones would hold a second",
)
def test_the_smallest_frames_on_the_way_leave_room_for_the_queue() -> None:
    """Frames of 60 bytes at 10 Mbit/s: 2 083 are on a way of 100 ms, and 100 more may wait, as with the relay."""
    assert limit_packets(Impairment(rate_bit=10e6, delay_ms=100)) >= 101 + 2083
