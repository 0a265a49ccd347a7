"""Request messages: request line, header lines, CRLF, body; GET, HEAD, POST, PUT, DELETE (claim W7)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts.asking import curl, exchanges, grammar, responses
from appbed.scenarios.web_parts.digests import digests
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding, Verdict, finding, judged

PAGE, NOTE, TEXT = "/somedir/page.html", "/dav/note.txt", "A note for the server to keep.\n"
CART = "http://www.shop.com/cart"
# step: method, status, body of the request, does the answer have a body?
STEPS: dict[str, tuple[str, int, str, bool]] = {
    "get": ("GET", 200, "", True),
    "head": ("HEAD", 200, "", False),
    "post": ("POST", 303, "product=mug&quantity=1", True),
    "put": ("PUT", 201, TEXT, False),
    "get what was put": ("GET", 200, "", True),
    "delete": ("DELETE", 204, "", False),
    "get what was deleted": ("GET", 404, "", True),
}


def predict(conditions: Conditions) -> dict[str, Any]:
    keys = ("method", "status", "request_body", "answer_has_body")
    return {step: dict(zip(keys, values, strict=True)) for step, values in STEPS.items()}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, "www-1", {PAGE: f"/srv/site{PAGE}"}))
    note = f"http://{SITE}{NOTE}"
    curl(lab, record, "get", f"http://{SITE}{PAGE}")
    curl(lab, record, "head", "--head", f"http://{SITE}{PAGE}")
    curl(lab, record, "post", "--data", STEPS["post"][2], CART)
    curl(lab, record, "put", "--request", "PUT", "--data-binary", TEXT, note)
    curl(lab, record, "get what was put", note)
    curl(lab, record, "delete", "--request", "DELETE", note)
    curl(lab, record, "get what was deleted", note)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    seen = {step: exchanges(evidence, step) for step in expected}
    found = [line for step, each in expected.items() for line in _step(step, each, seen[step])]
    everything = [exchange for some in seen.values() for exchange in some]
    found.append(grammar("requests: line, header lines, CRLF", [each.request for each in everything], "request"))
    found.append(grammar("responses: line, header lines, CRLF", responses(everything), "response"))
    found.append(_got("GET returns the origin's file", seen["get"], evidence.of("origin")[0].data["sha256"][PAGE]))
    found.append(_got("GET returns what PUT sent", seen["get what was put"], hashlib.sha256(TEXT.encode()).hexdigest()))
    return judged(found)


def _step(step: str, expected: dict[str, Any], seen: list[HttpExchange]) -> Iterator[Finding]:
    did = f"{expected['method']}, {expected['status']}"
    shown = "; ".join(f"{each.request.method}, {each.status}" for each in seen) or "nothing"
    yield finding(step, did, shown, shown == did)
    for each in seen:
        body = each.request.body.decode(errors="replace")
        wanted = expected["request_body"]
        yield finding(f"{step}: bytes of the request's body", len(wanted), len(body), body == wanted)
        answered = bool(each.response and each.response.body_bytes)
        has_body = expected["answer_has_body"]
        yield finding(f"{step}: the answer has a body", has_body, answered, answered is has_body)


def _got(what: str, seen: list[HttpExchange], digest: str) -> Finding:
    got = [hashlib.sha256(each.response.body).hexdigest() for each in seen if each.response]
    return finding(what, "equal (SHA-256)", "equal (SHA-256)" if got == [digest] else "different", got == [digest])


SCENARIO = Scenario(
    about="Request messages of every method, parsed from the wire; PUT then GET returns it, DELETE then GET is 404",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W7",),
    capture=("client",),
    roles=("client", "web", "shop"),
)
