"""A reply that does not fit into a datagram comes cut short (TC), and is asked for again over TCP (claim D13; RFC 1035, 7766)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.walk import ask, at_client, dig, equal, records, sound
from appbed.verdict import Finding, Verdict, finding, judged

NAME, ZONE = "many.someschool.edu", "someschool.edu"
ADDRESSES = 100
"""16 bytes each: more than fits into what the local server (1232 bytes, EDNS) or a client without EDNS (512) takes in a datagram."""
_FILE = f"/run/named/zones/{ZONE}.zone"
_RELOAD = ("rndc", "-k", "/run/named/rndc.key", "reload", ZONE)
HOPS = {"client": ("client", "dns", 512), "local server": ("dns", "ns-school", 1232)}
"""Who asks whom, and the largest datagram that it says it takes."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"transports": ["udp", "tcp"], "truncated": [True, False], "addresses": ADDRESSES}


def run(lab: Lab, record: Recorder) -> None:
    record.step("zone")
    lines = "".join(f"many IN A {address}\n" for address in _addresses(str(lab.topology.host("ns-school").address)))
    lab.exec("ns-school", "tee", "-a", _FILE, stdin=lines)
    lab.exec("ns-school", *_RELOAD)
    server = f"@{lab.topology.host('ns-school').address}"
    lab.until(lambda: bool(dig(lab, NAME, "A", "+tcp", server)), "the server has the name", timeout_s=10)
    ask(lab, record, "asked", NAME)
    record.step("reset")
    lab.reset("ns-school", "dns")


def _addresses(near: str) -> list[str]:
    """In the network of the name server, where no host is: they are only told."""
    network = near.rpartition(".")[0]
    return [f"{network}.{number}" for number in range(101, 101 + ADDRESSES)]


def check(evidence: Evidence) -> Verdict:
    found = list(sound(evidence, ("client", "dns")))
    zone = [len(each.responses[0].answer) for each in at_client(evidence, "zone", "ns-school")]
    found.append(equal("addresses that the zone's own server has", ADDRESSES, max(zone, default=0)))
    for who, (client, server, most) in HOPS.items():
        found += _hop(evidence, who, client, server, most)
    return judged(found)


def _hop(evidence: Evidence, who: str, client: str, server: str, most: int) -> Iterator[Finding]:
    """First over UDP, cut short to what the asker takes, then over TCP, whole."""
    expected = evidence.prediction["expected"]
    seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{client}"), evidence.window("asked"))
    ends = evidence.address(client), evidence.address(server)
    asked = [each for each in seen if (each.client.host, each.server.host) == ends and each.name == NAME]
    replies = [each.responses[0] for each in asked if each.responses]
    yield equal(f"{who}: asks over", expected["transports"], [each.transport for each in asked])
    yield equal(f"{who}: is told that the reply is cut short", expected["truncated"], [r.truncated for r in replies])
    if len(replies) != len(expected["transports"]):
        return
    small, whole = (len(each.wire) for each in replies)
    yield finding(f"{who}: bytes over UDP", f"{most} at most", small, small <= most)
    yield finding(f"{who}: bytes over TCP", f"more than {most}", whole, whole > most)
    wanted = sorted((NAME, "A", address) for address in _addresses(evidence.address("ns-school")))
    got = records(replies[1].answer)
    yield finding(f"{who}: addresses over TCP", expected["addresses"], len(got), got == wanted)
    inside = [each.connection is not None and each.connection.start_s <= each.start_s for each in asked[1:]]
    yield equal(f"{who}: in a connection of its own", [True], inside)


SCENARIO = Scenario(
    about="A reply too large for a datagram comes cut short, with the flag TC, and is asked for again over TCP",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D13",),
    capture=("client", "dns"),
    roles=("client", "resolver", "authoritative"),
)
