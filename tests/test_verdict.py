from __future__ import annotations

import itertools
import json

import pytest

from appbed.verdict import Finding, Outcome, Verdict, finding, judged

BEST_TO_WORST = [Outcome.PASSED, Outcome.UNSUPPORTED, Outcome.FAILED, Outcome.INCONCLUSIVE]


def line(outcome: Outcome, because: str = "") -> Finding:
    return Finding(f"what is {outcome.value}", "1", "2", outcome, because)


@pytest.mark.parametrize("present", [c for n in (1, 2, 3, 4) for c in itertools.combinations(BEST_TO_WORST, n)])
def test_the_worst_finding_is_the_verdict_in_whatever_order(present: tuple[Outcome, ...]) -> None:
    for order in itertools.permutations(present):
        assert judged(line(outcome) for outcome in order).outcome is present[-1]


def test_a_network_that_was_not_as_set_makes_a_failed_claim_inconclusive() -> None:
    verdict = judged([line(Outcome.FAILED), line(Outcome.INCONCLUSIVE, "the link was clean")])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because == "what is INCONCLUSIVE: the link was clean"


def test_nothing_to_judge_is_no_pass() -> None:
    verdict = judged([])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because


def test_all_passed_says_so() -> None:
    assert judged([line(Outcome.PASSED)]).because == "as predicted"


def test_the_first_of_equally_bad_findings_is_told_with_both_figures() -> None:
    verdict = judged([finding("a", 8, 8, True), finding("b", 8, 10, False), finding("c", 1, 2, False)])
    assert verdict.outcome is Outcome.FAILED
    assert verdict.because == "b: expected 8, saw 10"
    assert [each.what for each in verdict.findings] == ["a", "b", "c"]


def test_a_finding_keeps_its_figures_as_text() -> None:
    assert finding("rtt", 0.05, 0.0501, True) == Finding("rtt", "0.05", "0.0501", Outcome.PASSED)
    assert finding("rtt", 1, 2, False, "late").because == "late"


def test_a_verdict_as_json_holds_plain_words() -> None:
    plain = judged([finding("rtt", 1, 2, False, "late")], {"rtt_s": 0.05}).plain()
    assert json.loads(json.dumps(plain)) == {
        "outcome": "FAILED",
        "because": "rtt: late",
        "findings": [{"what": "rtt", "expected": "1", "seen": "2", "outcome": "FAILED", "because": "late"}],
        "figures": {"rtt_s": 0.05},
    }


def test_a_verdict_without_figures_has_none() -> None:
    assert Verdict(Outcome.PASSED, "x").plain()["figures"] is None
