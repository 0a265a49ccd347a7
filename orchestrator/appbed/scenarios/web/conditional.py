"""Conditional GET, by a browser and by the cache: 304 without a body when unchanged, else 200 with the new one (claim W13)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts.asking import curl, exchanges, statuses
from appbed.scenarios.web_parts.digests import digests
from appbed.scenarios.web_parts.site import REPLICAS, SITE
from appbed.verdict import Finding, Verdict, finding, judged

# Who asks for which picture: a change made for one must not be seen by the other.
PICTURES = {"browser": "/img/03.jpg", "cache": "/img/04.jpg"}
BYTES = {"browser": 8941, "cache": 8423}
SHIPPED, CHANGED = "Tue, 18 Aug 2015 15:11:03 GMT", "Mon, 01 Jan 2024 00:00:00 GMT"
_SINCE = ("--header", f"If-Modified-Since: {SHIPPED}")
_RELOAD = ("--header", "Cache-Control: max-age=0")


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        who: {"statuses": {"first": 200, "unchanged": 304, "changed": 200}, "saved_bytes": size}
        for who, size in BYTES.items()
    }


def run(lab: Lab, record: Recorder) -> None:
    files = {path: f"/srv/site{path}" for path in PICTURES.values()}
    record.event("origin", sha256=digests(lab, "www-1", files))
    proxy = ("--proxy", f"http://{lab.topology.host('proxy').address}:3128")
    for who, always, again in (("browser", (), _SINCE), ("cache", proxy, _RELOAD)):
        path = PICTURES[who]
        url = f"http://{SITE}{path}"
        curl(lab, record, f"{who}: first", *always, url)
        curl(lab, record, f"{who}: unchanged", *always, *again, url)
        record.step(f"{who}: the origin changes it")
        for replica in REPLICAS:
            made = json.loads(lab.exec(replica, "/appbed/change", path, CHANGED).stdout)
        record.event("changed", who=who, sha256=made["sha256"])
        curl(lab, record, f"{who}: changed", *always, *again, url)


def check(evidence: Evidence) -> Verdict:
    changed = {event.data["who"]: event.data["sha256"] for event in evidence.of("changed")}
    origin = evidence.of("origin")[0].data["sha256"]
    found: list[Finding] = []
    for who, expected in evidence.prediction["expected"].items():
        host = "client" if who == "browser" else "proxy"
        seen = {step: exchanges(evidence, f"{who}: {step}", point=host, client=host) for step in expected["statuses"]}
        for step, status in expected["statuses"].items():
            found.append(statuses(f"{who}: {step}", [status], seen[step]))
        found += _conditions(who, seen)
        found.append(_body(f"{who}: first body is the origin's", seen["first"], origin[PICTURES[who]]))
        found.append(_body(f"{who}: new body is the origin's", seen["changed"], changed[who]))
        for step, digest in (("first", origin[PICTURES[who]]), ("unchanged", None), ("changed", changed[who])):
            if digest or who == "cache":  # whatever the cache did to know it, its client gets the object
                got = exchanges(evidence, f"{who}: {step}")
                found.append(_body(f"{who}: {step}: what the client got", got, digest or origin[PICTURES[who]]))
        sizes = {step: sum(each.body_bytes for one in some if (each := one.response)) for step, some in seen.items()}
        saved = sizes["first"] - sizes["unchanged"]
        found.append(
            finding(f"{who}: bytes saved by a 304", expected["saved_bytes"], saved, saved == expected["saved_bytes"])
        )
    return judged(found)


def _conditions(who: str, seen: dict[str, list[HttpExchange]]) -> Iterator[Finding]:
    for step, wanted in (("first", None), ("unchanged", SHIPPED), ("changed", SHIPPED)):
        said = [each.request.header("If-Modified-Since") for each in seen[step]]
        yield finding(f"{who}: {step}: If-Modified-Since", wanted, "; ".join(map(str, said)), said == [wanted])


def _body(what: str, seen: list[HttpExchange], digest: str) -> Finding:
    got = [hashlib.sha256(each.response.body).hexdigest() for each in seen if each.response]
    return finding(what, "equal (SHA-256)", "equal (SHA-256)" if got == [digest] else "different", got == [digest])


SCENARIO = Scenario(
    about="Conditional GET by a browser and by the cache: 304 without a body, or 200 with the new one",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W13",),
    capture=("client", "proxy"),
    roles=("client", "proxy", "web"),
)
