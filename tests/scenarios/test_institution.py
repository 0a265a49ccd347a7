"""What the scenario of the institution asks for, and the response times it predicts."""

from __future__ import annotations

import itertools
from statistics import mean
from typing import Any

import pytest

from appbed import models
from appbed.impairment import Impairment, Link
from appbed.models import Exchange, Path
from appbed.scenarios.web import institution
from appbed.scenarios.web.institution import ACCESS, HIT_RATES, INTERNET, LAN, REQUESTS, Wish

BOOK = "the book's own"
SEEDS = range(1, 21)


def links(delays_ms: dict[str, float], down_bit: float | None) -> dict[str, Any]:
    """As a run's conditions have them."""
    set_to = {at: Link(Impairment(delay_ms=ms), Impairment(delay_ms=ms)) for at, ms in delays_ms.items()}
    set_to[ACCESS] = Link(set_to[ACCESS].up, Impairment(delay_ms=delays_ms[ACCESS], rate_bit=down_bit))
    return {at: link.settings() for at, link in set_to.items()}


def predicted(seed: int) -> dict[str, Any]:
    slow = {"links": links({LAN: 5, ACCESS: 10, INTERNET: 100}, institution.RATE_BIT)}
    book = {"links": links({LAN: 5, ACCESS: 0, INTERNET: 1000}, 100e6)}
    sweep = {name: book if name == BOOK else slow for name in HIT_RATES}
    points: dict[str, Any] = institution.predict({"seed": seed, "sweep": sweep})["points"]
    return points


def test_the_same_seed_asks_for_the_same_at_the_same_moments_whatever_the_cache_has() -> None:
    wishes, seconds = institution.plan(1, "h 0.4")
    assert (wishes, seconds) == institution.plan(1, "h 0.4")
    assert (wishes, seconds) != institution.plan(2, "h 0.4")
    without, _ = institution.plan(1, "h 0")
    assert [wish.at_s for wish in without] == [wish.at_s for wish in wishes]
    assert [wish.path.partition("?")[0] for wish in without] == [wish.path.partition("?")[0] for wish in wishes]


@pytest.mark.parametrize("name", HIT_RATES)
def test_exactly_the_share_of_requests_is_for_copies_and_every_miss_has_a_name_of_its_own(name: str) -> None:
    wishes, _ = institution.plan(1, name)
    hits = [wish for wish in wishes if wish.hit]
    missed = {wish.path for wish in wishes if not wish.hit}
    assert (len(wishes), len(hits)) == (REQUESTS, round(HIT_RATES[name] * REQUESTS))
    assert len(missed) == REQUESTS - len(hits)
    assert all("?" in path for path in missed)
    assert not any("?" in wish.path for wish in hits)


def test_what_is_a_miss_at_one_point_was_asked_for_at_no_other() -> None:
    missed = [wish.path for name in HIT_RATES for wish in institution.plan(1, name)[0] if not wish.hit]
    assert len(set(missed)) == len(missed)


def test_moments_are_those_of_a_poisson_process() -> None:
    """Of many plans together the gaps are exponential: mean and standard deviation are alike, 37 % are longer than the mean."""
    gaps = []
    for seed in SEEDS:
        wishes, seconds = institution.plan(seed, "h 0")
        gaps += [(b.at_s - a.at_s) * REQUESTS / seconds for a, b in itertools.pairwise(wishes)]
    assert mean(gaps) == pytest.approx(1, rel=0.05)
    assert mean(gap**2 for gap in gaps) == pytest.approx(2, rel=0.15)
    assert sum(gap > 1 for gap in gaps) / len(gaps) == pytest.approx(0.37, abs=0.03)


def test_the_load_is_the_textbook_s_and_falls_with_the_share_of_hits() -> None:
    points = predicted(1)
    assert points["h 0"]["load"] == pytest.approx(institution.LOAD)
    for name, rate in HIT_RATES.items():
        if name != BOOK:
            assert points[name]["load"] == pytest.approx(institution.LOAD * (1 - rate), rel=0.05), name
            assert points[name]["access_bytes"] == pytest.approx(points["h 0"]["access_bytes"] * (1 - rate), rel=0.05)


def test_the_book_s_own_example_is_1_21_s() -> None:
    """Section 2.2.5: 2 s of Internet, 10 ms of LAN, two fifths of the requests answered by the cache."""
    assert predicted(1)[BOOK]["response_s"] == pytest.approx(1.21, rel=0.001)
    assert predicted(1)[BOOK]["textbook_s"] == pytest.approx(1.21, rel=0.001)


def test_on_the_average_of_seeds_the_wait_is_that_of_a_queue_with_such_answers() -> None:
    """M/G/1: l E[S^2] / (2 (1 - rho)) (Pollaczek-Khinchine); a finite plan begins with an empty queue, so it is somewhat less."""
    waits_s, theory_s = [], []
    lan, beyond = Path(0.0), Path(0.0, None, institution.RATE_BIT)
    for seed in SEEDS:
        wishes, seconds = institution.plan(seed, "h 0")
        services_s = [models.answer_s(beyond, wish.exchange) for wish in wishes]
        waits_s.append(mean(institution.responses_s(wishes, lan, beyond)) - mean(services_s))
        share = REQUESTS / seconds
        theory_s.append(share * mean(s**2 for s in services_s) / (2 * (1 - institution.LOAD)))
    assert 0.6 < mean(waits_s) / mean(theory_s) < 1.1


def test_a_prediction_without_the_queue_would_be_outside_the_bound() -> None:
    """At the first point: the bound of a tenth is less than what the waiting makes of the response time."""
    for seed in SEEDS:
        wishes, _ = institution.plan(seed, "h 0")
        lan, beyond = institution.paths(links({LAN: 5, ACCESS: 10, INTERNET: 100}, institution.RATE_BIT))
        alone_s = mean(models.answer_s(lan, wish.exchange) + models.answer_s(beyond, wish.exchange) for wish in wishes)
        assert mean(institution.responses_s(wishes, lan, beyond)) > 1.1 * alone_s, seed


def test_a_miss_waits_for_the_misses_before_it_and_a_hit_for_nobody() -> None:
    large = Exchange(0, 1184)  # 1250 bytes on the wire, 0.1 s at 100 kbit/s
    wishes = [Wish(0.0, "/a?1", large, False), Wish(0.01, "/a", large, True), Wish(0.02, "/a?2", large, False)]
    times_s = institution.responses_s(wishes, Path(0.01), Path(0.2, None, 100e3))
    assert times_s == pytest.approx([0.31, 0.01, 0.39])
