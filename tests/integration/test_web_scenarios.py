"""The scenarios of the web, for real: as they are, and in a world that is not as predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine.docker import DockerEngine
from appbed.verdict import Outcome

from .short_forms import all_pass, group, outcomes

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]
WEB = group("web")


def test_every_claim_of_the_web_passes_in_its_short_form(tmp_path: Path) -> None:
    all_pass("web", tmp_path)


def test_without_keep_alive_at_the_server_exactly_the_claims_about_persistent_connections_fail(
    engine: DockerEngine, tmp_path: Path
) -> None:
    without = '  www-{}: {{environment: {{KEEPALIVE_TIMEOUT: "0"}}}}\n'
    override = "services:\n" + "".join(without.format(number) for number in (1, 2, 3))
    chosen = [name for name in WEB if name != "web.cookies"]  # the shop is another server
    found = outcomes(engine, tmp_path, chosen, override)
    dependent = {"web.persistent", "web.pipelined", "web.idle"}
    assert {name for name, outcome in found.items() if outcome is not Outcome.PASSED} == dependent, found


def test_without_a_cache_exactly_the_claims_about_it_fail(engine: DockerEngine, tmp_path: Path) -> None:
    chosen = ["web.cache", "web.conditional", "web.page", "web.stateless"]
    found = outcomes(engine, tmp_path, chosen, 'services:\n  proxy: {environment: {CACHE: "off"}}\n')
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == {"web.cache", "web.conditional"}
    assert found["web.page"] is found["web.stateless"] is Outcome.PASSED
