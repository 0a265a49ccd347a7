"""Runs as JSON, CSV and JUnit XML, for programs."""

from __future__ import annotations

import csv as comma_separated
import io
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from appbed import claims
from appbed.report.runs import Run, counted
from appbed.verdict import Finding, Outcome

_COLUMNS = (
    *("run", "scenario", "claims", "verdict"),
    *("what", "expected", "seen", "predicted", "measured", "error", "outcome", "because"),
)


def plain(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What JSON can hold, a run each: verdict with findings and figures, chapter's sentences, conditions that are short."""
    return [_plain(run) for run in runs]


def _plain(run: Run) -> dict[str, Any]:
    conditions: Mapping[str, Any] = run.conditions or {}
    began, lasted_s = run.began or (None, None)
    verdict = run.verdict.plain() if run.verdict else {"outcome": None, "because": "", "findings": [], "figures": None}
    return {
        "run": run.folder.name,
        "scenario": run.scenario,
        "claims": {claim: claims.sentence(claim) for claim in run.claims},
        **verdict,
        "began": began and began.isoformat(timespec="seconds"),
        "seconds": lasted_s and round(lasted_s, 3),
        "conditions": {key: conditions.get(key) for key in ("engine", "machine", "backend", "seed", "processor_busy")},
        "missing": list(run.missing),
    }


def csv(runs: Sequence[Run]) -> str:
    """A row for each finding (RFC 4180); a run that was not judged has one row without any."""
    out = io.StringIO()
    writer = comma_separated.writer(out)
    writer.writerow(_COLUMNS)
    for run in runs:
        named = (run.folder.name, run.scenario, " ".join(run.claims), run.outcome)
        if not run.verdict or not run.verdict.findings:
            writer.writerow([*named, *[""] * 7, run.verdict.because if run.verdict else "; ".join(run.missing)])
            continue
        for line in run.verdict.findings:
            numbers = ["" if each is None else each for each in (line.predicted, line.measured, line.error)]
            writer.writerow([*named, line.what, line.expected, line.seen, *numbers, line.outcome.value, line.because])
    return out.getvalue()


def junit(runs: Sequence[Run]) -> str:
    """A test case for each run: FAILED is a failure, UNSUPPORTED is skipped, all else that did not pass is an error."""
    counts = counted(runs)
    failures, skipped = counts.get(Outcome.FAILED, 0), counts.get(Outcome.UNSUPPORTED, 0)
    errors = len(runs) - failures - skipped - counts.get(Outcome.PASSED, 0)
    seconds = sum(run.began[1] for run in runs if run.began)
    suite = ElementTree.Element(
        "testsuite",
        name="appbed",
        tests=str(len(runs)),
        failures=str(failures),
        errors=str(errors),
        skipped=str(skipped),
        time=f"{seconds:.3f}",
    )
    suite.extend(map(_case, runs))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=False) + "\n"


def _case(run: Run) -> ElementTree.Element:
    group, _, name = run.scenario.rpartition(".")
    seconds = f"{run.began[1]:.3f}" if run.began else "0"
    case = ElementTree.Element("testcase", classname=_xml(group or "appbed"), name=_xml(name), time=seconds)
    properties = ElementTree.SubElement(case, "properties")
    for key, value in (("claims", " ".join(run.claims)), ("run", run.folder.name)):
        ElementTree.SubElement(properties, "property", name=key, value=_xml(value))
    outcome = run.verdict.outcome if run.verdict else None
    if outcome is not Outcome.PASSED:
        tag = {Outcome.FAILED: "failure", Outcome.UNSUPPORTED: "skipped"}.get(outcome or Outcome.INCONCLUSIVE, "error")
        because = run.verdict.because if run.verdict else "; ".join(run.missing)
        said = ElementTree.SubElement(case, tag, type=run.outcome, message=_xml(because))
        said.text = _xml("\n".join(map(_line, run.verdict.findings if run.verdict else ())))
    return case


def _line(found: Finding) -> str:
    return f"{found.outcome.value}  {found.what}: expected {found.expected}, saw {found.seen}"


def _xml(text: str) -> str:
    """XML has no place for control characters and halves of surrogate pairs, not even escaped."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
