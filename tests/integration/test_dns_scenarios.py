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


ABOUT_COLD_NAMES = ("dns.hierarchy", "dns.caching", "dns.tld_remembered")
NOT_ABOUT_CACHES = ("dns.authority", "dns.records", "dns.message")


def _without_reset(tmp_path: Path, *commands: str) -> str:
    """The local server with commands of its role that do nothing, and say that all is well."""
    nothing = tmp_path / "nothing"
    nothing.write_text("#!/bin/sh\n")
    nothing.chmod(0o755)
    mounts = ", ".join(f'"{nothing}:/appbed/{command}:ro"' for command in commands)
    return f"services:\n  dns: {{volumes: [{mounts}]}}\n"


def test_with_a_cache_that_is_not_flushed_exactly_the_claims_about_cold_names_fail(
    engine: DockerEngine, tmp_path: Path
) -> None:
    world = _without_reset(tmp_path, "reset", "remembers")
    found = outcomes(engine, tmp_path, [*ABOUT_COLD_NAMES, *NOT_ABOUT_CACHES], world)
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == set(ABOUT_COLD_NAMES), found
    assert all(found[name] is Outcome.PASSED for name in NOT_ABOUT_CACHES), found


def test_a_cache_that_was_not_flushed_is_told_by_the_server_itself(engine: DockerEngine, tmp_path: Path) -> None:
    """Nothing can be said of the run after the first one."""
    found = outcomes(engine, tmp_path, ["dns.before_web", "dns.alias"], _without_reset(tmp_path, "reset"))
    assert found == {"dns.before_web": Outcome.PASSED, "dns.alias": Outcome.INCONCLUSIVE}


def test_with_a_secondary_that_does_not_transfer_exactly_the_claim_about_it_fails(
    engine: DockerEngine, tmp_path: Path
) -> None:
    """It has its other zone. The local servers wait 2 s instead of 29 s for the primary (images/resolver)."""
    found = outcomes(
        engine,
        tmp_path,
        ["dns.registration", "dns.intermediate", "dns.records"],
        "services:\n"
        '  ns-umass-2: {environment: {SECONDARY_ZONES: "umass.edu@${APPBED_NET:-10.77}.3.31"}}\n'
        '  dns: {environment: {INFRA_CACHE_MAX_RTT: "1000", INFRA_HOST_TTL: "5"}}\n',
    )
    assert {name for name, outcome in found.items() if outcome is not Outcome.PASSED} == {"dns.registration"}, found
    assert found["dns.registration"] is Outcome.FAILED
