"""images/proxy refuses wrong settings; no container needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROXY = Path(__file__).parents[2] / "images" / "proxy"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APPBED_NET", ""),
        ("APPBED_NET", "10.300"),
        ("CACHE", "maybe"),
        ("REVALIDATE", "never"),
        ("FRESH_MINUTES", "1h"),
        ("DNS_SECONDS", "0"),
        ("PERSISTENT_ORIGIN", "yes"),
        ("VISIBLE_NAME", "a b"),
        ("DNS_SERVER", "dns"),
        ("CLIENTS", "10.0.0.0/33"),
        ("CLIENTS", "all\nhttp_access allow all"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    environment = {"PATH": os.environ["PATH"], "APPBED_NET": "10.77", name: value}
    ran = subprocess.run([PROXY / "entrypoint"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 78
    assert ran.stderr.startswith(f"proxy: {name}='{value}' is not possible; choose ")


def test_the_template_has_no_setting_that_the_entrypoint_does_not_render() -> None:
    template, entrypoint = (PROXY / "squid.conf.template").read_text(), (PROXY / "entrypoint").read_text()
    settings = {word for line in template.splitlines() if not line.startswith("#") for word in line.split("@")[1::2]}
    assert settings
    assert all(f"@{setting}@" in entrypoint for setting in settings)
