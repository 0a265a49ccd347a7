"""Response messages: status line, header lines, body; 200, 301, 400, 404, 505, each by a real request (claim W8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts.asking import curl, exchanges, grammar, responses, statuses
from appbed.scenarios.web_parts.digests import digests
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding, Verdict, finding, judged

ANSWERS = {"found": [200], "moved": [301, 200], "no host": [400], "not there": [404], "version 2.0": [505]}
HEADERS = ("Connection", "Date", "Server", "Content-Length", "Content-Type")


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"statuses": ANSWERS, "headers": HEADERS, "location": f"http://{SITE}/"}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, "www-1", {"/": "/srv/site/index.html"}))
    curl(lab, record, "found", f"http://{SITE}/")
    curl(lab, record, "moved", "--location", f"http://{SITE}/old")
    curl(lab, record, "no host", "--header", "Host:", f"http://{SITE}/")
    curl(lab, record, "not there", f"http://{SITE}/nothing")
    record.step("version 2.0")
    address = str(lab.topology.host("www-1").address)
    lab.exec("client", "/appbed/say", address, "80", stdin=f"GET / HTTP/2.0\r\nHost: {SITE}\r\n\r\n")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    seen = {step: exchanges(evidence, step) for step in expected["statuses"]}
    found = [statuses(step, codes, seen[step]) for step, codes in expected["statuses"].items()]
    everything = [exchange for some in seen.values() for exchange in some]
    found.append(grammar("responses: status line, header lines, CRLF", responses(everything), "response"))
    found += _headers(expected["headers"], everything)
    found += _moved(expected["location"], seen["moved"])
    dated = [each for each in seen["found"] if each.response and each.response.header("Last-Modified")]
    found.append(finding("200: Last-Modified", 1, len(dated), len(dated) == 1))
    wanted = evidence.of("origin")[0].data["sha256"]["/"]
    bodies = [each.response.body for each in everything if each.response and each.status == 200]
    same = sum(hashlib.sha256(body).hexdigest() == wanted for body in bodies)
    found.append(finding("200: body equal to the origin's", 2, same, same == 2))
    return judged(found)


def _headers(names: list[str], seen: list[HttpExchange]) -> Iterator[Finding]:
    for name in names:
        having = [each for each in seen if each.response and each.response.header(name)]
        yield finding(f"header {name}", len(seen), len(having), len(having) == len(seen))
    counted = [each for each in responses(seen) if each.header("Content-Length") == str(each.body_bytes)]
    yield finding("Content-Length is the length of the body", len(seen), len(counted), len(counted) == len(seen))


def _moved(location: str, seen: list[HttpExchange]) -> Iterator[Finding]:
    said = seen[0].response.header("Location") if seen and seen[0].response else None
    yield finding("301: Location", location, said, said == location)
    then = seen[1].request.url if len(seen) > 1 else None
    yield finding("301: asked next", location, then, then == location)


SCENARIO = Scenario(
    about="Response messages with each status code, parsed from the wire; 301 is followed to its Location",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W8",),
    capture=("client",),
    roles=("client", "web"),
)
