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


def test_a_cache_lists_its_copies_however_many_there_are(internet: Lab) -> None:
    """Squid's own list stopped for ever beyond 16 kB, a dozen copies."""
    proxy, origin = (internet.topology.host(host).address for host in ("proxy", "www-1"))
    internet.reset("proxy")
    lines = "".join(f"{number / 100} http://{origin}/small/01.jpg?{number}\n" for number in range(100))
    internet.exec("client", "/appbed/browse", f"{proxy}:3128", stdin=lines)
    assert len(internet.exec("proxy", "/appbed/remembers").stdout.splitlines()) == 100
    internet.reset("proxy")
    assert internet.exec("proxy", "/appbed/remembers").stdout == ""


def test_a_web_server_shows_whoever_trusts_its_authority_that_it_is_the_one_asked_for(internet: Lab) -> None:
    authority = internet.exec("www-1", "/appbed/authority").stdout
    internet.exec("client", "tee", "/home/client/authority.pem", stdin=authority)

    def status(name: str, *trusting: str) -> int:
        there = ("--resolve", f"{name}:443:{internet.topology.host('www-1').address}")
        get = ("curl", "-s", "-f", "-o", "/dev/null", *there, *trusting)
        return internet.exec("client", *get, f"https://{name}/", check=False).status

    trusting = ("--cacert", "/home/client/authority.pem")
    assert status("www.someschool.edu", *trusting) == 0
    assert status("web.someschool.edu", *trusting) == status("www.someschool.edu") == 60
    kept = internet.exec("www-1", "find", "/srv/tls", "/srv/members", "-perm", "/077").stdout
    assert kept == "", "others could read it"
    internet.reset("client")


def test_no_port_is_published_beyond_this_machine(internet: Lab) -> None:
    shown = subprocess.run(
        ["docker", "ps", "--filter", f"label=org.appbed.instance={internet.name}", "--format", "{{.Names}} {{.Ports}}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line in shown.stdout.splitlines():
        assert "0.0.0.0:" not in line, line
        assert ":::" not in line, line
