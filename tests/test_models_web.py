"""The formulas of the web and of transport services, against the textbook's numbers and numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from appbed import models
from appbed.models import Exchange, Path

FAR = Path(0.1)  # no rate: nothing but round trips
SLOW = Path(0.1, 1e6, 1e6)
NOTHING = Exchange(0, 0)


def test_the_homework_with_eight_objects() -> None:
    """Kurose and Ross, problem P8 of chapter 2: 18, 6 and 10 round trips; 3 when pipelined."""
    assert models.serial_round_trips(8) == 18
    assert models.parallel_round_trips(8, 5) == 6
    assert models.persistent_round_trips(8) == 10
    assert models.pipelined_round_trips(8) == 3


@pytest.mark.parametrize("objects", [0, 1, 5, 8, 10])
def test_without_transmission_a_page_takes_the_textbooks_round_trips(objects: int) -> None:
    small = [Exchange(100, 500)] * objects
    base = Exchange(100, 500)
    assert models.serial_page_s(FAR, base, small) == pytest.approx(0.1 * models.serial_round_trips(objects))
    assert models.persistent_page_s(FAR, base, small) == pytest.approx(0.1 * models.persistent_round_trips(objects))
    assert models.pipelined_page_s(FAR, base, small) == pytest.approx(0.1 * models.pipelined_round_trips(objects))
    for connections in (1, 3, 5, 6, 20):
        assert models.parallel_page_s(FAR, base, small, connections) == pytest.approx(
            0.1 * models.parallel_round_trips(objects, connections)
        )


def test_one_connection_at_a_time_is_serial() -> None:
    objects = [Exchange(120, size) for size in (8000, 500, 12000, 3000)]
    base = Exchange(110, 2700)
    assert models.parallel_page_s(SLOW, base, objects, 1) == pytest.approx(models.serial_page_s(SLOW, base, objects))


def test_wire_bytes_count_the_headers_of_every_segment() -> None:
    assert models.wire_bytes(0) == 0
    assert models.wire_bytes(1448) == 1514
    assert models.wire_bytes(1449) == 1449 + 2 * 66
    assert models.wire_bytes(14480) == 10 * 1514


def test_transmission_is_added_in_wire_bytes() -> None:
    assert models.connect_s(SLOW) == pytest.approx(0.1 + 2 * 74 * 8 / 1e6)
    exchange = Exchange(100, 1448)
    assert models.answer_s(SLOW, exchange) == pytest.approx(0.1 + 166 * 8 / 1e6 + 1514 * 8 / 1e6)


def test_parallel_responses_share_the_bottleneck() -> None:
    """Five answers of ten full segments arrive one behind the other, whoever asked first."""
    base, large = NOTHING, Exchange(0, 14480)
    one_s = 10 * 1514 * 8 / 1e6
    together_s = models.parallel_page_s(SLOW, base, [large] * 5, 5)
    alone_s = models.parallel_page_s(SLOW, base, [large], 5)
    assert together_s - alone_s == pytest.approx(4 * one_s)


def test_an_object_within_the_initial_window_waits_for_no_acknowledgement() -> None:
    assert models.slow_start_stall_s(FAR, 10 * 1448) == 0
    assert models.slow_start_stall_s(FAR, 10 * 1448 + 1) == pytest.approx(0.1)
    assert models.slow_start_stall_s(FAR, 30 * 1448) == pytest.approx(0.1)
    assert models.slow_start_stall_s(FAR, 30 * 1448 + 1) == pytest.approx(0.2)


def test_slow_start_ends_when_the_window_fills_the_pipe() -> None:
    """1 Mbit/s, 0.1 s: a round trip and a segment hold 9.3 segments, less than the first window of 10: no wait at all."""
    assert models.slow_start_stall_s(SLOW, 1_000_000) == 0
    fast = Path(0.1, 10e6, 10e6)
    segment_s = 1514 * 8 / 10e6
    stalls = [0.1 + segment_s - window * segment_s for window in (10, 20, 40, 80)]
    assert models.slow_start_stall_s(fast, 1_000_000) == pytest.approx(sum(stalls))
    assert stalls[-1] > 0 > 0.1 + segment_s - 160 * segment_s


def test_the_textbooks_institution() -> None:
    """Section 2.2.5: 15 requests/s of 1 Mbit; access link 15 Mbit/s and LAN 100 Mbit/s; hit rate 0.4 makes about 1.2 s."""
    assert models.load(15, 1e6, 100e6) == pytest.approx(0.15)
    assert models.load(15, 1e6, 15e6) == pytest.approx(1.0)
    assert models.load(15 * 0.6, 1e6, 15e6) == pytest.approx(0.6)
    assert models.cached_response_s(0.4, 0.01, 2.01) == pytest.approx(1.21)


def test_the_homework_about_the_institution() -> None:
    """Problem P9 of chapter 2: 850 kbit, 16 requests/s, 15 Mbit/s, 3 s: 3.607 s; with hit rate 0.4: 1.875 s."""
    service_s = models.wire_time_s(850_000 // 8, 15e6)
    assert models.access_delay_s(service_s, 16) == pytest.approx(0.607, abs=0.001)
    with_cache_s = 3 + models.access_delay_s(service_s, 16 * 0.6)
    assert with_cache_s == pytest.approx(3.124, abs=0.001)
    assert models.cached_response_s(0.4, 0, with_cache_s) == pytest.approx(1.875, abs=0.001)


def test_a_link_loaded_beyond_its_rate_has_no_mean_delay() -> None:
    assert models.access_delay_s(0.1, 10) == math.inf


def test_lindley_waits_for_those_before() -> None:
    assert models.lindley_waits_s([0, 1, 2, 10], [3, 3, 3, 3]) == pytest.approx([0, 2, 4, 0])
    assert models.lindley_waits_s([], []) == []


def test_lindley_agrees_with_the_mean_of_a_queue_with_fixed_service() -> None:
    """M/D/1: mean wait rho*D / (2 (1 - rho)) (Pollaczek-Khinchine)."""
    import random

    rng = random.Random(1)
    service_s, rate = 1.0, 0.6
    arrivals, now = [], 0.0
    for _ in range(200_000):
        now += rng.expovariate(rate)
        arrivals.append(now)
    waits = models.lindley_waits_s(arrivals, [service_s] * len(arrivals))
    assert sum(waits) / len(waits) == pytest.approx(0.6 / (2 * 0.4), rel=0.05)


def test_udp_loses_what_neither_rate_nor_queue_takes() -> None:
    assert models.udp_loss(2e6, 1e6, 0, 10) == pytest.approx(0.5)
    assert models.udp_loss(2e6, 1e6, 4e6, 10) == pytest.approx(0.3)
    assert models.udp_loss(0.9e6, 1e6, 0, 10) == 0
    assert models.queueing_delay_s(151_400 * 8, 10e6) == pytest.approx(0.12112)


def test_a_transfer_takes_its_size_over_the_rate() -> None:
    slow = Path(0.02, 1e6, 1e6)
    size = 1_000_000
    assert models.transfer_s(slow, size) == pytest.approx(0.02 + models.wire_bytes(size) * 8 / 1e6)
    assert models.transfer_s(Path(0.02), size) > 0.02
