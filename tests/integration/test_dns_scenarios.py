"""The scenarios of the Domain Name System, for real: as they are, and in a world that is not as predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine.docker import DockerEngine
from appbed.verdict import Outcome

from .short_forms import all_pass, outcomes

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]


def test_every_claim_of_the_names_passes_in_its_short_form(tmp_path: Path) -> None:
    all_pass("dns", tmp_path)


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
