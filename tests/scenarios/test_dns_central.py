"""One central server beside the hierarchy: what the scenario takes for granted, held against the zones and the topology."""

from __future__ import annotations

from pathlib import Path

from appbed import loader, topology
from appbed.scenarios.dns import central, repeated
from appbed.scenarios.dns_parts.hierarchy import SERVERS
from appbed.scenarios.dns_parts.zones import DOMAINS, below, questions, way

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "compose" / "dns-central.yaml"
ZONES = ROOT / "images" / "nameserver" / "zones"


def test_every_domain_has_a_zone_and_the_server_that_the_topology_gives_it() -> None:
    services = loader.load(TOPOLOGY, {}).data["services"]
    for domain, zone in DOMAINS.items():
        assert (ZONES / f"{domain}.zone").is_file()
        assert domain in services[SERVERS[zone][0]]["environment"]["ZONES"].split()


def test_the_central_server_has_every_zone_of_the_hierarchy_and_refers_nobody() -> None:
    services = loader.load(TOPOLOGY, {}).data["services"]
    settings = services["central"]["environment"]
    assert set(settings["ZONES"].split()) == {".", "reverse", *DOMAINS}
    assert settings["MINIMAL_RESPONSES"] == "yes"
    address = str(topology.load(TOPOLOGY, {}).host("central").address)
    assert services["dns-central"]["environment"]["FORWARD_TO"] == address


def test_the_way_to_a_name_is_every_zone_above_it() -> None:
    assert way("gaia.cs.umass.edu") == ("edu", "umass.edu", "cs.umass.edu")
    assert way("hamburger.edu") == ("edu", "hamburger.edu")
    assert way("nosuch.zone") == ()


def test_the_names_that_are_lost_with_a_zone_are_those_below_it() -> None:
    assert below("cs.umass.edu", central.NAMES) == ["gaia.cs.umass.edu"]
    assert below("com", central.NAMES) == ["www.registrar.com", "www.shop.com"]


def test_who_remembers_delegations_asks_the_servers_above_once_for_each_domain() -> None:
    assert questions(["www.someschool.edu"]) == {"root": 1, "edu": 1, "someschool.edu": 1}
    assert questions(["www.someschool.edu", "web.someschool.edu"]) == {"root": 1, "edu": 1, "someschool.edu": 2}
    assert questions(central.NAMES) == {
        "root": 3,
        "edu": 3,
        "com": 2,
        "fr": 1,
        "someschool.edu": 3,
        "umass.edu": 1,
        "cs.umass.edu": 1,
        "hosting": 6,
    }


def test_the_names_asked_for_are_in_their_zones() -> None:
    for name in central.NAMES:
        zone = way(name)[-1]
        label = name.removesuffix(zone).rstrip(".") or "@"
        words = [line.split() for line in (ZONES / f"{zone}.zone").read_text().splitlines()]
        owners = {line[0] for line in words if line and "A" in line}
        assert label in owners or f"*.{label.partition('.')[2]}" in owners, name
    assert f"webmail IN A @NET@.3.{repeated.SECOND_AT}" in (ZONES / "hamburger.edu.zone").read_text()
