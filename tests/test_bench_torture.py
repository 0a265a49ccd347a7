"""The torture notices what is left, keeps what it did, and goes on from there."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def torture(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    from bench import torture

    return torture


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    from bench import torture_machine

    return torture_machine


def test_what_came_and_what_went_is_named(machine: ModuleType) -> None:
    before = {"interfaces": ("eth0", "lo"), "routes": ("default",)}
    now = {"interfaces": ("ab1x0", "lo"), "routes": ("default",)}
    (found,) = machine.differences(before, now)
    assert str(found) == "interfaces: + ab1x0; - eth0"
    assert machine.differences(before, dict(before)) == []


@pytest.mark.thorough
def test_an_interface_that_stays_is_seen_and_counters_are_not(
    machine: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = machine.seen()
    assert "lo" in before["interfaces"]
    assert any(line.startswith("net/ipv4/") for line in before["sysctls"])
    assert machine._COUNTERS.sub("", ":INPUT ACCEPT [17:1020]") == machine._COUNTERS.sub("", ":INPUT ACCEPT [18:1080]")
    monkeypatch.setattr(machine, "_lines", lambda *argv: ("one more",))
    assert {each.kind for each in machine.differences(before, machine.seen())} >= {"qdiscs"}


def done(torture: ModuleType, victim: str, number: int, problem: str = "") -> object:
    return torture.Round(1, victim, number, "up", 0.5, 2.0, "removed by gc", problem, 3.0)


def test_it_goes_on_where_it_was_and_another_seed_begins_anew(torture: ModuleType, tmp_path: Path) -> None:
    journal = torture.Journal(tmp_path, 1, False)
    for number in range(3):
        journal.add(done(torture, "orchestrator", number))
    assert len(torture.Journal(tmp_path, 1, False).of("orchestrator")) == 3
    assert torture.Journal(tmp_path, 2, False).rounds == []
    assert torture.Journal(tmp_path, 1, True).rounds == []


def test_a_figure_is_met_only_by_all_of_the_kills(torture: ModuleType, tmp_path: Path) -> None:
    journal = torture.Journal(tmp_path, 1, False)
    journal.add(done(torture, "host", 0))
    assert torture.figures(journal, {"host": 2})[0]["met"] is False, "one is still to come"
    journal.add(done(torture, "host", 1, "bridge br-1 is still there"))
    assert torture.figures(journal, {"host": 2})[0]["met"] is False
    assert torture.figures(journal, {"host": 1})[0]["met"] is True
    json.dumps(torture.figures(journal, {"host": 2, "orchestrator": 5}))
