"""The scenarios of electronic mail, for real: as they are, and in a world that is not as predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine.docker import DockerEngine
from appbed.verdict import Outcome

from .short_forms import all_pass, outcomes

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]
THIRD = """
services:
  mail-crepes: {environment: {RELAY_HOST: "${APPBED_NET:-10.77}.3.54"}}
  mail-networkutopia: {environment: {RELAY_FROM: "${APPBED_NET:-10.77}.3.51"}}
"""
HASTY = "services:\n  mail-hamburger: {environment: {POP3_DELETES: at-loss}}\n"


def test_every_claim_of_mail_passes_in_its_short_form(tmp_path: Path) -> None:
    all_pass("mail", tmp_path)


def test_with_a_server_that_relays_through_a_third_one_exactly_the_claim_about_the_way_fails(
    engine: DockerEngine, tmp_path: Path
) -> None:
    found = outcomes(engine, tmp_path, ["mail.delivery", "mail.commands", "mail.format"], THIRD)
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == {"mail.delivery"}, found
    assert found["mail.commands"] is found["mail.format"] is Outcome.PASSED, found


def test_with_a_pop3_server_that_deletes_without_quit_exactly_the_claim_about_its_phases_fails(
    engine: DockerEngine, tmp_path: Path
) -> None:
    found = outcomes(engine, tmp_path, ["mail.pop3", "mail.delivery", "mail.format", "mail.imap"], HASTY)
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == {"mail.pop3"}, found
    assert {found[name] for name in ("mail.delivery", "mail.format", "mail.imap")} == {Outcome.PASSED}, found
