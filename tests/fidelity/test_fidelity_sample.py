"""What became of frames, counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appbed import fidelity, impairment
from appbed.fidelity import Sample, Series
from appbed.fidelity.sample import _at_rate, _busy

PROBES = Series("probes", 6, 60, 10_000, 0, 300_000)
TRAIN = Series("train", 9, 1514, 0, 0, 300_000)


def sample(
    probes: list[tuple[int, float]], damaged: int = 0, unsure: int | None = None, counters: Any = (None, None)
) -> Sample:
    sent = [10_000.0 * number for number in range(6)]
    one = {"sent_us": sent, "unsure_us": [900.0 if n == unsure else 8.0 for n in range(6)], "came": probes}
    answer = {"damaged": damaged, "series": [one]}
    return fidelity.sample(impairment.CLEAN, [PROBES], answer, counters)


def test_lost_late_and_doubled_frames_are_told_apart() -> None:
    found = sample([(0, 5_000), (1, 15_000), (1, 15_100), (5, 55_500)])
    assert (found.sent, found.lost, found.copies) == (6, 3, 1)
    assert (found.probes, found.lost_probes, found.runs) == (6, 3, 1)
    assert found.delays_ms == (5.0, 5.0, 5.5)


def test_losses_apart_are_rows_apart() -> None:
    assert sample([(1, 15_000), (2, 25_000), (4, 45_000)]).runs == 3


def test_a_damaged_frame_is_not_a_lost_one() -> None:
    found = sample([(0, 5_000), (1, 15_000), (2, 25_000), (3, 35_000), (4, 45_000)], damaged=1)
    assert (found.lost, found.damaged) == (0, 1)


def test_a_frame_sent_at_an_unsure_time_counts_but_not_its_delay() -> None:
    found = sample([(number, 10_000.0 * number + 400) for number in range(6)], unsure=3)
    assert (found.lost, len(found.delays_ms)) == (0, 5)


def test_other_frames_are_those_the_cable_counted_besides_ours() -> None:
    assert sample([], counters=({"frames_in": 10}, {"frames_in": 20})).foreign == 4
    assert sample([], counters=(None, {"frames_in": 20})).foreign is None
    assert sample([], counters=({"frames_in": 10}, {"frames_in": 12})).foreign == 0, "some are still on their way"


def test_a_sample_survives_a_file() -> None:
    answer = {
        "damaged": 0,
        "series": [
            {"sent_us": [0.0] * 6, "unsure_us": [1.0] * 6, "came": [[0, 1.0]]},
            {"sent_us": [float(n) for n in range(9)], "unsure_us": [1.0] * 9, "came": [[n, 9e3 + n] for n in range(9)]},
        ],
    }
    found = fidelity.sample(impairment.CLEAN, [PROBES, TRAIN], answer, (None, None))
    assert found.train is not None
    assert Sample.read(json.loads(json.dumps(found.plain()))) == found


def test_the_slope_is_that_of_the_frames_held_up_least() -> None:
    spacing, early = _at_rate([100.0 * (n + 1) + 5 for n in range(30)], 100.0)
    assert (spacing, early) == pytest.approx((100.0, -5.0))
    held = [max(100.0 * (n + 1), 1_700.0 if 3 <= n < 17 else 0.0) for n in range(30)]
    assert _at_rate(held, 100.0)[0] == pytest.approx(100.0)
    assert _at_rate([120.0 * (n + 1) for n in range(30)], 100.0)[0] == pytest.approx(120.0)


def train(came: list[float]) -> float:
    """The spacing, in ms, of ten frames sent together on a link without a rate."""
    sent = [5.0 * number for number in range(10)]
    one = {"sent_us": sent, "unsure_us": [1.0] * 10, "came": [[n, when] for n, when in enumerate(came)]}
    quiet = {"sent_us": [0.0], "unsure_us": [1.0], "came": []}
    planned = [Series("probes", 1, 60, 0, 0, 0), Series("train", 10, 1514, 0, 0, 0)]
    found = fidelity.sample(impairment.CLEAN, planned, {"damaged": 0, "series": [quiet, one]}, (None, None))
    assert found.train is not None
    assert found.train.spacing_ms is not None
    return found.train.spacing_ms


def test_a_rate_that_nobody_set_shows_also_in_bunches() -> None:
    assert train([2_400.0 * (n + 1) for n in range(10)]) == pytest.approx(2.4, rel=0.01)
    bunches = [2_400.0 * (n // 5 * 5 + 5) for n in range(10)]
    assert train(bunches) > 0.6, "slower than 20 Mbit/s, although five came at once"


def test_a_train_that_is_held_up_as_a_whole_is_not_slow() -> None:
    assert train([20_000.0 + n for n in range(10)]) < 0.01


def test_a_train_counts_from_where_the_link_was_never_idle() -> None:
    assert _busy([0, 1, 2, 3], 10.0) == (0, 4)
    assert _busy([0, 1, 500, 501, 502, 503], 10.0) == (2, 6), "the sender was interrupted after the second"
    assert _busy([0, 1, 2, 500], 10.0) == (0, 3)
