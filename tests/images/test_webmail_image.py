"""images/webmail refuses wrong settings; no container needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

WEBMAIL = Path(__file__).parents[2] / "images" / "webmail"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL_DOMAIN", ""),
        ("MAIL_DOMAIN", "crepes"),
        ("MAIL_DOMAIN", "crepes.fr\n"),
        ("IMAP_HOST", "mail.crepes.fr:143"),
        ("SMTP_HOST", "http://mail.crepes.fr"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    environment = {"PATH": os.environ["PATH"], "MAIL_DOMAIN": "crepes.fr", name: value}
    ran = subprocess.run([WEBMAIL / "entrypoint"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 78
    assert ran.stderr.startswith(f"webmail: {name}='{value}' is not possible; choose ")


def test_every_setting_of_roundcube_from_the_environment_is_checked() -> None:
    config, entrypoint = (WEBMAIL / "config.inc.php").read_text(), (WEBMAIL / "entrypoint").read_text()
    names = {part.partition("'")[0] for part in config.split("getenv('")[1:]}
    assert names == {"MAIL_DOMAIN", "IMAP_HOST", "SMTP_HOST", "DES_KEY"}
    assert all(f"${name}" in entrypoint or f"{name}=" in entrypoint for name in names)
