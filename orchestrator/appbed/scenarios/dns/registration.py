"""A registrar has the name's uniqueness verified and enters NS and A of two servers; then web and mail of it work (claim D14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.dns_parts import races
from appbed.scenarios.dns_parts.walk import ask, at_client, equal, records, sound, told
from appbed.scenarios.tour_parts import registration
from appbed.scenarios.tour_parts.registration import NAME, SERVERS, WEB
from appbed.verdict import Finding, Verdict, judged

PRIMARY, SECONDARY = SERVERS.values()
SWEEP = {f"{count} races": {"isp@core": {"loss": "0%"}} for count in (10, 100)}


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "registration": registration.predict(conditions),
        "delegation": SERVERS,
        "key_connections": 1,
        "removed": "NXDOMAIN",
        "races": {point: int(point.split()[0]) for point in conditions["sweep"]},
    }


def run(lab: Lab, record: Recorder) -> None:
    page = lab.exec(WEB, "sha256sum", "/srv/site/index.html").stdout.split()[0]
    record.step("origin", sha256={"/": page})
    registration.run(lab, record)
    tld = f"@{lab.topology.host('tld-com').address}"
    ask(lab, record, "delegation", NAME, "NS", "+norecurse", tld)
    with lab.faults.pause(PRIMARY):
        record.step("primary down: forget")
        lab.reset("dns")
        ask(lab, record, "primary down", f"www.{NAME}")
        record.step("primary back")
    raced = 0
    for point in points(lab, record):
        count = int(point.split()[0])
        races.run(lab, record, f"{point}: run", raced, count)
        raced += count
    record.step("remove")
    lab.exec("registrar", "/appbed/registrar", "remove", NAME)
    ask(lab, record, "removed", NAME, "NS", "+norecurse", tld)
    record.step("reset")
    lab.reset("tld-com", "dns", "dns-hosting")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = [*sound(evidence, ("client", "registrar", SECONDARY))]
    found += registration.check(evidence, expected["registration"])
    asked_key = [each for each in evidence.capture.connections("host:registrar") if each.server.port == 853]
    found.append(
        equal("connections over which the registrar was told its key", expected["key_connections"], len(asked_key))
    )
    found += _delegation(evidence, expected["delegation"])
    found += _secondary(evidence)
    raced = 0
    for point, count in expected["races"].items():
        found += races.check(evidence, f"{point}: run", raced, count)
        raced += count
    removed = [each.rcode for each in at_client(evidence, "removed", "tld-com")]
    found.append(equal("after its removal the top-level domain says", [expected["removed"]], removed))
    return judged(found)


def _delegation(evidence: Evidence, servers: dict[str, str]) -> Iterator[Finding]:
    """What the top-level domain tells now: the name servers, and their addresses."""
    replies = [each.response for each in at_client(evidence, "delegation", "tld-com") if each.response]
    named = sorted((NAME, "NS", server) for server in servers)
    yield equal("name servers in the top-level domain", [named], [records(reply.authority) for reply in replies])
    glue = sorted((server, "A", evidence.address(host)) for server, host in servers.items())
    yield equal("and their addresses", [glue], [records(reply.additional) for reply in replies])


def _secondary(evidence: Evidence) -> Iterator[Finding]:
    """With the primary silent the secondary answers, as an authority."""
    got = told(evidence, "primary down", f"www.{NAME}")
    yield equal("with the primary down, the address", {evidence.address(WEB)}, got)
    seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{SECONDARY}"), evidence.window("primary down"))
    said = {each.response.authoritative for each in seen if each.response and each.name == f"www.{NAME}"}
    yield equal("it comes from the secondary server, with AA", {True}, said)


SCENARIO = Scenario(
    about="A name is registered: unique, with primary and secondary server in the TLD; then its page and its mail work",
    topology="internet",
    predict=predict,
    run=run,
    check=check,
    claims=("D14",),
    sweep=SWEEP,
    short=("10 races",),
    capture=("client", "registrar", SECONDARY),
    roles=("client", "resolver", "tld", "authoritative", "registrar", "web", "mail"),
)
