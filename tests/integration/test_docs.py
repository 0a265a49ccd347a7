"""Commands of the documentation, page by page, as a reader types them, on real containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from doc_blocks import ROOT, Reader, blocks, pages

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

PAGES = [page for page in pages() if page.name != "README.ko.md"]  # it has the same commands as README.md
WITH_ENGINE = [page for page in PAGES if any(block.runs == "engine" for block in blocks(page))]


@pytest.mark.parametrize("page", WITH_ENGINE, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    name = f"test-docs-{page.stem.lower()}-{os.getpid()}"
    try:
        Reader(tmp_path, name).follow(page, "engine")
    finally:  # a page that went wrong leaves nothing, and one that went well has taken its lab down itself
        down = [sys.executable, "-m", "appbed.cli", "down", "--name", name]
        left = subprocess.run(down, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "no instance" in left.stderr, f"{page.name} leaves a lab behind"
