"""Pages in a real browser: nothing is complained about, nothing is loaded, nothing is wider than the screen."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from saved_runs import SAVED, Change, poison_conditions, poisoned

from appbed import report

pytestmark = pytest.mark.thorough  # a browser takes seconds to start

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE, PAPER = 390, 794  # CSS pixels: a usual phone, the width of A4
ASKING = """<!doctype html><iframe id="page" src="%s" style="width:%dpx;height:900px;border:0"></iframe><pre id="found"></pre><script>
onload = () => {
  const page = document.getElementById("page"), seen = page.contentDocument, root = seen.documentElement
  const clipped = cell => cell.scrollWidth > cell.clientWidth + 1 && !cell.closest("figure, .scroll")
  const inside = [...seen.querySelectorAll("td, th, p, dd, h1, h2, h3")].filter(cell => cell.clientWidth)
  document.getElementById("found").textContent = JSON.stringify({
    wide: root.scrollWidth, clipped: inside.filter(clipped).map(cell => cell.textContent),
    drawings: [...seen.querySelectorAll("svg")].map(one => one.getBoundingClientRect().width),
    unseen: [...seen.querySelectorAll("svg text")].filter(text => text.textContent.trim() && !text.getBBox().width).length,
    title: seen.title,
  })
}
</script>"""


@dataclass(frozen=True)
class Looked:
    found: dict[str, Any]
    complaints: list[str]
    loaded: set[str]


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The folder over HTTP from this machine to itself, and every path that is asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def look(page: str, width: int, below: Path) -> Looked:
    """The page as the browser has it in a window of that width; what it wrote to its console, and asked for besides."""
    if BROWSER is None:
        pytest.skip("no chromium here; Debian's package is chromium")
    (below / "page.html").write_text(page)
    (below / "asking.html").write_text(ASKING % ("page.html", width))
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={below}/profile",
    )
    with served(below) as (address, asked):
        done = subprocess.run(
            [BROWSER, *options, "--dump-dom", f"{address}/asking.html"],
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
    said = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert said, done.stderr[-1000:]
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "favicon" not in line]
    return Looked(
        json.loads(html.unescape(said[1])), complaints, {*asked} - {"/asking.html", "/page.html", "/favicon.ico"}
    )


@pytest.mark.parametrize("width", [PHONE, PAPER])
def test_a_page_fits_its_window_and_loads_nothing(judged: Path, tmp_path: Path, width: int) -> None:
    seen = look(report.page(report.chosen([judged])), width, tmp_path)
    assert seen.complaints == []
    assert seen.loaded == set()
    assert seen.found["wide"] <= width
    assert seen.found["clipped"] == []
    assert len(seen.found["drawings"]) == 2 * len(SAVED) + 2  # ladders and topologies, a curve, the errors of all
    assert min(seen.found["drawings"]) > 200
    assert seen.found["unseen"] == 0


@pytest.mark.parametrize("width", [PHONE, PAPER])
def test_the_list_of_runs_fits_its_window(judged: Path, tmp_path: Path, width: int) -> None:
    seen = look(report.index(report.chosen([judged])), width, tmp_path)
    assert (seen.complaints, seen.loaded) == ([], set())
    assert seen.found["wide"] <= width
    assert seen.found["clipped"] == []


def test_hostile_evidence_runs_nothing_and_breaks_no_page(runs: Path, change: Change, tmp_path: Path) -> None:
    folder = runs / "transport.elastic"
    change(folder / "verdict.json", lambda found: {**poisoned(found), "because": "long" * 500})
    change(folder / "prediction.json", poisoned)
    change(folder / "conditions.json", poison_conditions)
    made = report.page(report.chosen([runs]))
    seen = look(
        made.replace("<title>", "<script>window.alert = text => { document.title = text }</script><title>"),
        PHONE,
        tmp_path,
    )
    assert seen.found["title"] == "appbed: predicted and measured"
    assert seen.found["wide"] <= PHONE
    assert seen.complaints, "of the script above, which this page lets nobody run"
    assert all("Content Security Policy" in each for each in seen.complaints), seen.complaints


def test_this_test_notices_what_a_page_loads_and_how_wide_it_is(tmp_path: Path) -> None:
    (tmp_path / "there.css").write_text("p { color: red }")
    seen = look(
        '<title>x</title><link rel="stylesheet" href="there.css"><p style="width:2000px">x</p><script>nothing()</script>',
        PHONE,
        tmp_path,
    )
    assert seen.complaints
    assert seen.loaded == {"/there.css"}
    assert seen.found["wide"] >= 2000
