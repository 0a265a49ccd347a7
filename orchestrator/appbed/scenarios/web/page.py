"""A page is a base HTML file plus objects, each named by a URL = host + path (claim W1)."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.asking import grammar, responses, statuses
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.scenarios.web_parts.loading import Loaded
from appbed.scenarios.web_parts.site import HOME, REPLICAS, SITE
from appbed.verdict import Verdict, finding, judged

OBJECTS = len(HOME.objects)


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"requests": 1 + OBJECTS, "types": {"text/html": 1, "image/jpeg": OBJECTS}}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, REPLICAS[0], HOME.files(OBJECTS)))
    record.step("page")
    loading.load(lab, record, f"http://{SITE}/")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    asked = Loaded(evidence, evidence.of("load")[0]).exchanges
    named = _Named(asked[0].response.body if asked and asked[0].response else b"")
    urls = [each.request.url for each in asked]
    types: dict[str, int] = {}
    for each in asked:
        kind = (each.response.header("Content-Type") or "") if each.response else ""
        types[kind.partition(";")[0]] = types.get(kind.partition(";")[0], 0) + 1
    return judged(
        [
            finding("requests", expected["requests"], len(asked), len(asked) == expected["requests"]),
            statuses("statuses", [200] * expected["requests"], asked),
            finding("types of the answers", expected["types"], types, types == expected["types"]),
            finding(
                "host + path of each request is a URL of the page, in its order",
                expected["requests"],
                sum(url in urls for url in named.urls),
                urls == named.urls,
            ),
            grammar("answers that are HTTP", responses(asked), "response"),
            same_bytes("objects equal to the origin's", evidence, asked),
        ]
    )


class _Named(HTMLParser):
    """The URLs of a base HTML file and of the pictures it names."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.urls = [f"http://{SITE}/"]
        self.feed(html.decode(errors="replace"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.urls.append(f"http://{SITE}{dict(attrs).get('src')}")


SCENARIO = Scenario(
    about="A page of one base HTML file and ten JPEG files is eleven requests, whose host and path are those of the URLs",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W1",),
    capture=("client",),
    roles=("client", "web"),
    indifferent={"times stretched": "what a page consists of is no time"},
)
