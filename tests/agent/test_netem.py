"""What tc is told, and how its answers are read. What the kernel makes of it: test_cables*.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed import units
from appbed.agent.netem import Stage, seen, stages
from appbed.impairment import CLEAN, Burst, Impairment

REST = "loss random 0.000000% duplicate 0.000000% corrupt 0.000000% reorder 0.000000% rate 0bit"


def said(it: Impairment) -> list[str]:
    return [stage.words() for stage in stages(it)]


def way(it: Impairment) -> str:
    return said(it)[0]


def test_a_clean_link_is_two_that_do_nothing_and_never_overflow() -> None:
    assert said(CLEAN) == [f"limit 1000000 delay 0.000us 0.000us {REST}"] * 2


def test_the_queue_hangs_below_the_way() -> None:
    assert [(stage.handle, stage.parent) for stage in stages(CLEAN)] == [("ab:", "root"), ("ac:", "parent ab:1")]


@pytest.mark.parametrize(
    ("it", "words"),
    [
        (Impairment(delay_ms=30), "delay 30000.000us 0.000us"),
        (Impairment(delay_ms=0.25), "delay 250.000us 0.000us"),
        (Impairment(delay_ms=20, jitter_ms=5), "delay 20000.000us 5000.000us distribution uniform"),
        (
            Impairment(delay_ms=20, jitter_ms=5, distribution="normal"),
            "delay 20000.000us 5000.000us distribution normal",
        ),
        (Impairment(loss_pct=0.5), "loss random 0.500000%"),
        (Impairment(burst=Burst(1, 10)), "loss gemodel 1.000000% 10.000000% 100.000000% 0.000000%"),
        (Impairment(burst=Burst(1, 10, 70, 0.1)), "loss gemodel 1.000000% 10.000000% 70.000000% 0.100000%"),
        (Impairment(duplicate_pct=2), "duplicate 2.000000%"),
        (Impairment(corrupt_pct=3), "corrupt 3.000000%"),
        (Impairment(delay_ms=1, reorder_pct=4), "reorder 4.000000%"),
    ],
)
def test_each_setting_in_tc_s_words(it: Impairment, words: str) -> None:
    assert f" {words} " in f"{way(it)} "
    assert all(of_the_queue == said(CLEAN)[1] for of_the_queue in said(it)[1:])


def test_a_distribution_without_jitter_is_not_said() -> None:
    assert "distribution" not in way(Impairment(delay_ms=20, distribution="normal"))


def test_a_rate_is_whole_bits_and_the_queue_s_alone() -> None:
    first, second = said(Impairment(rate_bit=1.5e6))
    assert (first, second.rpartition("rate ")[2]) == (said(CLEAN)[0], "1500000bit")


@pytest.mark.parametrize(
    "it", [CLEAN, Impairment(delay_ms=3), Impairment(burst=Burst(1, 10)), Impairment(rate_bit=1e6)]
)
def test_every_setting_is_said_each_time_as_a_change_keeps_what_it_does_not_name(it: Impairment) -> None:
    for text in said(it):
        assert {"limit", "delay", "loss", "duplicate", "corrupt", "reorder", "rate"} <= set(text.split())


def test_with_duplicates_all_is_said_to_one() -> None:
    it = Impairment(10, 1, "uniform", 1, None, 2, 3, 4, 1e6, units.Queue(packets=50))
    assert said(it) == [
        "limit 52 delay 10000.000us 1000.000us distribution uniform loss random 1.000000% duplicate 2.000000% "
        "corrupt 4.000000% reorder 3.000000% rate 1000000bit"
    ]


def test_a_link_that_is_down_loses_every_frame_and_every_duplicate() -> None:
    it = Impairment(state="down", delay_ms=30, rate_bit=1e6, burst=Burst(1, 10), duplicate_pct=5)
    assert "loss random 100.000000% duplicate 0.000000%" in way(it)
    assert "delay 30000.000us" in way(it), "what is on the way keeps its time"


def test_a_burst_replaces_the_plain_loss() -> None:
    assert way(Impairment(loss_pct=5, burst=Burst(1, 10))).count("loss") == 1


@pytest.mark.parametrize(
    ("it", "packets"),
    [
        (Impairment(), 1_000_000),
        (Impairment(delay_ms=1000), 1_000_000),
        (Impairment(rate_bit=10e6), 101),
        (Impairment(rate_bit=10e6, queue=units.Queue(packets=20)), 21),
        (Impairment(rate_bit=10e6, delay_ms=100), 101),
        (Impairment(rate_bit=10e6, queue=units.Queue(ms=100)), 83 + 1),
        (Impairment(rate_bit=10e6, delay_ms=100, queue=units.Queue(ms=100)), 83 + 1),
        (Impairment(rate_bit=1e3, queue=units.Queue(ms=1)), 2),
        # With duplicates there is one limit for both; 10 Mbit/s hold 82.6 full frames in 100 ms.
        (Impairment(rate_bit=10e6, duplicate_pct=1), 101),
        (Impairment(rate_bit=10e6, delay_ms=100, duplicate_pct=1), 101 + 83),
        (Impairment(rate_bit=10e6, delay_ms=100, jitter_ms=10, duplicate_pct=1), 101 + 107),
    ],
)
def test_the_limit_is_the_queue_and_the_frame_that_is_sent(it: Impairment, packets: int) -> None:
    assert stages(it)[-1].limit == packets


@given(st.integers(1, 2000), st.integers(0, 2000), st.integers(10**4, 10**10), st.sampled_from([0.0, 1.0]))
def test_a_full_queue_fits_beside_all_full_frames_on_the_way(
    queue: int, delay_ms: int, rate_bit: int, duplicate_pct: float
) -> None:
    it = Impairment(delay_ms=delay_ms, rate_bit=rate_bit, queue=units.Queue(packets=queue), duplicate_pct=duplicate_pct)
    on_the_way = rate_bit * delay_ms / 1000 / 8 / 1514
    limits = [stage.limit for stage in stages(it)]
    assert limits[-1] >= queue + 1
    assert sum(limits) >= queue + 1 + int(min(on_the_way, 1_000_000))


def test_the_smallest_frames_on_the_way_leave_room_for_the_queue() -> None:
    """Frames of 60 bytes at 10 Mbit/s: 2 083 are on a way of 100 ms, and 100 more may wait, as with the relay."""
    on_the_way, queue = (stage.limit for stage in stages(Impairment(rate_bit=10e6, delay_ms=100)))
    assert (queue, on_the_way > 101 + 2083) == (101, True)


SHOWN = {
    "limit": 101,
    "delay": {"delay": 0.03, "jitter": 0.005, "correlation": 0},
    "loss-gemodel": {"p": 0.01, "r": 0.1, "1-h": 0.7, "1-k": 0.001},
    "duplicate": {"duplicate": 0.02, "correlation": 0},
    "reorder": {"reorder": 0.04, "correlation": 0},
    "corrupt": {"corrupt": 0.03, "correlation": 0},
    "rate": {"rate": 187500, "packetoverhead": 0, "cellsize": 0, "celloverhead": 0},
    "ecn": False,
    "gap": 1,
}


def test_what_tc_shows_is_read_in_the_units_it_was_said_in() -> None:
    it = Impairment(30, 5, "normal", 0, Burst(1, 10, 70, 0.1), 2, 4, 3, 1.5e6)
    assert seen(SHOWN) == pytest.approx(Stage("ab:", "root", it, 101).numbers())


@pytest.mark.parametrize("key", sorted(Stage("ab:", "root", CLEAN, 1).numbers()))
def test_every_number_that_was_said_is_read_back(key: str) -> None:
    """A setting that only one of the two knows would never be found to differ."""
    plain, random = seen(SHOWN), seen({"loss-random": {"loss": 0.005, "correlation": 0}})
    assert (random if key == "loss_pct" else plain)[key] > 0
