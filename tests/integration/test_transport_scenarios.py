"""The scenarios of transport services, for real, in their short forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from .short_forms import all_pass

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]


def test_every_claim_of_transport_services_passes_in_its_short_form(tmp_path: Path) -> None:
    all_pass("transport", tmp_path)
