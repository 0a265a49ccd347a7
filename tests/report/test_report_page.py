"""Pages: what is in them, what is not, and what a damaged or hostile run does to them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from saved_runs import HOSTILE, SAVED, Change, poison_conditions, poisoned

from appbed import claims, report
from appbed.errors import InputError
from appbed.evidence import Evidence

pytestmark = pytest.mark.thorough  # each draws pages with all their plots

HARMFUL = {"script", "img", "iframe", "object", "embed", "link", "base", "form", "foreignobject", "animate", "set"}


class Parsed(HTMLParser):
    """Elements and attributes as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def harmless(page: str) -> None:
    found = Parsed(page)
    assert not HARMFUL & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        assert name not in ("src", "srcset", "action", "data", "style") or not re.search(r"url\((?!#)", value)
        assert name != "src"
        if name.endswith("href"):
            assert value.startswith("#") or re.fullmatch(r"[^:/]+/report\.html", value), value


def page(*folders: Path) -> str:
    return report.page(report.chosen(folders))


def test_a_page_has_of_every_run_the_claim_its_sentence_the_prediction_the_measurement_and_the_verdict(
    judged: Path,
) -> None:
    made = page(judged)
    for name in SAVED:
        found = Evidence(judged / name)
        for claim in found.prediction["claims"]:
            assert claims.sentence(claim) in made.replace("&#39;", "'")
        line = found.verdict.headline
        assert line
        for text in (line.what, line.expected, line.seen, found.verdict.because):
            assert text.replace("'", "&#39;") in made
    assert made.count('class="verdict PASSED"') > len(SAVED)
    assert f"{len(SAVED)} <span" in made


def test_times_that_were_measured_again_and_again_keep_their_spread(judged: Path) -> None:
    lines = Evidence(judged / "transport.elastic").verdict.findings
    line = next(line for line in lines if line.what.endswith("transfer time"))
    assert line.spread
    assert line.allowed
    assert line.spread[0] == line.measured <= line.spread[1], "the quickest is judged"
    assert line.allowed[0] < line.measured < line.allowed[1]


def test_a_page_has_ladder_topology_links_and_conditions(judged: Path) -> None:
    made = page(judged / "web.page")
    conditions = Evidence(judged / "web.page").conditions
    for text in (
        "GET /img/01.jpg",
        "gateway@access",
        "15.05 ms",
        conditions["machine"],
        f"<dd>{conditions['seed']}</dd>",
    ):
        assert text in made
    assert {'<svg class="ladder"', '<svg class="topology"'} <= set(re.findall(r'<svg class="\w+"', made))
    assert '<svg class="plot"' in page(judged / "dns.hit_rate")


def test_pages_load_nothing_and_run_nothing(judged: Path) -> None:
    for made in (page(judged), report.index(report.chosen([judged]))):
        harmless(made)
        assert "default-src 'none'; style-src 'unsafe-inline'" in made
        assert not re.search(r"@import|url\((?!#)", made)


def test_the_same_evidence_is_the_same_page(judged: Path) -> None:
    assert page(judged) == page(judged)


def test_runs_stand_in_the_order_of_the_chapter(judged: Path) -> None:
    names = [run.scenario for run in report.chosen([judged])]
    assert names == ["transport.elastic", "web.page", "web.idle", "dns.hit_rate"]


def test_a_run_named_twice_is_there_once(judged: Path) -> None:
    assert len(report.chosen([judged, judged / "web.idle"])) == len(SAVED)


# ---- hostile


def test_hostile_words_in_evidence_stay_words(runs: Path, change: Change) -> None:
    folder = runs / "transport.elastic"
    change(folder / "verdict.json", lambda found: {**poisoned(found), "figures": {HOSTILE: 1.5}})
    change(folder / "prediction.json", poisoned)
    change(folder / "conditions.json", poison_conditions)
    for made in (page(runs), page(folder), report.index(report.chosen([runs]))):
        harmless(made)
        assert "alert(1)" in made, "shown, not hidden"
        assert not {"\x07", "\u202e"} & set(made)
        assert "{{ 7*7 }}" in made


def test_a_hostile_folder_name_stays_a_name(pair: Path) -> None:
    named = pair / '"><script>alert(1)<'
    shutil.copytree(pair / "web.idle", named)
    found = report.chosen([pair])
    for made in (report.page(found), report.index(found)):
        harmless(made)
        assert "alert(1)" in made


