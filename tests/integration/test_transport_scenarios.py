"""The scenarios of transport services, for real, in their short forms, and in a world that is not as predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine.docker import DockerEngine
from appbed.verdict import Outcome

from .short_forms import all_pass, outcomes

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]


def test_every_claim_of_transport_services_passes_in_its_short_form(tmp_path: Path) -> None:
    all_pass("transport", tmp_path)


def test_with_a_certificate_for_another_name_exactly_the_claim_about_security_fails(
    engine: DockerEngine, tmp_path: Path
) -> None:
    override = "services:\n  www-1: {environment: {HTTPS_NAME: www.shop.com}}\n"
    found = outcomes(engine, tmp_path, ["transport.security", "transport.reliable"], override)
    assert found == {"transport.security": Outcome.FAILED, "transport.reliable": Outcome.PASSED}
