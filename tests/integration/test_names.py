"""Every name comes from the lab's own DNS, from the root down; nothing from 127.0.0.11 or /etc/hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.analysis import Capture
from appbed.lab import Lab

pytestmark = pytest.mark.docker
NAMES = {
    "www.someschool.edu": {"www-1", "www-2", "www-3"},
    "www.shop.com": {"shop"},
    "gaia.cs.umass.edu": {"ns-cs"},
    "dns.umass.edu": {"ns-umass"},
    "ns1.shop.com": {"ns-hosting"},
    "a.root-servers.net": {"root-a"},
}


def _addresses(lab: Lab, hosts: set[str]) -> set[str]:
    return {str(lab.topology.host(host).address) for host in hosts}


@pytest.mark.parametrize("name", NAMES)
def test_names_resolve_to_hosts_of_the_topology(internet: Lab, name: str) -> None:
    for client in ("client", "client-2", "proxy"):
        said = internet.exec(client, "getent", "ahostsv4", name).stdout
        assert {line.split()[0] for line in said.splitlines()} == _addresses(internet, NAMES[name])


def test_addresses_have_names(internet: Lab) -> None:
    for name, hosts in NAMES.items():
        for address in _addresses(internet, hosts):
            said = internet.exec("client", "dig", "+short", "-x", address).stdout.split()
            assert said, f"{address} ({name}) has no PTR record"
            back = internet.exec(
                "client", "dig", "+short", *[word for name in said for word in (name, "A")]
            ).stdout.split()
            assert address in back


@pytest.mark.parametrize("name", ["root-a", "shop", "client-2", "www-1", "test-internet-shop-1"])
def test_the_engines_own_names_are_unknown(internet: Lab, name: str) -> None:
    assert internet.exec("client", "getent", "ahostsv4", name, check=False).status == 2


def test_questions_go_to_the_local_server_and_from_there_to_the_hierarchy(internet: Lab, tmp_path: Path) -> None:
    internet.reset("dns")
    with internet.capture(tmp_path / "names.pcapng", "client", "dns"):
        internet.exec("client", "getent", "ahostsv4", "gaia.cs.umass.edu")
    capture = Capture.open(tmp_path / "names.pcapng")
    local = str(internet.topology.host("dns").address)
    assert {each.server.host for each in capture.dns("host:client")} == {local}
    asked = [each.server.host for each in capture.dns("host:dns") if each.client.host == local]
    order = ["root-a", "root-b"], ["tld-edu"], ["ns-umass", "ns-umass-2"], ["ns-cs"]
    assert len(asked) == len(order)
    for address, hosts in zip(asked, order, strict=True):
        assert address in _addresses(internet, set(hosts))
