"""HTTP pulls and SMTP pushes: who opens the connection, and which way the data flows over it (claim M5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from appbed.analysis import Connection
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import objects, post, seen
from appbed.scenarios.mail_parts.objects import JPEG, ORIGIN
from appbed.scenarios.mail_parts.post import CREPES
from appbed.scenarios.mail_parts.seen import equal
from appbed.scenarios.web_parts.asking import curl
from appbed.scenarios.web_parts.digests import digests
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding, Verdict, judged

OPENED = {
    "HTTP, by the browser": "opened by the one that receives",
    "SMTP, by the user agent": "opened by the one that sends",
    "SMTP, by the sender's server": "opened by the one that sends",
}


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"opened": OPENED, "connections": 1}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, ORIGIN, {JPEG: objects.ROOT + JPEG}))
    record.step("pull")
    curl(lab, record, "pull: get", f"http://{SITE}{JPEG}")
    record.step("push")
    made = post.note("a picture")
    made.add_attachment(objects.fetched(lab, JPEG), maintype="image", subtype="jpeg", filename="07.jpg")
    post.submit(lab, made)
    post.until_bob_has(lab, 1)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    wanted = evidence.of("origin")[0].data["sha256"][JPEG]
    got = [each for each in evidence.capture.http("host:client") if each.client.host == evidence.address("client")]
    handed, pushed = seen.submitted(evidence), seen.pushed(evidence)
    lines = {
        "HTTP, by the browser": [each.connection for each in got],
        "SMTP, by the user agent": [each.connection for each in handed],
        "SMTP, by the sender's server": [each.connection for each in pushed],
    }
    found: list[Finding] = []
    for what, way in expected["opened"].items():
        found.append(equal(f"{what}: connections", expected["connections"], len(lines[what])))
        found += _opened(what, way, lines[what])
    bodies = [seen.digest(each.response.body) for each in got if each.response]
    found.append(equal("the JPEG pulled is the origin's", [wanted], bodies))
    for what, sent in (("handed over", handed), ("pushed", pushed)):
        parts = [part for message in seen.carried(sent) for part in seen.leaves(message.content)]
        pictures = [sha256 for kind, sha256 in parts if kind == "image/jpeg"]
        found.append(equal(f"the JPEG {what} is the origin's", [wanted], pictures))
    found.append(seen.smtp_ruled("SMTP", [*handed, *pushed]))
    return judged(found, {f"bytes {way}": float(count) for way, count in _bytes(lines["HTTP, by the browser"]).items()})


def _opened(what: str, wanted: str, lines: Sequence[Connection]) -> Iterator[Finding]:
    """Who sent the SYN, against which of the two sent more than nine tenths of the bytes."""
    for line in lines:
        sent = _bytes([line])
        whole = sum(sent.values())
        mostly = next((way for way, count in sent.items() if count > 0.9 * whole), "neither")
        told = {"by the client": "opened by the one that sends", "by the server": "opened by the one that receives"}
        yield equal(what, wanted, told.get(mostly, mostly) if line.syn_s is not None else "no SYN")


def _bytes(lines: Sequence[Connection]) -> dict[str, int]:
    """The client of a connection is who opened it."""
    return {
        "by the client": sum(len(line.from_client) for line in lines),
        "by the server": sum(len(line.from_server) for line in lines),
    }


SCENARIO = Scenario(
    about="HTTP pulls: who opens the connection receives. SMTP pushes: who opens it sends",
    topology="internet",
    predict=predict,
    run=run,
    check=check,
    claims=("M5",),
    capture=("client", CREPES),
    roles=("client", "resolver", "web", "mail"),
    indifferent={"times stretched": "who opens and who sends is a direction and no time"},
)
