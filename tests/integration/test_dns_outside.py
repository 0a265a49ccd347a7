"""The lab's names as others judge them: dnsviz the zones, Unbound, BIND and Knot Resolver each other's answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appbed.analysis import Capture
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab

from .conftest import TOPOLOGIES

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
LOCALS = ("dns", "dns-bind", "dns-knot")
ASKED = [
    *(
        (name, "A")
        for name in (
            "www.someschool.edu",
            "web.someschool.edu",
            "one.brief.someschool.edu",
            "tracker.someschool.edu",
            "gaia.cs.umass.edu",
            "dns2.umass.edu",
            "hamburger.edu",
            "mail.hamburger.edu",
            "www.shop.com",
            "www.registrar.com",
            "mail.crepes.fr",
            "a.root-servers.net",
        )
    ),
    ("hamburger.edu", "MX"),
    ("crepes.fr", "MX"),
    ("umass.edu", "NS"),
    ("web.someschool.edu", "CNAME"),
    ("www.shop.com", "MX"),  # exists, and has none
    ("nosuch.someschool.edu", "A"),
    ("networkutopia.com", "A"),  # not registered
    ("www.school.nosuch", "A"),
]
PRIVATE = "private IP address space"  # which a lab's are
ZONES = (
    ".",
    "com",
    "edu",
    "fr",
    "someschool.edu",
    "umass.edu",
    "cs.umass.edu",
    "hamburger.edu",
    "shop.com",
    "registrar.com",
    "crepes.fr",
)


@pytest.fixture(scope="module")
def resolvers(engine: DockerEngine) -> Iterator[Lab]:
    """The hierarchy, with local servers of three makers."""
    _build(TOPOLOGIES / "knot-resolver", f"appbed/knot-resolver:{os.environ.get('APPBED_TAG', 'dev')}")
    with Lab.up(TOPOLOGIES / "resolvers.yaml", engine, name=f"test-resolvers-{os.getpid()}") as lab:
        yield lab


def _build(folder: Path, image: str) -> None:
    """The one image that no role has; as `appbed setup` builds the others, also by an engine without a default bridge."""
    networks = subprocess.run(
        ["docker", "network", "ls", "--format", "{{.Name}}"], capture_output=True, text=True, check=True
    )
    way_out = [] if "bridge" in networks.stdout.split() else ["--network=host"]
    argv = ["docker", "build", "--quiet", "--force-rm", *way_out, "--tag", image, str(folder)]
    built = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


# ---- three local servers


def _told(lab: Lab, server: str, file: Path) -> dict[tuple[str, str], tuple[str, list[tuple[str, str, str]]]]:
    """What a local server answers to each question, as the packets have it: the code, and the records in order."""
    address = str(lab.topology.host(server).address)
    lines = "".join(f"@{address} {name} {kind} +tries=1 +timeout=20 +noall\n" for name, kind in ASKED)
    with lab.capture(file, "client"):
        lab.exec("client", "dig", "-f", "/dev/stdin", stdin=lines)
    seen = [each for each in Capture.open(file).dns("host:client") if each.server.host == address and each.response]
    return {
        (each.name, each.type): (each.rcode, sorted((r.name, r.type, r.value) for r in each.responses[0].answer))
        for each in seen
    }


def test_unbound_bind_and_knot_resolver_resolve_the_same_names_alike(resolvers: Lab, tmp_path: Path) -> None:
    assert len(ASKED) == len(set(ASKED)) == 20
    unbound, bind, knot = (_told(resolvers, server, tmp_path / f"{server}.pcapng") for server in LOCALS)
    assert set(unbound) == set(ASKED)
    assert bind == unbound
    assert knot == unbound
    replicas = sorted(str(resolvers.topology.host(f"www-{number}").address) for number in (1, 2, 3))
    code, records = unbound["www.someschool.edu", "A"]
    assert (code, [value for _, _, value in records]) == ("NOERROR", replicas)
    assert unbound["nosuch.someschool.edu", "A"] == unbound["www.school.nosuch", "A"] == ("NXDOMAIN", [])
    assert unbound["www.shop.com", "MX"] == ("NOERROR", [])
    assert not [each for each, (code, records) in unbound.items() if code == "NOERROR" and not records][1:]


# ---- dnsviz


def _first_process(lab: Lab, host: str) -> str:
    argv = ["docker", "ps", "--quiet", "--no-trunc", "--filter", f"label=org.appbed.instance={lab.name}"]
    argv += ["--filter", f"label=com.docker.compose.service={host}"]
    (container,) = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", container]
    return subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()


def _said(judged: Any, place: str = "") -> Iterator[str]:
    """Every error and warning in what `dnsviz grok` says, with its place."""
    if isinstance(judged, dict):
        for key, value in judged.items():
            if key in ("error", "errors", "warning", "warnings"):
                yield from (f"{place}: {key.removesuffix('s')}: {each.get('description', each)}" for each in value)
            else:
                yield from _said(value, f"{place}/{key}")
    elif isinstance(judged, list):
        for value in judged:
            yield from _said(value, place)


def _judgement(lab: Lab, names: tuple[str, ...], to: Path) -> list[str]:
    """dnsviz asks every server of every zone on the way, from the client's place in the network; errors and warnings."""
    if shutil.which("dnsviz") is None:
        pytest.skip("dnsviz is not installed: install it to have the zones judged (Debian: apt-get install dnsviz)")
    if os.geteuid() != 0:
        pytest.skip("dnsviz has to look from inside the lab's network: run this test as root")
    roots = ",".join(f"{letter}.root-servers.net={lab.topology.host(f'root-{letter}').address}" for letter in "ab")
    inside = ("nsenter", f"--net=/proc/{_first_process(lab, 'client')}/ns/net")
    probed, judged = to / "probed.json", to / "judged.json"
    probe = ["dnsviz", "probe", "-d", "0", "-4", "-A", "-a", ".", "-x", f".:{roots}", "-o", str(probed), *names]
    subprocess.run([*inside, *probe], capture_output=True, text=True, check=True)
    subprocess.run(["dnsviz", "grok", "-l", "warning", "-r", str(probed), "-o", str(judged)], check=True)
    assert set(json.loads(probed.read_text())) >= {name if name == "." else f"{name}." for name in names}
    return list(_said(json.loads(judged.read_text())))


