"""`report` on the command line: which pages are written where, and what is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from appbed import evidence
from appbed.evidence import Recorder
from appbed.verdict import Outcome, judged, timed
from command_line import Appbed

PASSED, FAILED = timed("page time", 0.1, 0.1, 0.01, 0.0), timed("page time", 0.1, 0.2, 0.01, 0.0)


def ran(below: Path, name: str, *, passed: bool = True) -> Path:
    folder = below / f"20260101-000000-{name}"
    folder.mkdir(parents=True)
    recorder = Recorder(folder)
    recorder.write("prediction", {"scenario": name, "claims": ["W4"], "expected": {}})
    recorder.write("verdict", judged([PASSED if passed else FAILED]).plain())
    recorder.step("page")
    recorder.close()
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    below = tmp_path / "runs"
    ran(below, "web.one")
    ran(below, "web.two", passed=False)
    return below


def test_without_arguments_every_run_gets_its_page_and_all_are_listed(appbed: Appbed, runs: Path) -> None:
    done = appbed("report")
    assert done.status == 0
    assert done.out.splitlines()[-1] == f"{runs / 'index.html'}: 2 runs: 1 FAILED, 1 PASSED"
    index = (runs / "index.html").read_text()
    for name in ("web.one", "web.two"):
        assert f'<a href="20260101-000000-{name}/report.html">' in index
        assert name in (runs / f"20260101-000000-{name}" / "report.html").read_text()


def test_pages_are_made_again_only_of_evidence_that_is_newer(appbed: Appbed, runs: Path) -> None:
    appbed("report")
    one, two = (runs / f"20260101-000000-web.{each}" / "report.html" for each in ("one", "two"))
    for page in (one, two):
        page.write_text("kept")
    later = one.stat().st_mtime + 10
    os.utime(two.parent / "verdict.json", (later, later))
    appbed("report")
    assert one.read_text() == "kept"
    assert "web.two" in two.read_text()


def test_a_run_that_is_named_gets_its_page_anew(appbed: Appbed, runs: Path) -> None:
    page = runs / "20260101-000000-web.one" / "report.html"
    page.write_text("old")
    done = appbed("report", str(page.parent))
    assert done.status == 0
    assert done.out.splitlines()[-1] == f"{page}: 1 PASSED"
    assert "page time" in page.read_text()
    assert not (runs / "index.html").exists()


@pytest.mark.thorough  # draws plots
def test_one_page_of_all_and_files_for_programs(appbed: Appbed, runs: Path, tmp_path: Path) -> None:
    done = appbed("report", "--out", "all.html", "--junit", "all.xml", "--csv", "all.csv", "--json")
    assert done.status == 0
    assert [each["outcome"] for each in done.json] == ["PASSED", "FAILED"]
    page = (tmp_path / "all.html").read_text()
    assert "web.one" in page
    assert "web.two" in page
    assert ElementTree.fromstring((tmp_path / "all.xml").read_text()).attrib["failures"] == "1"
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 3
    assert not list(runs.rglob("report.html")), "instead of a page beside each"


def test_what_a_page_lacks_is_said_and_the_page_is_made(appbed: Appbed, runs: Path) -> None:
    damaged = runs / "20260101-000000-web.two"
    (damaged / "verdict.json").write_text("{")
    done = appbed("report")
    assert done.status == 0
    said = [line for line in done.err.splitlines() if str(damaged) in line]
    assert any("the verdict cannot be shown" in line for line in said)
    assert any("capture.pcapng is missing: no ladder is drawn" in line for line in said)
    assert "cannot be shown" in (damaged / "report.html").read_text()
    assert "1 not judged, 1 PASSED" in done.out


def test_a_run_whose_prediction_is_gone_is_listed_as_damaged(appbed: Appbed, runs: Path) -> None:
    (runs / "20260101-000000-web.two" / "prediction.json").unlink()
    assert appbed("report").status == 0
    assert "is no run (prediction.json is missing)" in (runs / "index.html").read_text()


def test_where_there_are_no_runs_it_is_said(appbed: Appbed, tmp_path: Path) -> None:
    done = appbed("report")
    assert (done.status, done.complaint) == (2, "runs/: there are no runs here; make one, for example: appbed run tour")
    done = appbed("report", str(tmp_path / "gone"))
    assert (done.status, done.complaint) == (
        2,
        f"{tmp_path / 'gone'}: no such folder; name a run's folder, or one that has runs in it",
    )
    done = appbed("report", str(tmp_path))
    assert done.status == 2
    assert "has none in it" in done.complaint


@pytest.mark.thorough  # draws plots
def test_a_file_that_cannot_be_written_is_named_and_nothing_is_half_there(
    appbed: Appbed, runs: Path, tmp_path: Path
) -> None:
    done = appbed("report", "--out", "gone/all.html")
    assert (done.status, done.complaint) == (
        3,
        "gone/all.html: No such file or directory; name a file in a folder that is there and can be written",
    )
    (tmp_path / "folder.html").mkdir()
    done = appbed("report", "--out", "folder.html")
    assert done.status == 3
    assert done.complaint.startswith("folder.html: ")
    assert not list(tmp_path.glob(".*partial"))


def test_a_folder_of_another_name_can_have_runs(appbed: Appbed, runs: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.move(runs, kept)
    done = appbed("report", "kept", "--json")
    assert {each["scenario"] for each in done.json} == {"web.one", "web.two"}
    assert len(list(kept.rglob("report.html"))) == 2


def test_verdicts_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    verdict = judged([timed("t", 0.1, 0.2, 0.01, 0.0, [0.2, 0.3]), PASSED], {"x": 1.5})
    evidence.write(tmp_path, "verdict", verdict.plain())
    evidence.write(tmp_path, "prediction", {})
    found = evidence.Evidence(tmp_path).verdict
    assert found == verdict
    assert found.findings[0].spread == (0.2, 0.3)
    assert found.outcome is Outcome.FAILED
