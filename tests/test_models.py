"""The formulas against numbers worked out by hand."""

from __future__ import annotations

import pytest

from appbed import models


@pytest.mark.parametrize(("servers", "messages"), [(3, 8), (4, 10), (1, 4), (0, 2)])
def test_a_query_and_a_reply_for_each_server_and_one_pair_with_the_host(servers: int, messages: int) -> None:
    """The textbook's figure has root, TLD and authoritative server: 8 messages; an intermediate server makes it 10."""
    assert models.dns_messages(servers) == messages


def test_round_trips_add_up() -> None:
    assert models.dns_time_s([0.05, 0.05, 0.1]) == pytest.approx(0.2)
    assert models.dns_time_s([]) == 0


@pytest.mark.parametrize(
    ("size_bytes", "rate_bit", "seconds"),
    [(1250, 1e6, 0.01), (1514, 10e6, 0.0012112), (100_000, 1.5e6, 8e5 / 1.5e6), (1500, None, 0.0), (0, 1e6, 0.0)],
)
def test_eight_bits_a_byte_over_the_rate(size_bytes: int, rate_bit: float | None, seconds: float) -> None:
    assert models.wire_time_s(size_bytes, rate_bit) == pytest.approx(seconds)
