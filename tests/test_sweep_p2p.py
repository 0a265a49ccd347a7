"""The sweep of distribution times: what it calls met, and what it need not measure again."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import pytest

from appbed.verdict import Outcome

ROOT = Path(__file__).resolve().parents[1]
BOUNDS = {"client_server_s": 10.0, "peer_to_peer_s": 4.0}
BUSY = {"client_server": 0.3, "peer_to_peer": 0.5}


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    from bench import sweep_p2p

    return sweep_p2p


@pytest.mark.parametrize(
    ("changed", "server", "swarm"),
    [
        ({}, Outcome.PASSED, Outcome.PASSED),
        ({"client_server_s": 11.1}, Outcome.FAILED, Outcome.PASSED),
        ({"peer_to_peer_s": 5.1}, Outcome.PASSED, Outcome.FAILED),
        ({"equal_files": 4}, Outcome.FAILED, Outcome.FAILED),
        ({"busy": {"client_server": 0.3, "peer_to_peer": 0.9}}, Outcome.PASSED, Outcome.INCONCLUSIVE),
        ({"unsound": "seed up was not as set"}, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
    ],
)
def test_a_bar_is_met_by_a_sound_lab_with_time_to_spare(
    sweep: ModuleType, changed: dict[str, object], server: Outcome, swarm: Outcome
) -> None:
    line = replace(sweep.Measurement(5, 8.0, 10.5, 4.9, BUSY, 5, "", BOUNDS), **changed)
    assert (line.outcome("client_server"), line.outcome("peer_to_peer")) == (server, swarm)


def test_what_was_measured_under_other_bounds_is_measured_again(
    sweep: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sweep.Measurement(2, 8.0, 10.5, 4.9, BUSY, 2, "", BOUNDS)
    same = replace(other, peers=5, bounds=sweep._bounds(5))
    kept = tmp_path / "p2p.jsonl"
    kept.write_text("".join(json.dumps(asdict(line)) + "\n" for line in (same, other)))
    monkeypatch.setattr(sweep, "KEPT", kept)
    assert sweep.kept() == {5: same}
