"""Cookies: Set-Cookie, Cookie, the user's cookie file, the site's database (claim W10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts.asking import curl, exchanges, statuses
from appbed.verdict import Finding, Verdict, finding, judged

SHOP, LOOKED_AT = "http://www.shop.com", "kettle"
FIRST_VISITOR = 1678
"""FIRST_VISITOR of images/shop where nothing else is set; the textbook's number."""
# step: whose browser, path
STEPS = {
    "first visit": ("ann", "/"),
    "looks at a product": ("ann", f"/product/{LOOKED_AT}"),
    "comes back": ("ann", "/"),
    "another browser": ("bob", "/"),
}


def predict(conditions: Conditions) -> dict[str, Any]:
    numbers = {"ann": FIRST_VISITOR, "bob": FIRST_VISITOR + 1}
    seen: set[str] = set()
    steps = {}
    for step, (who, _) in STEPS.items():
        cookie = f"visitor={numbers[who]}"
        steps[step] = {"sends": cookie if who in seen else None, "is_given": None if who in seen else cookie}
        seen.add(who)
    rows = {"ann": (numbers["ann"], 3, [LOOKED_AT]), "bob": (numbers["bob"], 1, [])}
    return {"steps": steps, "rows": rows, "recommended_because_of": LOOKED_AT}


def run(lab: Lab, record: Recorder) -> None:
    for step, (who, path) in STEPS.items():
        jar = f"/home/client/{who}.cookies"
        curl(lab, record, step, "--cookie", jar, "--cookie-jar", jar, SHOP + path)
    for who in ("ann", "bob"):
        record.event("cookie file", who=who, text=lab.exec("client", "cat", f"/home/client/{who}.cookies").stdout)
    record.event("database", visitors=json.loads(lab.exec("shop", "/appbed/visitors").stdout))


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found: list[Finding] = []
    for step, cookies in expected["steps"].items():
        seen = exchanges(evidence, step)
        found.append(statuses(step, [200], seen))
        found += _cookies(step, cookies, seen)
    found += _memory(evidence, expected["rows"])
    because = expected["recommended_because_of"]
    body = b"".join(each.response.body for each in exchanges(evidence, "comes back") if each.response)
    mentioned = f'data-because="{because}"'.encode() in body
    found.append(finding("recommends because of", because, because if mentioned else "nothing", mentioned))
    return judged(found)


def _cookies(step: str, expected: dict[str, Any], seen: list[HttpExchange]) -> Iterator[Finding]:
    sent = [each.request.header("Cookie") for each in seen]
    yield finding(f"{step}: Cookie", expected["sends"], "; ".join(map(str, sent)), sent == [expected["sends"]])
    given = [each.response.header("Set-Cookie") if each.response else None for each in seen]
    numbers = [value.partition(";")[0] if value else None for value in given]
    shown = "; ".join(map(str, numbers))
    yield finding(f"{step}: Set-Cookie", expected["is_given"], shown, numbers == [expected["is_given"]])


def _memory(evidence: Evidence, rows: dict[str, Any]) -> Iterator[Finding]:
    """What the browsers' files and the site's database hold afterwards."""
    kept = {event.data["who"]: event.data["text"].split() for event in evidence.of("cookie file")}
    for who, (number, *_) in rows.items():
        holds = "visitor" in kept[who] and str(number) in kept[who]
        yield finding(f"{who}'s cookie file", f"visitor {number}", f"visitor {number}" if holds else "another", holds)
    found = [
        [row["id"], row["requests"], [each["product"] for each in row["looked_at"]]]
        for row in evidence.of("database")[0].data["visitors"]
    ]
    wanted = [list(row) for row in rows.values()]
    yield finding("database: number, requests, looked at", wanted, found, sorted(found) == sorted(wanted))


SCENARIO = Scenario(
    about="A site knows its visitors by cookies: the first answer gives a number, later requests carry it, the database remembers",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W10",),
    capture=("client",),
    roles=("client", "shop"),
    indifferent={
        "one reply changed": "the end of a page says nothing of cookies: they are in the headers, and what is recommended is before"
    },
)
