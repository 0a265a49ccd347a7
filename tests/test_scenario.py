"""The registry and how scenarios are chosen; and that each shipped one fits its topology."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from appbed import places, runner, scenario, scenarios, topology
from appbed.errors import InputError
from appbed.evidence import Evidence, Recorder
from appbed.impairment import change
from appbed.lab import Lab
from appbed.scenario import Scenario
from appbed.topology import Topology
from appbed.verdict import Outcome, Verdict

SHIPPED = scenario.discover()
FOLDER = Path(scenarios.__path__[0])


def predict(conditions: Any) -> dict[str, Any]:
    return {}


def run(lab: Lab, record: Recorder) -> None:
    """Nothing is done."""


def check(evidence: Evidence) -> Verdict:
    return Verdict(Outcome.PASSED, "as predicted")


def made(*claims: str) -> Scenario:
    return Scenario("x", "web", predict, run, check, claims=claims)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Scenario]:
    registry = {"dns.cache": made("D1"), "tour": made("D6", "W1"), "web.cookies": made("W4"), "web.get": made("W1")}
    monkeypatch.setattr(scenario, "discover", lambda: registry)
    return registry


# ---- choosing


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["tour"], ["tour"]),
        (["web"], ["web.cookies", "web.get"]),
        (["web.get"], ["web.get"]),
        (["W1"], ["web.get"]),
        (["D6"], ["tour"]),
        (["W1", "tour"], ["web.get", "tour"]),
        (["D1", "W4"], ["dns.cache", "web.cookies"]),
        (["all"], ["dns.cache", "tour", "web.cookies", "web.get"]),
        (["web", "web.get", "W4"], ["web.cookies", "web.get"]),
        (["web.get", "dns"], ["web.get", "dns.cache"]),
    ],
)
def test_scenarios_are_chosen_by_name_group_and_claim(
    known: dict[str, Scenario], words: list[str], names: list[str]
) -> None:
    chosen = scenario.select(words)
    assert list(chosen) == names
    assert all(chosen[name] is known[name] for name in names)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("toor", "no scenario, group or claim 'toor'; did you mean tour? known: dns, "),
        ("web.gte", "no scenario, group or claim 'web.gte'; did you mean web.get? known: dns, "),
        ("we", "no scenario, group or claim 'we'"),
        ("qqqqqq", "no scenario, group or claim 'qqqqqq'; known: dns, dns.cache, tour, web, web.cookies, web.get, D1"),
        ("", "no scenario, group or claim ''; known: dns, "),
    ],
)
def test_an_unknown_one_is_told_what_there_is(known: dict[str, Scenario], word: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario.select(["tour", word])
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(", W1, W4, all")


# ---- what is shipped


@functools.cache
def shape(name: str) -> Topology:
    return topology.load(places.topology_file(name), {})


def test_every_file_below_scenarios_holds_one_or_is_part_of_one() -> None:
    """The parts of tour.py are in tour_parts/, what those of web/ share in web_parts/."""
    files = {path.relative_to(FOLDER).with_suffix("") for path in FOLDER.rglob("*.py") if path.name != "__init__.py"}
    names = {str(path).replace("/", ".") for path in files}
    wholes = {name.partition(".")[0] for name in SHIPPED}
    parts = {name for name in names if name.partition(".")[0].removesuffix("_parts") in wholes and "_parts." in name}
    assert names - parts == set(SHIPPED)
    assert "tour" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_scenario_fits_its_topology(name: str) -> None:
    each = SHIPPED[name]
    lab = shape(each.topology)
    for attachment, settings in each.links.items():
        change(lab.attachment(attachment).link, settings, f"{name}: links.{attachment}")
    for point in each.capture:
        assert point == "all" or point in lab.networks or lab.host(point.partition("@")[0])
    assert set(each.roles) <= {host.role.name for host in lab.hosts.values()}
    assert each.about
    assert "\n" not in each.about


@pytest.mark.parametrize("name", SHIPPED)
def test_a_scenario_predicts_from_its_conditions_alone_and_the_same_each_time(name: str) -> None:
    each = SHIPPED[name]
    conditions = runner._under(each, shape(each.topology), 1)
    first = each.predict(json.loads(json.dumps(conditions)))
    assert json.loads(json.dumps(first)) == json.loads(json.dumps(each.predict(conditions)))


def test_a_claim_is_no_scenario_s_name() -> None:
    claims = {claim for each in SHIPPED.values() for claim in each.claims}
    groups = {name.partition(".")[0] for name in SHIPPED}
    assert not claims & (set(SHIPPED) | groups | {"all"})
