"""Two registrations of one name at one moment: which of them the top-level domain's server took, by packets and by its zone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenarios.dns_parts.walk import equal
from appbed.verdict import Finding

_UPDATE = 5  # the opcode (RFC 2136)
_BUYERS = (("ns-hosting", "ns-umass-2"), ("ns-umass-2", "ns-hosting"))
"""Each buyer has the same two name servers the other way round, so that the zone tells whose they are."""


def names(first: int, count: int) -> list[str]:
    """Names that no race before the `first` one was about."""
    return [f"race{number}.com" for number in range(first, first + count)]


def run(lab: Lab, record: Recorder, step: str, first: int, count: int) -> None:
    record.step(step)
    with ThreadPoolExecutor(len(_BUYERS)) as pool:
        for name in names(first, count):
            orders = [_order(lab, name, buyer) for buyer in _BUYERS]
            list(pool.map(lambda order: lab.exec("registrar", *order, check=False), orders))
    record.step(f"{step}: asked")
    server = lab.topology.host("tld-com").address
    questions = "".join(f"@{server} {name} NS +noedns +norecurse +noall\n" for name in names(first, count))
    lab.exec("client", "dig", "-f", "/dev/stdin", stdin=questions)


def _order(lab: Lab, name: str, servers: tuple[str, str]) -> list[str]:
    words = ["/appbed/registrar", "register", name]
    for number, host in enumerate(servers, 1):
        words += ["--ns", f"dns{number}.{name}={lab.topology.host(host).address}"]
    return words


def check(evidence: Evidence, step: str, first: int, count: int) -> Iterator[Finding]:
    """Of each name one update is taken and one is not; what the zone has afterwards is what was taken."""
    seen: list[DnsTransaction] = within(evidence.capture.dns("host:registrar"), evidence.window(step))
    updates = [each for each in seen if each.query and each.response and each.query.opcode == _UPDATE]
    said: dict[str, list[str]] = {}
    taken: dict[str, set[str]] = {}
    for each in updates:
        records = each.queries[0].authority
        name = next((record.name for record in records if record.type == "NS"), "?")
        said.setdefault(name, []).append(each.rcode)
        if each.rcode == "NOERROR":
            taken[name] = {f"{record.name} {record.value}" for record in records if record.type == "A"}
    once = sum(sorted(said.get(name, ())) == ["NOERROR", "YXDOMAIN"] for name in names(first, count))
    yield equal(f"{step}: names with one winner and one refusal", count, once)
    asked: list[DnsTransaction] = within(evidence.capture.dns("host:client"), evidence.window(f"{step}: asked"))
    held = {
        each.name: {f"{record.name} {record.value}" for record in each.responses[0].additional}
        for each in asked
        if each.responses
    }
    same = sum(bool(taken.get(name)) and held.get(name) == taken.get(name) for name in names(first, count))
    yield equal(f"{step}: names delegated to the winner's servers", count, same)
