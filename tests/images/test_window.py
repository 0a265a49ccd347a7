"""images/window: the configuration its entrypoint writes, and its refusal of wrong settings; no container needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[2] / "images" / "window" / "entrypoint"


def render(directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs the entrypoint with a stand-in for HAProxy."""
    proxy = directory / "haproxy"
    proxy.write_text("#!/bin/sh\n")
    proxy.chmod(0o755)
    environment = {"PATH": f"{directory}:{os.environ['PATH']}", "APPBED_NET": "10.201", **settings}
    return subprocess.run(
        ["bash", str(ENTRYPOINT), str(directory)], env=environment, capture_output=True, text=True, check=False
    )


def test_each_page_has_its_port_and_its_name(tmp_path: Path) -> None:
    done = render(tmp_path, PAGES="8081=www.shop.com 8084=www.someschool.edu")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "haproxy.cfg").read_text()
    assert written.count("\n  bind :808") == 2
    assert "http-request set-header Host www.shop.com\n" in written
    assert "http-request do-resolve(txn.address,lab,ipv4) str(www.someschool.edu)\n" in written
    assert "nameserver dns 10.201.1.53:53\n" in written


def test_only_addresses_of_the_lab_are_connected_to(tmp_path: Path) -> None:
    assert render(tmp_path, PAGES="8081=www.shop.com").returncode == 0
    written = (tmp_path / "haproxy.cfg").read_text()
    guard = "if { var(txn.address) -m ip 10.201.254.0/24 } or !{ var(txn.address) -m ip 10.201.0.0/16 }"
    assert guard in written
    assert written.index(guard) < written.index("http-request set-dst ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAGES", ""),
        ("PAGES", "www.shop.com"),
        ("PAGES", "80=www.shop.com"),
        ("PAGES", "70000=www.shop.com"),
        ("PAGES", "8081=shop"),
        ("PAGES", "8081=www.shop.com/x"),
        ("PAGES", "8081=www.shop.com 8081=www.someschool.edu"),
        ("DNS_SERVER", "dns"),
        ("DNS_SERVER", "10.77.1.256"),
        ("BROWSER_NET", "10.77.254.0"),
        ("APPBED_NET", "10"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    done = render(tmp_path, **{"PAGES": "8081=www.shop.com", name: value})
    assert done.returncode == 64
    assert done.stderr.startswith(f"window: {name}='")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "haproxy.cfg").exists()
