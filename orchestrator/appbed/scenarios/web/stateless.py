"""HTTP is stateless: the same object asked for twice is sent twice, byte for byte (claim W9)."""

from __future__ import annotations

from typing import Any

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts.asking import curl, exchanges, statuses
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Verdict, finding, judged

PICTURE = "/img/03.jpg"
BYTES = 8941


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"statuses": [200, 200], "body_bytes": 2 * BYTES}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, "www-1", {PICTURE: f"/srv/site{PICTURE}"}))
    url = f"http://{SITE}{PICTURE}"
    curl(lab, record, "twice", url, "--output", "/dev/null", url)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    seen = exchanges(evidence, "twice")
    requests = {each.request.stream.read(each.request.start, each.request.stop) for each in seen}
    sent = sum(each.response.body_bytes for each in seen if each.response)
    return judged(
        [
            statuses("answers", expected["statuses"], seen),
            finding("different requests", 1, len(requests), len(requests) == 1),
            finding("bytes of bodies sent", expected["body_bytes"], sent, sent == expected["body_bytes"]),
            finding("different headers, but for Date", 1, len(_headers(seen)), len(_headers(seen)) == 1),
            same_bytes("bodies equal to the origin's", evidence, seen),
        ]
    )


def _headers(seen: list[HttpExchange]) -> set[tuple[tuple[str, str], ...]]:
    return {
        tuple(header for header in each.response.headers if header[0].lower() != "date")
        for each in seen
        if each.response
    }


SCENARIO = Scenario(
    about="The same object asked for twice is sent twice, byte for byte",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W9",),
    capture=("client",),
    roles=("client", "web"),
    indifferent={"times stretched": "what a server remembers is no time"},
)
