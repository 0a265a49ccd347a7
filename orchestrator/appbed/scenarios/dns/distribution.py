"""A set of addresses, turned in each reply, spreads the load over replicas (claim D4)."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from appbed.analysis import Connection, DnsTransaction, HttpExchange
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario, points
from appbed.scenarios.dns_parts.hierarchy import ACCESS, REPLICAS, SITE
from appbed.scenarios.dns_parts.walk import equal, sound
from appbed.verdict import Finding, Verdict, finding, judged

SWEEP = {
    f"{count} queries, {order}": {ACCESS: {"delay": "0ms"}} for count in (300, 1000) for order in ("cyclic", "random")
}
CLIENTS = 60
_PATH = "/somedir/page.html"
_PAGE = f"http://{SITE}{_PATH}"
_SIGMAS = 3.9  # 99.99 %


def predict(conditions: Conditions) -> dict[str, Any]:
    """Least and most often that a replica is first; its share of the clients is by chance, whatever the order at the server."""
    expected = {}
    for point in conditions["sweep"]:
        count = int(point.split()[0])
        share = count / len(REPLICAS)
        expected[point] = {"queries": count, "first": [math.floor(share), math.ceil(share)]}
        if point.endswith("random"):
            expected[point]["first"] = _by_chance(count)
    return {"points": expected, "clients": CLIENTS, "clients_each": _by_chance(CLIENTS), "hosts": list(REPLICAS)}


def _by_chance(count: int) -> list[float]:
    """Bounds of a binomial number with p = 1/replicas."""
    p = 1 / len(REPLICAS)
    band = _SIGMAS * math.sqrt(count * p * (1 - p))
    return [round(count * p - band, 1), round(count * p + band, 1)]


def run(lab: Lab, record: Recorder) -> None:
    server = lab.topology.host("ns-school").address
    for point in points(lab, record):
        record.step(f"{point}: set")
        lab.exec("ns-school", "/appbed/set", f"RRSET_ORDER={point.split()[-1]}")
        record.step(f"{point}: asked")
        question = f"@{server} {SITE} A +noedns +norecurse +tries=1 +timeout=10 +noall +answer\n"
        lab.exec("client", "dig", "-f", "/dev/stdin", stdin=question * int(point.split()[0]))
        record.step(f"{point}: reset")
        lab.reset("ns-school")
    page = lab.exec("www-1", "sha256sum", f"/srv/site{_PATH}").stdout.split()[0]
    record.step("clients", sha256=page)
    get = ("xargs", "-n", "1", "curl", "--ipv4", "--silent", "--max-time", "20", "--output", "/dev/null")
    lab.exec("client", *get, stdin=f"{_PAGE}\n" * CLIENTS, timeout_s=120)
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = list(sound(evidence, ("client",)))
    replicas = {evidence.address(host): host for host in expected["hosts"]}
    for point, wanted in expected["points"].items():
        found += _orders(evidence, point, wanted, replicas)
    opened: list[Connection] = within(evidence.capture.connections("host:client"), evidence.window("clients"))
    served = Counter(replicas.get(each.server.host, "another") for each in opened)
    found.append(equal("connections of the clients", expected["clients"], len(opened)))
    least, most = expected["clients_each"]
    agrees = set(served) == set(replicas.values()) and all(least <= count <= most for count in served.values())
    found.append(finding("clients each replica serves", f"{least:g} to {most:g}", _listed(served), agrees))
    fetched: list[HttpExchange] = within(evidence.capture.http("host:client"), evidence.window("clients"))
    statuses = Counter(each.status for each in fetched)
    found.append(equal("answers to the clients", {200: expected["clients"]}, dict(statuses)))
    page = evidence.step("clients").data["sha256"]
    bodies = [each.response.body for each in fetched if each.response]
    same = sum(hashlib.sha256(body).hexdigest() == page for body in bodies)
    found.append(equal("pages equal to the origin's (SHA-256)", expected["clients"], same))
    return judged(found)


def _orders(evidence: Evidence, point: str, wanted: dict[str, Any], replicas: dict[str, str]) -> Iterator[Finding]:
    seen: list[DnsTransaction] = within(evidence.capture.dns("host:client"), evidence.window(f"{point}: asked"))
    server = evidence.address("ns-school")
    answers = [each.responses[0].answer for each in seen if each.server.host == server and each.responses]
    orders = [[record.value for record in answer if record.type == "A"] for answer in answers]
    whole = sum(sorted(order) == sorted(replicas) for order in orders)
    yield equal(f"{point}: replies with all addresses", wanted["queries"], whole)
    first = Counter(replicas.get(order[0], "another") for order in orders if order)
    least, most = wanted["first"]
    agrees = set(first) == set(replicas.values()) and all(least <= count <= most for count in first.values())
    yield finding(f"{point}: first in the reply", f"{least:g} to {most:g} each", _listed(first), agrees)
    turned = sum(before != after for before, after in pairwise(orders))
    if point.endswith("cyclic"):
        yield equal(f"{point}: replies in another order than the one before", wanted["queries"] - 1, turned)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{host} {count}" for host, count in sorted(counts.items())) or "nobody"


SCENARIO = Scenario(
    about="Load distribution: one name, three addresses, in another order in each reply; each replica serves its share",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D4",),
    sweep=SWEEP,
    short=("300 queries, cyclic", "300 queries, random"),
    capture=("client",),
    roles=("client", "resolver", "authoritative", "web"),
)