def test_parts_of_a_run_that_cannot_be_drawn_leave_the_others(pair: Path, change: Change) -> None:
    change(pair / "web.idle" / "conditions.json", lambda found: {**found, "links": [{"attachment": 7}]})
    made = page(pair / "web.idle")
    assert "links cannot be shown: the evidence is not as a run writes it (KeyError: &#39;set&#39;)" in made
    assert "relay" in made, "the conditions are there"
    assert "GET /somedir/page.html" in made, "the ladder is there"


# ---- damaged

PARTS = {
    "prediction.json": "is no run (prediction.json is missing)",
    "verdict.json": "verdict.json is missing: judge the run with `appbed check ",
    "conditions.json": "conditions.json is missing: no conditions, links or topology are shown",
    "events.jsonl": "events.jsonl is missing: when the run took place is not known",
    "capture.pcapng": "capture.pcapng is missing: no ladder is drawn",
}


def told(runs: Path, name: str) -> list[str]:
    """What is missing of a run; the page of all is made, and the others miss nothing."""
    found = report.chosen([runs])
    made = report.page(found)
    report.index(found), report.plain(found), report.csv(found), report.junit(found)
    assert len(found) == 2
    for run in found:
        if run.folder.name != name:
            assert not run.missing
    (damaged,) = [run for run in found if run.folder.name == name]
    for line in damaged.missing:
        assert line.split("`")[0].replace("'", "&#39;").replace('"', "&#34;")[:40] in made
    return damaged.missing


@pytest.mark.parametrize("file", PARTS)
def test_a_missing_file_costs_its_part_by_name_and_no_other_run(pair: Path, file: str) -> None:
    (pair / "web.page" / file).unlink()
    missing = told(pair, "web.page")
    assert any(PARTS[file] in line for line in missing)
    if file != "prediction.json":
        assert len(missing) == 1


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half": lambda whole: whole[: len(whole) // 2],
    "a list": lambda _: b"[]",
    "an object without anything": lambda _: b"{}",
    "a number": lambda _: b"7",
    "no UTF-8": lambda whole: b"\xff\xfe" + whole,
    "deep": lambda _: b'{"findings": [{"what": {}}], "outcome": "GREAT", "links": 3, "hosts": [], "claims": 7}',
}


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("file", PARTS)
def test_a_damaged_file_costs_its_part_and_no_other_run(pair: Path, file: str, garbage: str) -> None:
    path = pair / "web.page" / file
    path.write_bytes(GARBAGE[garbage](path.read_bytes()))
    missing = told(pair, "web.page")
    readable = {("events.jsonl", "empty"), ("prediction.json", "an object without anything")}
    if (file, garbage) not in readable and not (file == "capture.pcapng" and garbage == "half"):
        assert missing


def test_damaged_conditions_do_not_cost_the_ladder(pair: Path, change: Change) -> None:
    change(pair / "web.page" / "conditions.json", lambda found: {**found, "hosts": ["client"]})
    assert "GET /img/01.jpg" in page(pair / "web.page")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e308", "-1e308", "1e-320", "0"])
@pytest.mark.parametrize("which", ["predicted", "measured"])
def test_numbers_beyond_all_measure_are_shown_or_left_out(pair: Path, which: str, number: str) -> None:
    numbers = {"predicted": "1.0", "measured": "1.0", which: number}
    lines = [
        f'{{"what": "N = {n}: time", "expected": "x", "seen": "x", "outcome": "PASSED", "predicted": {numbers["predicted"]}, '
        f'"measured": {numbers["measured"]}, "allowed": [{number}, 1], "spread": [1, {number}]}}'
        for n in (1, 2)
    ]
    verdict = f'{{"outcome": "PASSED", "because": "", "findings": [{", ".join(lines)}], "figures": {{"x": {number}}}}}'
    (pair / "web.idle" / "verdict.json").write_text(verdict)
    found = report.chosen([pair])
    assert "N = 1: time" in report.page(found)
    report.csv(found), report.junit(found), report.plain(found)


def test_a_folder_without_runs_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no run \(prediction.json is missing\), and has none in it"):
        report.chosen([tmp_path])
    with pytest.raises(InputError, match="no such folder"):
        report.chosen([tmp_path / "gone"])


def test_frames_that_are_missing_are_said_beside_the_ladder(pair: Path) -> None:
    capture = pair / "web.idle" / "capture.pcapng"
    capture.write_bytes(capture.read_bytes()[:-30])
    assert "not read: byte" in page(pair / "web.idle")


def test_numbers_of_an_unknown_claim_are_shown_without_a_sentence(pair: Path, change: Change) -> None:
    change(pair / "web.idle" / "prediction.json", lambda found: {**found, "claims": ["X1"]})
    made = page(pair)
    assert "<strong>X1</strong></p>" in made
    assert "Across the chapter" in made
