"""What the scenarios of names take for granted, held against the topology and the zones; and their instrument."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appbed import loader, models, topology
from appbed.scenarios.dns import caching, hit_rate, mail_alias
from appbed.scenarios.dns_parts import races
from appbed.scenarios.dns_parts.hierarchy import FAR, SERVERS, round_trip_s

ROOT = Path(__file__).parents[2]
DNS = ROOT / "compose" / "dns.yaml"
ZONES = ROOT / "images" / "nameserver" / "zones"
WONDER = ROOT / "images" / "client" / "wonder"


def test_the_servers_of_a_zone_are_those_that_the_topology_has_for_it() -> None:
    services = loader.load(DNS, {}).data["services"]
    for zone, hosts in SERVERS.items():
        for host in hosts:
            environment = services[host]["environment"]
            words = f"{environment.get('ZONES', '')} {environment.get('SECONDARY_ZONES', '')}".split()
            served = {word.partition("@")[0] for word in words}
            assert {"root": ".", "hosting": "hamburger.edu"}.get(zone, zone) in served, host
    assert {host for hosts in SERVERS.values() for host in hosts} == {
        name
        for name, host in topology.load(DNS, {}).hosts.items()
        if host.role.name in ("root", "tld", "authoritative")
    }


def test_the_zones_have_what_the_scenarios_say() -> None:
    school = (ZONES / "someschool.edu.zone").read_text()
    assert f"*.brief {caching.TTL_S} IN A" in school
    assert caching.TTL_S == hit_rate.TTL_S
    hamburger = (ZONES / "hamburger.edu.zone").read_text()
    for number in (mail_alias.WEB_AT, mail_alias.MAIL_AT, mail_alias.HOSTING_AT):
        assert f"@NET@.3.{number}\n" in hamburger


def test_a_round_trip_over_the_access_link_is_its_delay_both_ways_and_the_transmission() -> None:
    (settings,) = FAR.values()
    assert round_trip_s(settings) == pytest.approx(0.15)
    assert round_trip_s({**settings, "rate": "10mbit"}) == pytest.approx(0.15 + 2 * 120 * 8 / 10e6)


def test_the_hit_rate_of_a_cache_with_a_time_to_live() -> None:
    assert models.ttl_hit_rate(0.1, 10) == 0.5
    assert models.ttl_hit_rate(0.4, 10) == pytest.approx(0.8)
    assert models.ttl_hit_rate(0, 10) == 0


def test_names_are_wondered_about_at_random_moments_the_same_for_the_same_seed() -> None:
    wonder: dict[str, Any] = runpy.run_path(str(WONDER))
    groups = [(100, 0.5), (10, 5.0)]
    planned = wonder["moments"]("1", 60.0, "x.edu", groups)
    assert planned == wonder["moments"]("1", 60.0, "x.edu", groups)
    assert planned != wonder["moments"]("2", 60.0, "x.edu", groups)
    for group, (count, rate) in enumerate(groups):
        of_it = [at for at, name in planned if name.split(".")[1] == f"g{group}"]
        assert abs(len(of_it) - count * rate * 60) < 4 * (count * rate * 60) ** 0.5
        assert all(0 < at < 60 for at in of_it)


def test_a_question_is_one_as_rfc_1035_has_it() -> None:
    wonder: dict[str, Any] = runpy.run_path(str(WONDER))
    assert wonder["question"](7, "a.edu") == b"\0\7\1\0\0\1\0\0\0\0\0\0\1a\3edu\0\0\1\0\1"


def test_wondering_about_nothing_is_refused() -> None:
    done = subprocess.run([sys.executable, str(WONDER), "1"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1


def test_races_are_about_names_that_no_race_before_was_about() -> None:
    assert races.names(0, 2) == ["race0.com", "race1.com"]
    assert not set(races.names(0, 10)) & set(races.names(10, 100))
