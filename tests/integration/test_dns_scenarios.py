"""The scenarios of the Domain Name System, for real: as they are, and in a world that is not as predicted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from appbed import runner, scenario
from appbed.engine.docker import DockerEngine
from appbed.verdict import Outcome

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]
DNS = [name for name in scenario.discover() if name.startswith("dns.")]


def outcomes(engine: DockerEngine, to: Path, chosen: Iterable[str], override: str) -> dict[str, Outcome]:
    """Short forms of scenarios, on topologies with something changed in them."""
    changed = to / "changed.yaml"
    changed.write_text(override)
    known = scenario.discover()
    running = runner.run(
        {name: known[name] for name in chosen},
        engine,
        to / "runs",
        seed=1,
        links="auto",
        say=lambda text: None,
        short=True,
        overrides=(changed,),
    )
    return {ran.name: ran.verdict.outcome for ran in running}


def test_every_claim_of_the_names_passes_in_its_short_form(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "appbed.cli", "run", "dns", "--short", "--seed", "1", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    ran = json.loads(done.stdout)
    assert {each["scenario"]: each["outcome"] for each in ran} == dict.fromkeys(DNS, "PASSED"), [
        each["because"] for each in ran if each["outcome"] != "PASSED"
    ]
    assert done.returncode == 0


def test_with_a_local_server_that_remembers_nothing_exactly_the_claims_about_memory_fail(
    engine: DockerEngine, tmp_path: Path
) -> None:
    chosen = ["dns.caching", "dns.tld_remembered", "dns.authority", "dns.records", "dns.message"]
    found = outcomes(engine, tmp_path, chosen, 'services:\n  dns: {environment: {CACHE_MAX_TTL: "0"}}\n')
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == {
        "dns.caching",
        "dns.tld_remembered",
    }
    assert found["dns.authority"] is found["dns.records"] is found["dns.message"] is Outcome.PASSED


def test_with_an_authoritative_server_left_open_to_recursion_exactly_the_claim_about_its_flags_fails(
    engine: DockerEngine, tmp_path: Path
) -> None:
    """It says so in its replies (RA)."""
    chosen = ["dns.caching", "dns.tld_remembered", "dns.authority", "dns.records", "dns.message"]
    found = outcomes(engine, tmp_path, chosen, 'services:\n  ns-school: {environment: {RECURSION: "yes"}}\n')
    assert {name for name, outcome in found.items() if outcome is not Outcome.PASSED} == {"dns.message"}, found
