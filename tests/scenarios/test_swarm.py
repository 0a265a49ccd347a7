"""The tour's judgement of its swarm, on saved evidence and on evidence that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appbed.evidence import Evidence
from appbed.scenarios.tour_parts import swarm
from appbed.verdict import Outcome, judged

from . import mutants

pytestmark = pytest.mark.thorough
FILE = "swarm.pcapng"


def _outcome(folder: Path) -> Outcome:
    evidence = Evidence(folder)
    return judged(swarm.check(evidence, evidence.prediction["expected"]["swarm"])).outcome


def _slower(frames: list[mutants.Frame]) -> list[mutants.Frame]:
    first = frames[0].time_ns
    return [mutants.Frame(each.point, first + (each.time_ns - first) * 3, each.data) for each in frames]


def _silent(frames: list[mutants.Frame]) -> list[mutants.Frame]:
    """peer-1 sends nothing."""
    return [
        each
        for each in frames
        if each.point != "host:peer-1:eth0" or each.data[26:30] != bytes(each.data[26:30][:2]) + b"\x07\x0b"
    ]


def test_the_saved_run_passes(tmp_path: Path) -> None:
    assert _outcome(mutants.evidence("tour", tmp_path, file=FILE)) is Outcome.PASSED


@pytest.mark.parametrize("mutation", [_slower, _silent, mutants.nothing])
def test_no_mutant_passes(mutation: Callable[[list[mutants.Frame]], list[mutants.Frame]], tmp_path: Path) -> None:
    assert _outcome(mutants.evidence("tour", tmp_path, mutation, FILE)) is not Outcome.PASSED
