"""The SMTP handshake gives the addresses; commands come in one order, each with its reply code (claim M2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appbed.analysis import SmtpDialogue
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import ALICE, BOB, CREPES, HAMBURGER, SERVER_NAMES
from appbed.scenarios.mail_parts.seen import equal
from appbed.verdict import Finding, Verdict, judged

_TRANSACTION = ["MAIL 250", "RCPT 250", "DATA 354", ". 250", "QUIT 221"]
DIALOGUES = {
    "user agent to server": ["220", "EHLO 250", "AUTH 235", *_TRANSACTION],
    "server to server": ["220", "EHLO 250", *_TRANSACTION],
    "by hand": ["220", "HELO 250", *_TRANSACTION],
    "in a wrong order": ["220", "MAIL 503", "HELO 250", "RCPT 503", "DATA 503", "KNOCK 500", "QUIT 221"],
}
"""What is said, with the code of each reply (RFC 5321, sections 4.1.4, 4.2.3 and 4.3.2)."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"dialogues": DIALOGUES, "envelope": [ALICE, [BOB]]}


def run(lab: Lab, record: Recorder) -> None:
    record.step("server to server")
    post.submit(lab, post.note("crepes"))
    post.until_bob_has(lab, 1)
    hello = f"HELO {post.hello(lab, 'client')}"
    by_hand = [hello, *post.transaction(str(post.note("more crepes"))), "QUIT"]
    wrong = [f"MAIL FROM:<{ALICE}>", hello, f"RCPT TO:<{BOB}>", "DATA", "KNOCK", "QUIT"]
    for step, lines in (("by hand", by_hand), ("in a wrong order", wrong)):
        record.step(step)
        post.talk(lab, "client", "smtp", SERVER_NAMES[HAMBURGER], seen.SMTP, lines)
    post.until_bob_has(lab, 2)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    by_client = seen.dialogues(evidence, HAMBURGER, "client")
    spoken = {
        "user agent to server": seen.submitted(evidence),
        "server to server": seen.pushed(evidence),
        "by hand": by_client[:1],
        "in a wrong order": by_client[1:],
    }
    found: list[Finding] = []
    for what, wanted in expected["dialogues"].items():
        found.append(equal(what, [wanted], [seen.spoken(each) for each in spoken[what]]))
        if ". 250" in wanted:
            found += _addresses(what, expected["envelope"], spoken[what])
    same = [seen.spoken(each) for each in seen.dialogues(evidence, "client", "client")]
    found.append(equal("the client's own words", [DIALOGUES["by hand"], DIALOGUES["in a wrong order"]], same))
    return judged(found)


def _addresses(what: str, envelope: list[Any], found: list[SmtpDialogue]) -> Iterator[Finding]:
    """MAIL and RCPT name who sends and who receives, before the message does."""
    carried = seen.carried(found)
    told = [[message.sender, list(message.recipients)] for message in carried]
    yield equal(f"{what}: addresses in the handshake", [envelope], told)
    written = [[str(message.email["From"]), [str(message.email["To"])]] for message in carried]
    yield equal(f"{what}: addresses in the message", [envelope], written)


SCENARIO = Scenario(
    about="SMTP's handshake gives the addresses: HELO or EHLO, MAIL, RCPT, DATA, the message, QUIT, each with its code",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M2",),
    capture=("client", CREPES, HAMBURGER),
    roles=("client", "mail"),
    indifferent={"times stretched": "what is said after what is an order and no time"},
)
