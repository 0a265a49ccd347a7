"""The formulas of electronic mail, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from appbed import models
from appbed.models import Path


def test_a_message_takes_seven_round_trips_and_over_a_used_connection_five() -> None:
    """SYN, greeting, EHLO, MAIL, RCPT, DATA, message; RSET, MAIL, RCPT, DATA, message."""
    assert models.smtp_round_trips(1, reused=False) == models.smtp_round_trips(1, reused=True) == 7
    assert models.smtp_round_trips(6, reused=False) == 42
    assert models.smtp_round_trips(6, reused=True) == 32


def test_without_transmission_a_delivery_is_its_round_trips() -> None:
    assert models.smtp_delivery_s(Path(0.1), 2000) == pytest.approx(0.7)
    assert models.smtp_delivery_s(Path(0.2), 2000) == pytest.approx(1.4)


def test_a_large_message_takes_its_transmission_and_waits_for_a_window_in_the_senders_direction() -> None:
    """60 000 bytes are 42 segments, 62 772 bytes of frames: at 2 Mbit/s 251 ms, and after 10 + 4 segments of 6 ms the sender
    waits once, 21 ms. The other direction's rate is that of six short lines."""
    up, down = Path(0.1, 2e6, None), Path(0.1, None, 2e6)
    assert models.smtp_delivery_s(up, 60_000) == pytest.approx(0.7 + 0.2511 + 0.0213, abs=0.004)
    assert models.smtp_delivery_s(down, 60_000) == pytest.approx(0.7 + 0.1, abs=0.004)


def test_a_waiting_message_is_tried_after_one_back_off_and_one_queue_run() -> None:
    """Postfix's own defaults: 300 to 4000 s, every 300 s, five days; ours are seconds."""
    assert models.retry_s(4000, 300) == 4300
    assert models.retry_s(4, 2) == 6
    assert models.bounce_s(432_000, 4000, 300, 30) == 436_330
