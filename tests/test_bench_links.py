"""The bench of links: its bands are those of the distributions, and a short form of it runs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from appbed import places
from appbed.topology import load

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    from bench import links

    return links


@pytest.mark.parametrize(("count", "share", "hits"), [(20, 0.5, (2, 18)), (2, 0.5, (0, 2)), (2000, 0.02, (18, 66))])
def test_the_band_of_losses_is_the_binomial_one(
    links: ModuleType, count: int, share: float, hits: tuple[int, int]
) -> None:
    """Hits as the sum of exact fractions has them."""
    assert links.binomial_band(count, share) == hits


def test_the_band_of_bursts_holds_bursts_and_hardly_more(links: ModuleType) -> None:
    draws = random.Random(1)

    def length() -> int:
        count = 1
        while draws.random() >= 0.2:
            count += 1
        return count

    means = [sum(length() for _ in range(100)) / 100 for _ in range(400)]
    low, high = links.burst_band(100, 0.2)
    assert low <= min(means)
    assert max(means) <= high
    assert max(means) - min(means) > 0.6 * (high - low), "a band that wide would hold anything"


def test_as_many_links_change_as_internet_has(links: ModuleType) -> None:
    topology = load(places.topology_file("internet"), os.environ)
    assert len(list(topology.attachments())) <= links.ATTACHMENTS


@pytest.mark.root
@pytest.mark.thorough
def test_the_short_form_runs_and_writes_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "links.json"
    argv = [sys.executable, "-m", "bench.links", "--backend", "relay", "--rows", "plane,changes", "--short"]
    done = subprocess.run([*argv, "--out", str(out)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert len(figures) == 4
    assert all(set(each) == {"backend", "figure", "unit", "value", "bar", "met"} for each in figures)
    lost = next(each for each in figures if each["figure"].startswith("frames dropped"))
    assert lost["met"] is True
