"""The bounds of file distribution against the textbook's numbers."""

from __future__ import annotations

import pytest

from appbed import models


@pytest.mark.parametrize(
    ("peers", "client_server_h", "peer_to_peer_h"), [(1, 0.1, 0.1), (10, 1.0, 0.5), (30, 3.0, 0.75)]
)
def test_the_textbooks_figure(peers: int, client_server_h: float, peer_to_peer_h: float) -> None:
    """Section 2.5: F/u = 1 hour, us = 10u, dmin >= us."""
    assert models.client_server_s(1, peers, 10, 10) == pytest.approx(client_server_h)
    assert models.peer_to_peer_s(1, 10, [1.0] * peers, 10) == pytest.approx(peer_to_peer_h)


@pytest.mark.parametrize(
    ("peers", "client_server_s", "peer_to_peer_s"),
    [
        (10, 7500, {300e3: 7500, 700e3: 7500, 2e6: 7500}),
        (100, 50_000, {300e3: 25_000, 700e3: 15_000, 2e6: 7500}),
        (1000, 500_000, {300e3: 45_455, 700e3: 20_548, 2e6: 7500}),
    ],
)
def test_the_textbooks_homework(peers: int, client_server_s: float, peer_to_peer_s: dict[float, float]) -> None:
    """Chapter 2, distribution of 15 Gbit from a server of 30 Mbit/s to peers of 2 Mbit/s down."""
    assert models.client_server_s(15e9, peers, 30e6, 2e6) == pytest.approx(client_server_s)
    for upload, seconds in peer_to_peer_s.items():
        assert models.peer_to_peer_s(15e9, 30e6, [upload] * peers, 2e6) == pytest.approx(seconds, abs=1)


def test_peer_to_peer_is_never_above_client_server() -> None:
    for peers in (1, 2, 5, 30):
        for upload in (0.0, 0.1, 1.0, 10.0):
            bound = models.peer_to_peer_s(1, 10, [upload] * peers, 2)
            assert bound <= models.client_server_s(1, peers, 10, 2)


def test_acknowledgements_share_the_uplinks_and_nothing_else() -> None:
    """Seed and four peers at 1 each: F/us = 1 is above 4F/5, and below 4(F + A)/5 with A = F/2; a slow download is above both."""
    assert models.peer_to_peer_acked_s(1, 0.0, 1, [1.0] * 4, 10) == pytest.approx(1.0)
    assert models.peer_to_peer_acked_s(1, 0.5, 1, [1.0] * 4, 10) == pytest.approx(1.2)
    assert models.peer_to_peer_acked_s(1, 0.0, 1, [1.0] * 4, 0.5) == pytest.approx(2.0)


@pytest.mark.parametrize(("payload", "acks"), [(0, 0), (1, 66), (2896, 66), (2897, 132), (1 << 20, 363 * 66)])
def test_one_acknowledgement_for_two_segments(payload: int, acks: int) -> None:
    assert models.ack_bytes(payload) == acks
