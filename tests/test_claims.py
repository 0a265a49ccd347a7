from __future__ import annotations

import re

import pytest

from appbed import claims, scenario


def test_every_claim_that_a_scenario_makes_has_a_sentence() -> None:
    made = {claim for each in scenario.discover().values() for claim in each.claims}
    assert made <= set(claims.SENTENCES)


def test_claims_are_numbered_without_gaps_section_by_section() -> None:
    for letter in claims.SECTIONS:
        numbers = [int(claim[1:]) for claim in claims.SENTENCES if claim[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(claims.SENTENCES) == 8 + 13 + 11 + 14 + 9


@pytest.mark.parametrize("claim", claims.SENTENCES)
def test_a_sentence_is_one_and_short(claim: str) -> None:
    said = claims.sentence(claim)
    assert re.fullmatch(r"[A-Z0-9].*\.", said)
    assert len(said) <= 140


def test_an_unknown_claim_has_none() -> None:
    assert claims.sentence("X1") == claims.sentence("") == ""


def test_claims_are_ordered_as_in_the_chapter() -> None:
    mixed = [("P1",), ("D10",), ("W1", "D6"), ("D9",), ("X1",), ("A1",), (), ("M1",), ("W²",)]
    ordered = sorted(mixed, key=claims.order)
    assert ordered[:6] == [("A1",), ("W²",), ("M1",), ("D9",), ("D10",), ("P1",)]
    assert set(ordered[6:]) == {("W1", "D6"), ("X1",), ()}


def test_a_section_is_that_of_all_claims_or_none() -> None:
    assert claims.section(("W1", "W10")) == "W"
    assert claims.section(("W1", "D1")) == claims.section(()) == claims.section(("X1",)) == ""
