"""Single requests by curl, and what the packets of a step show of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from appbed.analysis import HttpExchange
from appbed.analysis.http_message import HttpMessage
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding, finding

_FIELD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n]*\r\n"
_REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r\n(?:" + _FIELD + rb")*\r\n")
_RESPONSE = re.compile(rb"HTTP/1\.[01] [1-5]\d\d [^\r\n]*\r\n(?:" + _FIELD + rb")*\r\n")


def curl(lab: Lab, record: Recorder, step: str, *arguments: str, replica: str = "www-1") -> str:
    """One step, one curl, whose SITE is this replica; what the answer was is for the packets to say."""
    record.step(step)
    there = f"{SITE}:80:{lab.topology.host(replica).address}"
    get = ("curl", "--silent", "--show-error", "--max-time", "20", "--output", "/dev/null", "--resolve", there)
    return lab.exec("client", *get, *arguments).stdout


def exchanges(evidence: Evidence, step: str, *, point: str = "client", client: str = "client") -> list[HttpExchange]:
    """What `client` asked during a step, as seen at a host."""
    address = evidence.address(client)
    found: list[HttpExchange] = within(evidence.capture.http(f"host:{point}"), evidence.window(step))
    return [each for each in found if each.client.host == address]


def statuses(what: str, expected: Sequence[int], seen: Sequence[HttpExchange]) -> Finding:
    codes = [each.status for each in seen]
    whole = all(each.response and each.response.complete for each in seen)
    return finding(what, _listed(expected), _listed(codes), codes == list(expected) and whole)


def _listed(codes: Sequence[int]) -> str:
    return ", ".join(map(str, codes)) or "none"


def grammar(what: str, messages: Sequence[HttpMessage], kind: str) -> Finding:
    """Start line, header lines, CRLF, as RFC 9112 (section 2.1) has them; read from the bytes of the wire."""
    form = _REQUEST if kind == "request" else _RESPONSE
    sound = [each for each in messages if form.fullmatch(each.stream.read(each.start, each.start + each.head_bytes))]
    return finding(what, len(messages), len(sound), bool(messages) and len(sound) == len(messages))


def responses(seen: Sequence[HttpExchange]) -> list[HttpMessage]:
    return [each.response for each in seen if each.response]
