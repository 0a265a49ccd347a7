"""A name looked up: by dig at the client, and what the packets show of the local server's walk from the root down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from appbed.analysis import DnsTransaction
from appbed.analysis.dns_plain import DnsRecord
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenarios.dns_parts.hierarchy import SERVERS, by_address
from appbed.verdict import Finding, finding

# Without an extension (EDNS): messages as the textbook has them, every byte of which means something.
_DIG = ("dig", "+tries=1", "+timeout=20", "+noedns")


def dig(lab: Lab, name: str, kind: str = "A", *options: str, host: str = "client") -> str:
    """One question, asked once; the answer's records, one a line."""
    return lab.exec(host, *_DIG, "+noall", "+answer", *options, name, kind).stdout


def ask(lab: Lab, record: Recorder, step: str, name: str, kind: str = "A", *options: str) -> str:
    """A step of its own; what the answer was is for the packets to say."""
    record.step(step)
    return dig(lab, name, kind, *options)


@dataclass(frozen=True, slots=True)
class Walk:
    """The lookups of a window, each query counted once: `asked` by a client, `onward` by the local server; `again` were sent again."""

    asked: tuple[DnsTransaction, ...]
    onward: tuple[DnsTransaction, ...]
    zones: tuple[str, ...]
    again: int

    @property
    def messages(self) -> int:
        return 2 * (len(self.asked) + len(self.onward))

    @property
    def duration_s(self) -> float | None:
        """Of the first question of the client."""
        return self.asked[0].duration_s if self.asked else None

    def addresses(self) -> set[str]:
        """In the answers to the client."""
        return {
            record.value
            for each in self.asked
            if each.response
            for record in each.response.answer
            if record.type == "A"
        }


def walk(evidence: Evidence, step: str, *, local: str = "dns", client: str = "client") -> Walk:
    """What the local server's own interface saw in a step.

    A query lost on the way is sent again, perhaps to another server of the same zone, and one that was late is answered twice:
    the walk is each question once that a zone's servers answered.
    """
    server = evidence.address(local)
    seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{local}"), evidence.window(step))
    answered = [each for each in seen if each.queries and each.responses]
    zones = by_address(evidence)
    asked = tuple(each for each in answered if each.client.host == evidence.address(client))
    first: dict[tuple[str, str, str], DnsTransaction] = {}
    others = [each for each in answered if each.client.host != evidence.address(client)]
    for each in others:
        who = zones.get(each.server.host, each.server.host) if each.client.host == server else f"? {each.client.host}"
        first.setdefault((who, each.name.lower(), each.type), each)
    again = sum(each.retransmissions for each in seen) + len(seen) - len(asked) - len(first)
    return Walk(asked, tuple(first.values()), tuple(zone for zone, *_ in first), again)


def told(evidence: Evidence, step: str, name: str) -> set[str]:
    """The addresses that reached the client in a step, from the local server, for a name (or what it is an alias of)."""
    local, client = evidence.address("dns"), evidence.address("client")
    seen: list[DnsTransaction] = within(evidence.capture.dns("host:client"), evidence.window(step))
    return {
        record.value
        for each in seen
        if each.client.host == client and each.server.host == local and each.name == name and each.response
        for record in each.response.answer
        if record.type == "A"
    }


def sound(evidence: Evidence, points: Sequence[str]) -> Iterator[Finding]:
    """Every DNS message of a capture can be read, and each host's interface saw some."""
    for host in points:
        seen = evidence.capture.dns_messages(f"host:{host}")
        faults = [each.fault for each in seen if each.fault]
        told = faults[0] if faults else f"{len(seen)} messages"
        yield finding(f"messages at {host} that are DNS", "all", told, bool(seen) and not faults)


def at_servers(evidence: Evidence, step: str, captured: Sequence[str], *, local: str = "dns") -> dict[str, int]:
    """How many questions of the local server each zone's servers answered in a step, as their own interfaces saw it."""
    counts: dict[str, int] = {}
    for zone, hosts in SERVERS.items():
        for host in set(hosts) & set(captured):
            seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{host}"), evidence.window(step))
            asked = {
                (each.name.lower(), each.type)
                for each in seen
                if each.client.host == evidence.address(local) and each.responses
            }
            counts[zone] = counts.get(zone, 0) + len(asked)
    return counts


def equal(what: str, expected: object, seen: object) -> Finding:
    """Exactly what was expected."""
    return finding(what, expected, seen, expected == seen)


def at_client(evidence: Evidence, step: str, server: str) -> list[DnsTransaction]:
    """What the client asked a server in a step and had answered, as its own interface saw it."""
    seen: list[DnsTransaction] = within(evidence.capture.dns("host:client"), evidence.window(step))
    ends = evidence.address("client"), evidence.address(server)
    return [each for each in seen if (each.client.host, each.server.host) == ends and each.responses]


def records(each: Sequence[DnsRecord]) -> list[tuple[str, str, str]]:
    """Name, type and value, in order of the alphabet."""
    return sorted((record.name, record.type, record.value) for record in each)