def test_dnsviz_finds_nothing_wrong_with_any_zone(resolvers: Lab, tmp_path: Path) -> None:
    """But that all addresses are private ones, of which it tells once for each zone and once for each delegation."""
    said = _judgement(resolvers, ZONES, tmp_path)
    assert [line for line in said if PRIVATE not in line] == []
    told = sorted(line.split(".:")[0].split("./")[0] for line in said)
    assert told == sorted(2 * [f"/{name}" for name in ZONES if name != "."])


def test_dnsviz_finds_a_delegation_that_its_zone_contradicts(resolvers: Lab, tmp_path: Path) -> None:
    """The parent names a second server, which the zone does not name and which does not serve it."""
    file = "/run/named/zones/com.zone"
    resolvers.exec("tld-com", "rndc", "-k", "/run/named/rndc.key", "freeze", "com")
    try:
        net = str(resolvers.topology.host("tld-com").address).rsplit(".", 2)[0]
        resolvers.exec("tld-com", "tee", "-a", file, stdin=f"shop IN NS ns2.shop\nns2.shop IN A {net}.3.32\n")
        resolvers.exec("tld-com", "rndc", "-k", "/run/named/rndc.key", "thaw", "com")
        said = _judgement(resolvers, ("shop.com",), tmp_path)
    finally:
        resolvers.reset("tld-com")
    assert any("/shop.com." in line and "ns2.shop.com" in line for line in said if PRIVATE not in line), said
