"""Runs for programs: JSON, CSV, JUnit XML."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from saved_runs import SAVED, Change

from appbed import claims, report
from appbed.evidence import Evidence

pytestmark = pytest.mark.thorough  # evidence is read and judged in full

OUTCOMES = {"dns.hit_rate": "FAILED", "web.idle": "INCONCLUSIVE", "web.page": "UNSUPPORTED"}
HOSTILE = 'a,"b"\r\n<c>&\x07\ud800'


@pytest.fixture
def mixed(runs: Path, change: Change) -> Path:
    """A run of each outcome, and one that was not judged."""
    for name, outcome in OUTCOMES.items():
        change(runs / name / "verdict.json", lambda found, said=outcome: {**found, "outcome": said, "because": HOSTILE})
    (runs / "transport.elastic" / "verdict.json").rename(runs / "transport.elastic" / "verdict.old")
    return runs


def test_json_has_verdict_claims_and_conditions(judged: Path) -> None:
    made = json.loads(json.dumps(report.plain(report.chosen([judged]))))
    assert [each["scenario"] for each in made] == ["transport.elastic", "web.page", "web.idle", "dns.hit_rate"]
    page, found = made[1], Evidence(judged / "web.page")
    assert page["claims"] == {"W1": claims.sentence("W1")}
    assert (page["outcome"], page["findings"]) == (
        "PASSED",
        json.loads(json.dumps(found.verdict.plain()))["findings"],
    )
    assert page["conditions"]["backend"] == found.conditions["backend"]
    assert page["missing"] == []
    assert page["seconds"] > 1


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_row_for_each_finding_and_its_numbers_as_they_are(judged: Path) -> None:
    found = rows(report.csv(report.chosen([judged])))
    assert len(found) == sum(len(Evidence(judged / name).verdict.findings) for name in SAVED)
    line = next(each for each in found if each["what"].endswith("transfer time"))
    predicted, measured = float(line["predicted"]), float(line["measured"])
    assert float(line["error"]) == pytest.approx(measured / predicted - 1)
    assert [line[key] for key in ("scenario", "claims", "verdict", "outcome")] == [
        "transport.elastic",
        "A4",
        "PASSED",
        "PASSED",
    ]


def test_csv_keeps_commas_quotes_and_line_breaks_in_their_cells(mixed: Path, change: Change) -> None:
    findings: list[dict[str, Any]] = [
        {"what": HOSTILE, "expected": "=1+1", "seen": "", "outcome": "FAILED", "because": ""}
    ]
    change(mixed / "dns.hit_rate" / "verdict.json", lambda found: {**found, "findings": findings})
    found = rows(report.csv(report.chosen([mixed])))
    (line,) = [each for each in found if each["scenario"] == "dns.hit_rate"]
    assert (line["what"], line["expected"], line["predicted"]) == (HOSTILE, "=1+1", "")
    (unjudged,) = [each for each in found if each["verdict"] == "not judged"]
    assert unjudged["because"].startswith("verdict.json is missing")


def test_junit_has_a_case_for_each_run_and_the_right_kind_of_failure(mixed: Path) -> None:
    suite = ElementTree.fromstring(report.junit(report.chosen([mixed])))
    assert (suite.tag, suite.attrib["tests"]) == ("testsuite", "4")
    assert [suite.attrib[key] for key in ("failures", "errors", "skipped")] == ["1", "2", "1"]
    told = {f"{case.attrib['classname']}.{case.attrib['name']}": case for case in suite.iter("testcase")}
    assert set(told) == set(SAVED)
    tags = {name: [child.tag for child in case][1:] for name, case in told.items()}
    assert tags == {
        "dns.hit_rate": ["failure"],
        "web.idle": ["error"],
        "web.page": ["skipped"],
        "transport.elastic": ["error"],
    }
    failure = told["dns.hit_rate"].find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "FAILED"
    assert failure.attrib["message"].startswith('a,"b"')
    assert "share answered from memory: expected" in (failure.text or "")
    assert sum(float(case.attrib["time"]) for case in told.values()) == pytest.approx(
        float(suite.attrib["time"]), abs=0.01
    )


def test_junit_of_runs_that_passed_has_no_failure(judged: Path) -> None:
    suite = ElementTree.fromstring(report.junit(report.chosen([judged])))
    assert [suite.attrib[key] for key in ("failures", "errors", "skipped")] == ["0", "0", "0"]
    assert {child.tag for case in suite for child in case} == {"properties"}


def test_outcomes_are_counted_the_worst_first(mixed: Path) -> None:
    assert list(report.counted(report.chosen([mixed])).items()) == [
        ("FAILED", 1),
        ("INCONCLUSIVE", 1),
        ("not judged", 1),
        ("UNSUPPORTED", 1),
    ]
