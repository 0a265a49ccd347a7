"""A web cache answers from its copy, else fetches, stores and forwards: four steps (claim W11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed.analysis import Connection, HttpExchange
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts.asking import curl, exchanges, statuses
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding, Verdict, finding, judged

PICTURE = "/img/03.jpg"


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "miss": {"connections": 2, "at_origin": 1, "says": "MISS"},
        "hit": {"connections": 1, "at_origin": 0, "says": "HIT"},
    }


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, "www-1", {PICTURE: f"/srv/site{PICTURE}"}))
    proxy = f"http://{lab.topology.host('proxy').address}:3128"
    for step in ("miss", "hit"):
        curl(lab, record, step, "--proxy", proxy, f"http://{SITE}{PICTURE}")
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    found: list[Finding] = []
    for step, expected in evidence.prediction["expected"].items():
        asked = exchanges(evidence, step, point="proxy", client="client")
        fetched = exchanges(evidence, step, point="proxy", client="proxy")
        opened: list[Connection] = within(evidence.capture.connections("host:proxy"), evidence.window(step))
        found.append(statuses(f"{step}: answer to the client", [200], asked))
        seen = exchanges(evidence, step)
        found.append(same_bytes(f"{step}: what the client got is the origin's", evidence, seen))
        found.append(
            finding(
                f"{step}: TCP connections", expected["connections"], len(opened), len(opened) == expected["connections"]
            )
        )
        found.append(
            finding(
                f"{step}: requests to the origin",
                expected["at_origin"],
                len(fetched),
                len(fetched) == expected["at_origin"],
            )
        )
        said = [(each.response.header("X-Cache") or "").partition(" ")[0] for each in seen if each.response]
        found.append(finding(f"{step}: the cache says", expected["says"], ", ".join(said), said == [expected["says"]]))
        if fetched:
            found += _four_steps(asked, fetched, opened)
            found.append(same_bytes("miss: what the cache got is the origin's", evidence, fetched))
    return judged(found)


def _four_steps(asked: list[HttpExchange], fetched: list[HttpExchange], opened: list[Connection]) -> Iterator[Finding]:
    """The client asks the cache, the cache asks the origin, the origin answers, the cache answers."""
    if not (len(asked) == len(fetched) == 1 and len(opened) == 2 and asked[0].response and fetched[0].response):
        return
    moments = [asked[0].request.end_s, fetched[0].request.start_s, fetched[0].response.start_s, asked[0].end_s]
    first = opened[0].number == asked[0].connection.number and opened[1].number == fetched[0].connection.number
    yield finding("miss: four steps in their order", True, moments == sorted(moments), moments == sorted(moments))
    yield finding("miss: the client's connection, then the cache's own", True, first, first)


SCENARIO = Scenario(
    about="A web cache fetches, stores and forwards what it has no copy of, and answers from its copy afterwards",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W11",),
    capture=("client", "proxy"),
    roles=("client", "proxy", "web"),
)
