"""SMTP carries 7-bit ASCII: a Korean text and a JPEG travel encoded, and are what they were when decoded (claim M6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from appbed.analysis import SmtpDialogue
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import objects, post, seen
from appbed.scenarios.mail_parts.objects import JPEG, ORIGIN
from appbed.scenarios.mail_parts.post import ALICE, BOB, CREPES
from appbed.scenarios.mail_parts.seen import equal
from appbed.scenarios.tour_parts.mail import TEXT
from appbed.scenarios.web_parts.digests import digests
from appbed.verdict import Finding, Verdict, judged

# As a user agent of today sends it to a server of which it believes that it takes eight bits.
EIGHT_BIT = f"""From: {ALICE}
To: {BOB}
Subject: crepes
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{TEXT}"""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"messages": 2, "octets": {"encoded": "none", "as it is": "some"}, "between": "none", "text": TEXT}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, ORIGIN, {JPEG: objects.ROOT + JPEG}))
    record.step("encoded")
    made = post.note("crepes", TEXT)
    made.add_attachment(objects.fetched(lab, JPEG), maintype="image", subtype="jpeg", filename="07.jpg")
    post.submit(lab, made)
    post.until_bob_has(lab, 1)
    record.step("as it is")
    post.submit_lines(lab, EIGHT_BIT)
    post.until_bob_has(lab, 2)
    record.step("read")
    post.pop3(lab, "client-2", ("RETR 1", "RETR 2", "QUIT"))


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    handed, pushed = seen.submitted(evidence), seen.pushed(evidence)
    found = [
        equal("from the user agent: messages", expected["messages"], len(seen.carried(handed))),
        equal("between servers: messages", expected["messages"], len(seen.carried(pushed))),
    ]
    for (how, wanted), each in zip(expected["octets"].items(), handed, strict=False):
        found.append(equal(f"octets above 127 from the user agent, {how}", wanted, _octets([each])))
    found.append(equal("octets above 127 between the servers", expected["between"], _octets(pushed)))
    found.append(seen.smtp_ruled("SMTP", [*handed, *pushed]))
    return judged([*found, *_read(evidence, expected)])


def _octets(found: Sequence[SmtpDialogue]) -> str:
    """Of all that clients said, commands included."""
    said = b"".join(each.connection.from_client.data for each in found)
    return "nothing was said" if not said else "none" if said.isascii() else "some"


def _read(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """Decoded from what came to bob's user agent."""
    sessions = seen.pop3_sessions(evidence, "client-2")
    yield seen.pop3_ruled("POP3", sessions)
    read = [seen.leaves(content) for content in seen.retrieved(sessions)]
    text = seen.digest(expected["text"].encode())
    jpeg = evidence.of("origin")[0].data["sha256"][JPEG]
    wanted = [[(seen.PLAIN, text), ("image/jpeg", jpeg)], [(seen.PLAIN, text)]]
    yield equal("read by POP3 and decoded (SHA-256)", wanted, read)


SCENARIO = Scenario(
    about="A Korean text and a JPEG by mail: no octet above 127 between servers, and what is decoded is what was sent",
    topology="internet",
    predict=predict,
    run=run,
    check=check,
    claims=("M6",),
    capture=("client", "client-2", CREPES),
    roles=("client", "web", "mail"),
    indifferent={"times stretched": "which octets travel is no time"},
)
