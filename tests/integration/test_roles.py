"""The role contract on running containers: no powers, reset in place, answering again, ended within a second."""

from __future__ import annotations

import subprocess

import pytest

from appbed.lab import Lab

pytestmark = pytest.mark.docker
NONE = "0000000000000000"
# Postfix starts as root and becomes unprivileged users: SETGID is capability 6, SETUID 7 (images/mail/README.md).
POWERS = {"mail": "00000000000000c0"}
ROOT = {"mail"}


def test_no_host_has_a_capability_or_can_gain_one(internet: Lab) -> None:
    for host in internet.topology.hosts:
        said = internet.exec(host, "cat", "/proc/1/status").stdout
        status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
        powers = {key: status[key] for key in ("CapPrm", "CapEff", "CapBnd")}
        allowed = POWERS.get(internet.topology.host(host).role.name, NONE)
        assert set(powers.values()) == {allowed}, f"{host}: {powers}"
        assert status["NoNewPrivs"] == "1", host


def test_servers_do_not_run_as_root(internet: Lab) -> None:
    for name, host in internet.topology.hosts.items():
        done = internet.exec(name, "sh", "-c", "id -u")
        assert (done.stdout.strip() == "0") == (host.role.name in ROOT), name


def test_reset_leaves_every_server_answering(internet: Lab) -> None:
    internet.reset()
    internet.wait_ready()
    assert internet.exec("client", "dig", "+short", "www.shop.com").stdout.split() == [
        str(internet.topology.host("shop").address)
    ]
    code = internet.exec(
        "client", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-x", f"{internet.topology.host('proxy').address}:3128",
        "http://www.someschool.edu/",
    )  # fmt: skip
    assert code.stdout == "200"


def test_reset_forgets(internet: Lab) -> None:
    proxy = f"{internet.topology.host('proxy').address}:3128"

    def fetched() -> str:
        get = ("curl", "-s", "-o", "/dev/null", "-D", "-", "-x", proxy)
        return internet.exec("client", *get, "http://www.someschool.edu/img/01.jpg").stdout

    internet.reset("proxy")
    assert "MISS" in fetched()
    assert "HIT" in fetched()
    internet.reset("proxy")
    assert "MISS" in fetched()
    internet.exec("client", "curl", "-s", "-o", "/dev/null", "http://www.shop.com/")
    assert internet.exec("shop", "/appbed/visitors").stdout.strip() not in ("", "[]")
    internet.reset("shop")
    assert internet.exec("shop", "/appbed/visitors").stdout.strip() == "[]"


def test_no_port_is_published_beyond_this_machine(internet: Lab) -> None:
    shown = subprocess.run(
        ["docker", "ps", "--filter", f"label=org.appbed.instance={internet.name}", "--format", "{{.Names}} {{.Ports}}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line in shown.stdout.splitlines():
        assert "0.0.0.0:" not in line, line
        assert ":::" not in line, line
