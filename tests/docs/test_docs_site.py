"""The site is made without a warning, loads nothing from elsewhere, and shows every scenario as judged today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from appbed import scenario
from doc_blocks import ROOT

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]  # judges and draws every saved run

LOADING = re.compile(
    r"""<(?:link|script|img|iframe|source|object|embed)\b[^>]*?\b(?:href|src|data)\s*=\s*["']?([^"'\s>]+)"""
    r"""|url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)"""
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make docs` makes it."""
    built = tmp_path_factory.mktemp("site") / "html"
    options = ("--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env", "--quiet")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "-d", str(built.parent / "read"), str(ROOT / "docs"), str(built)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert not done.stderr.strip()
    return built


def test_every_page_is_there(site: Path) -> None:
    written = {str(path.relative_to(ROOT / "docs").with_suffix(".html")) for path in (ROOT / "docs").rglob("*.md")}
    assert written <= {str(path.relative_to(site)) for path in site.rglob("*.html")}


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for file in (*site.rglob("*.html"), *site.rglob("*.css")):
        loaded = {next(filter(None, found)) for found in LOADING.findall(file.read_text(encoding="utf-8"))}
        outside = {each for each in loaded if re.match(r"(?:https?:)?//", each)}
        assert not outside, file
    for script in site.rglob("*.js"):
        assert not re.search(r"""(?:fetch|import|src\s*=)\s*\(?\s*["']https?://""", script.read_text(encoding="utf-8"))


def test_links_within_the_site_lead_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for target, anchor in re.findall(r'<a [^>]*href="([^"#:]*)(?:#([^"]*))?"', page.read_text(encoding="utf-8")):
            there = (page.parent / target) if target else page
            assert there.exists(), f"{page.name}: {target}"
            if anchor and there.suffix == ".html":
                assert f'id="{anchor}"' in there.read_text(encoding="utf-8"), f"{page.name}: {target}#{anchor}"


def test_every_scenario_is_shown_with_its_verdict(site: Path) -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in site.rglob("*.html"))
    known = [name for name in scenario.discover() if (ROOT / "tests/evidence" / name).is_dir()]
    assert len(known) > 40
    for name in known:
        assert f"<code>appbed run {name}</code>" in shown
    assert shown.count('<span class="PASSED">') >= len(known)
    assert 'class="ladder"' in shown
    assert 'class="plot"' in shown


def test_formulas_are_those_that_were_called(site: Path) -> None:
    page = (site / "chapter/web.html").read_text(encoding="utf-8")
    for formula in ("serial_page_s", "parallel_page_s", "persistent_page_s", "pipelined_page_s", "lindley_waits_s"):
        assert f"<code>models.{formula}</code>" in page
