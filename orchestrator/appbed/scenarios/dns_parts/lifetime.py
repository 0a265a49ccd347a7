"""An answer watched while its time to live runs out: remembered until then, and asked for again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from appbed import models
from appbed.analysis import DnsTransaction
from appbed.analysis.dns_message import DnsMessage
from appbed.analysis.dns_plain import DnsRecord
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenarios.dns_parts.hierarchy import SERVERS
from appbed.scenarios.dns_parts.walk import ask, dig, equal, walk
from appbed.verdict import Finding, finding

_WHOLE_S = 1.0
"""A resolver counts the time to live in whole seconds."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A name of a zone whose answer lives `ttl_s`, which the records of one of its sections say."""

    name: str
    zone: str
    ttl_s: int
    section: Callable[[DnsMessage], Sequence[DnsRecord]]

    def predict(self) -> dict[str, Any]:
        way = ("root", "edu", self.zone)
        return {
            "cold": {"messages": models.dns_messages(len(way)), "zones": list(way)},
            "again": {"messages": models.dns_messages(0), "zones": []},
            "ttl_s": self.ttl_s,
            "asked_again": [self.zone],
        }

    def run(self, lab: Lab, record: Recorder) -> None:
        for step in ("cold", "again"):
            ask(lab, record, step, self.name)
        record.step("watched")
        watched_s = self.ttl_s + 3
        began = lab.agent.ask("status")["now"]

        def over() -> bool:
            dig(lab, self.name)
            return float(lab.agent.ask("status")["now"]) - float(began) > watched_s

        lab.until(over, f"{self.name} has been asked for during {watched_s} s", timeout_s=3 * watched_s)
        record.step("after")

    def check(self, evidence: Evidence, right: Callable[[Evidence, DnsMessage], bool]) -> Iterator[Finding]:
        """Counts, the time that is left in each answer, and the moment of the next question; each answer is `right`."""
        expected = evidence.prediction["expected"]
        for step in ("cold", "again"):
            seen = walk(evidence, step)
            yield equal(f"{step}: messages", expected[step]["messages"], seen.messages)
            yield equal(f"{step}: asked by the local server", expected[step]["zones"], list(seen.zones))
        yield from self._falling(evidence, expected["ttl_s"], right)
        yield self._renewed(evidence, expected)

    def _seen(self, evidence: Evidence, point: str, client: str) -> list[DnsTransaction]:
        """What a host asked about the name from the first question on, at a point."""
        window = (evidence.window("cold")[0], evidence.window("watched")[1])
        seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{point}"), window)
        address = evidence.address(client)
        return [each for each in seen if each.client.host == address and each.name == self.name and each.responses]

    def _falling(
        self, evidence: Evidence, ttl_s: int, right: Callable[[Evidence, DnsMessage], bool]
    ) -> Iterator[Finding]:
        """Each answer's TTL is what is left of the one the authoritative server gave."""
        servers = {evidence.address(host) for host in SERVERS[self.zone]}
        given = [each.end_s for each in self._seen(evidence, "dns", "dns") if each.server.host in servers]
        wrong, ttls = [], []
        answered = self._seen(evidence, "client", "client")
        for each in answered:
            since_s = each.end_s - max((at for at in given if at <= each.end_s), default=0.0)
            for record in self.section(each.responses[0]):
                ttls.append(record.ttl_s)
                if abs(ttl_s - since_s - record.ttl_s) > _WHOLE_S + 0.1:
                    wrong.append(f"{record.ttl_s} s after {since_s:.1f} s")
        falls = f"{ttls[0]} s and falling" if ttls and not wrong else "; ".join(wrong[:3]) or "no answer"
        yield finding("TTL in the answers", f"{ttl_s} s and falling", falls, bool(ttls) and not wrong)
        least = min(ttls, default=-1)
        yield finding("seconds of it left, least", "0 or 1", least, least in (0, 1))
        good = [right(evidence, each.responses[0]) for each in answered]
        yield equal("every answer is the server's", True, all(good) and len(ttls) == len(answered))

    def _renewed(self, evidence: Evidence, expected: dict[str, Any]) -> Finding:
        """The authoritative server is asked again when the TTL is over, and not before; nobody else is.

        A question that the local server sends again because the answer is late counts once; it does so within a second.
        """
        ttl_s = expected["ttl_s"]
        (server,) = SERVERS[self.zone]
        asked = self._seen(evidence, server, "dns")
        gaps = [gap for earlier, later in pairwise(asked) if (gap := later.start_s - earlier.end_s) >= _WHOLE_S]
        others = walk(evidence, "watched").zones
        right = len(gaps) == 1 and ttl_s - _WHOLE_S <= gaps[0] <= ttl_s + 2 * _WHOLE_S
        seen = ", ".join(f"{gap:.1f} s" for gap in gaps) or "never"
        agrees = right and list(others) == expected["asked_again"]
        return finding("asked of the authoritative server again, after", f"{ttl_s} s, once", seen, agrees)
