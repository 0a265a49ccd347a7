"""A text with two images: HTTP takes a response for each object, SMTP puts them all into one message (claim M7)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import objects, post, seen
from appbed.scenarios.mail_parts.objects import ORIGIN, ROOT
from appbed.scenarios.mail_parts.post import CREPES
from appbed.scenarios.mail_parts.seen import equal
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.scenarios.web_parts.site import HOME, SITE
from appbed.verdict import Verdict, judged

IMAGES = [path for path, _ in HOME.objects[:2]]
FILES = {HOME.path: f"{ROOT}/index.html", **{path: ROOT + path for path in IMAGES}}


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"responses": len(FILES), "messages": 1, "kind": "multipart/related", "parts": list(FILES)}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, ORIGIN, FILES))
    record.step("pages")
    loading.load(lab, record, f"http://{SITE}{HOME.path}", "--at-most", str(len(IMAGES)))
    record.step("mail")
    made = post.note("our page")
    made.clear_content()
    made.set_content(objects.fetched(lab, "/index.html"), maintype="text", subtype="html")
    for path in IMAGES:
        made.add_related(objects.fetched(lab, path), maintype="image", subtype="jpeg", cid=f"<{path}>")
    post.submit(lab, made)
    post.until_bob_has(lab, 1)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    asked = [each for each in evidence.capture.http("host:client") if each.client.host == evidence.address("client")]
    whole = [each for each in asked if each.response and each.response.status == 200 and each.response.complete]
    handed, pushed = seen.submitted(evidence), seen.pushed(evidence)
    messages = seen.carried(pushed)
    sha256 = evidence.of("origin")[0].data["sha256"]
    return judged(
        [
            equal("HTTP: responses", expected["responses"], len(whole)),
            same_bytes("HTTP: objects equal to the origin's", evidence, whole),
            equal("SMTP: messages handed over", expected["messages"], len(seen.carried(handed))),
            equal("SMTP: messages between servers", expected["messages"], len(messages)),
            equal("its type", [expected["kind"]], [message.email.get_content_type() for message in messages]),
            equal(
                "its parts, decoded, are the origin's objects",
                [[sha256[path] for path in expected["parts"]]],
                [[part for _, part in seen.leaves(message.content)] for message in messages],
            ),
            seen.smtp_ruled("SMTP", [*handed, *pushed]),
        ]
    )


SCENARIO = Scenario(
    about="A text with two images is three HTTP responses, and one message of mail",
    topology="internet",
    predict=predict,
    run=run,
    check=check,
    claims=("M7",),
    capture=("client", CREPES),
    roles=("client", "resolver", "web", "mail"),
    indifferent={"times stretched": "how many responses and messages there are is no time"},
)
