"""The zones as images/nameserver renders them, held against each other and against the topology; no container needed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import dns.name
import dns.rdatatype
import dns.reversename
import dns.zone
import pytest
from dns.name import Name
from dns.zone import Zone

from appbed import loader, topology

ROOT = Path(__file__).parents[2]
RENDER = ROOT / "images" / "nameserver" / "render"
TEMPLATES = sorted((ROOT / "images" / "nameserver" / "zones").glob("*.zone"))
INTERNET = ROOT / "compose" / "internet.yaml"
ZONES = ["." if file.stem == "root" else file.stem for file in TEMPLATES]
REVERSE = dns.name.from_text("77.10.in-addr.arpa.")


def render(directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "APPBED_NET": "10.77", **settings}
    return subprocess.run(
        ["bash", str(RENDER), str(directory)], env=environment, capture_output=True, text=True, check=False
    )


@cache
def zones() -> dict[Name, Zone]:
    """Every zone there is a template for, by its name."""
    with TemporaryDirectory() as directory:
        done = render(Path(directory), ZONES=" ".join(ZONES))
        assert done.returncode == 0, done.stderr
        names = [dns.name.from_text(name) for name in done.stdout.split()]
        stems = {dns.name.root: "root", REVERSE: "reverse"}
        files = {name: stems.get(name, name.to_text(omit_final_dot=True)) for name in names}
        return {  # from_text refuses a zone without SOA or NS at its top
            name: dns.zone.from_text((Path(directory) / "zones" / f"{stem}.zone").read_text(), name, relativize=False)
            for name, stem in files.items()
        }


def addresses(zone: Zone, name: Name | None = None) -> set[tuple[Name, str]]:
    """(name, address) of the A records in `zone`, of all names or of one."""
    records = {(owner, str(data)) for owner, _, data in zone.iterate_rdatas(dns.rdatatype.A)}
    return {(owner, address) for owner, address in records if name in (None, owner)}


def servers(zone: Zone, name: Name) -> set[Name]:
    found = zone.get_rdataset(name, dns.rdatatype.NS)
    return {data.target for data in found} if found else set()


def delegations() -> Iterator[tuple[Zone, Name]]:
    """(parent zone, delegated name), all of them."""
    for origin, zone in zones().items():
        for owner, _ in zone.iterate_rdatasets(dns.rdatatype.NS):
            if owner != origin:
                yield zone, owner


DELEGATIONS = [pytest.param(parent, name, id=str(name)) for parent, name in delegations()]


pytestmark = pytest.mark.thorough  # each test runs the nameserver's own `render`
UNREGISTERED = {dns.name.from_text("networkutopia.com")}  # served all along, delegated once somebody registers it


def test_every_zone_but_the_root_is_delegated_and_every_delegation_has_its_zone() -> None:
    assert len(zones()) == len(TEMPLATES)
    assert {name for _, name in delegations()} == set(zones()) - {dns.name.root} - UNREGISTERED


@pytest.mark.parametrize(("parent", "name"), DELEGATIONS)
def test_parent_and_child_name_the_same_servers(parent: Zone, name: Name) -> None:
    assert servers(parent, name) == servers(zones()[name], name)


@pytest.mark.parametrize(("parent", "name"), DELEGATIONS)
def test_the_referral_carries_the_address_of_every_server(parent: Zone, name: Name) -> None:
    """An address outside the delegated name is no glue: named leaves it out and each cold lookup costs a message pair more."""
    for server in servers(parent, name):
        assert server.is_subdomain(name)
        assert addresses(parent, server)
        assert addresses(parent, server) == addresses(zones()[name], server)


@pytest.mark.parametrize(("parent", "name"), DELEGATIONS)
def test_the_parent_knows_nothing_else_below_a_delegation(parent: Zone, name: Name) -> None:
    below = {owner for owner in parent.nodes if owner.is_subdomain(name)}
    assert below == {name} | servers(parent, name)


@pytest.mark.parametrize("zone", [pytest.param(zone, id=str(name)) for name, zone in zones().items()])
def test_a_zones_own_servers_have_an_address_in_it(zone: Zone) -> None:
    assert zone.origin is not None
    for server in servers(zone, zone.origin):
        assert addresses(zone, server)


def test_every_address_has_its_name_in_the_reverse_zone_and_nothing_else_has() -> None:
    forward = [zone for name, zone in zones().items() if name not in {REVERSE, *UNREGISTERED}]
    named = {
        (owner, address)
        for zone in forward
        for owner, address in addresses(zone)
        if not owner.is_subdomain(REVERSE) and owner != zone.origin and not owner.is_wild()
    }
    records = zones()[REVERSE].iterate_rdatas(dns.rdatatype.PTR)
    pointers = {(dns.name.from_text(str(data)), owner) for owner, _, data in records}
    assert pointers == {(owner, dns.reversename.from_address(address)) for owner, address in named}


def test_every_address_is_a_hosts() -> None:
    hosts = topology.load(INTERNET, {}).hosts.values()
    assigned = {str(address) for host in hosts for address in host.addresses}
    for name, zone in zones().items():
        for owner, address in addresses(zone):
            assert address in assigned, f"{name}: {owner} is at {address}, where no host of {INTERNET.name} is"


def test_every_server_named_serves_the_zone() -> None:
    """A name server that is not set to serve what is delegated to it would answer REFUSED."""
    services = loader.load(INTERNET, {}).data["services"]
    at = {str(host.address): name for name, host in topology.load(INTERNET, {}).hosts.items()}
    for origin, zone in zones().items():
        for server in servers(zone, origin):
            ((_, address),) = addresses(zone, server)
            environment = services[at[address]]["environment"]
            words = f"{environment.get('ZONES', '')} {environment.get('SECONDARY_ZONES', '')}".split()
            served = {REVERSE if word == "reverse" else dns.name.from_text(word.partition("@")[0]) for word in words}
            assert origin in served, f"{at[address]} does not serve {origin}"


def test_addresses_follow_the_instance(tmp_path: Path) -> None:
    assert render(tmp_path, APPBED_NET="10.201", ZONES=". reverse").returncode == 0
    for file in tmp_path.glob("zones/*.zone"):
        assert "10.77." not in file.read_text()
        assert ".77.10" not in file.read_text()
    assert 'zone "201.10.in-addr.arpa"' in (tmp_path / "named.conf").read_text()


def test_ttl_settings(tmp_path: Path) -> None:
    assert render(tmp_path, ZONES="shop.com", DEFAULT_TTL="10", INFRASTRUCTURE_TTL="600").returncode == 0
    zone = dns.zone.from_file(str(tmp_path / "zones" / "shop.com.zone"), "shop.com.")
    assert [zone.find_rdataset(name, "A").ttl for name in ("ns1", "www")] == [600, 10]


def test_only_what_changed_is_printed(tmp_path: Path) -> None:
    assert render(tmp_path, ZONES=". com").stdout.split() == [".", "com"]
    assert render(tmp_path, ZONES=". com").stdout == ""
    with (tmp_path / "zones" / "com.zone").open("a") as file:
        file.write("evil IN A 10.77.9.9\n")
    assert render(tmp_path, ZONES=". com").stdout == "com\n"


def test_in_the_recursive_chain_every_delegation_is_forwarded(tmp_path: Path) -> None:
    assert render(tmp_path, ZONES="edu", RECURSION="yes").returncode == 0
    configuration = (tmp_path / "named.conf").read_text()
    assert 'zone "umass.edu." { type forward; forward only; forwarders { 10.77.3.31; 10.77.3.39; }; };' in configuration
    assert configuration.count("type forward;") == len(
        [name for parent, name in delegations() if str(parent.origin) == "edu."]
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ZONES", "", "choices for ZONES: com"),
        ("ZONES", "com nowhere.org", "no template for zone 'nowhere.org'"),
        ("SECONDARY_ZONES", "umass.edu", "is not ZONE@ADDRESS"),
        ("SECONDARY_ZONES", "umass.edu@dns", "'dns' is not an IPv4 address"),
        ("TRANSFER_TO", "10.77.3.39 10.77.3.999", "999, choices are 0 to 255"),
        ("RECURSION", "true", "not one of: no yes"),
        ("MINIMAL_RESPONSES", "maybe", "not one of: no yes"),
        ("RRSET_ORDER", "fixed", "not one of: cyclic random none"),
        ("DEFAULT_TTL", "1h", "whole number of seconds"),
        ("APPBED_NET", "10", "two octets"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(tmp_path: Path, name: str, value: str, said: str) -> None:
    settings = {"ZONES": "com", name: value}
    if name == "SECONDARY_ZONES":
        del settings["ZONES"]
    done = render(tmp_path, **settings)
    assert done.returncode == 64
    assert len(done.stderr.splitlines()) == 1
    assert name in done.stderr
    assert said in done.stderr
