"""POP3: authorisation, transaction, update; what is marked is deleted by QUIT, and not by RSET or a lost connection (claim M9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appbed.analysis import Pop3Session
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.mail_parts import post, seen
from appbed.scenarios.mail_parts.post import HAMBURGER, SERVER_NAMES
from appbed.scenarios.mail_parts.seen import equal
from appbed.verdict import Finding, Verdict, judged

COUNT = 3
_HELD_S = 3
"""So long the lost session's client holds its connection: the cable is cut meanwhile."""
_READER = "client-2"
_PHASES = ["authorisation", "transaction", "update"]


@dataclass(frozen=True, slots=True)
class Session:
    """What is said after the login, and what must follow: messages there at its beginning, and those it deletes."""

    commands: tuple[str, ...]
    there: int
    deletes: tuple[str, ...] = ()
    lost: bool = False


SESSIONS: Mapping[str, Session] = {
    "download and keep": Session(("LIST", "RETR 1", "QUIT"), there=3),
    "mark and take back": Session(("LIST", "DELE 1", "RSET", "QUIT"), there=3),
    "mark and lose the connection": Session(("LIST", "DELE 2"), there=3, lost=True),
    "download and delete": Session(("LIST", "RETR 1", "DELE 1", "QUIT"), there=3, deletes=("1",)),
    "afterwards": Session(("LIST", "QUIT"), there=2),
}


def predict(conditions: Conditions) -> dict[str, Any]:
    return {
        "sessions": {
            step: {
                "phases": _PHASES[:-1] if each.lost else _PHASES,
                "there": each.there,
                "deleted": list(each.deletes),
                "commands": ["USER", "PASS", *(command.split()[0] for command in each.commands)],
            }
            for step, each in SESSIONS.items()
        },
        "left": COUNT - 1,
    }


def run(lab: Lab, record: Recorder) -> None:
    record.step("mail")
    lines = [line for number in range(COUNT) for line in post.transaction(str(post.note(f"crepes {number}")))]
    hello = f"EHLO {post.hello(lab, 'client')}"
    post.talk(lab, "client", "smtp", SERVER_NAMES[HAMBURGER], seen.SMTP, [hello, *lines, "QUIT"])
    post.until_bob_has(lab, COUNT)
    for step, session in SESSIONS.items():
        record.step(step)
        post.pop3(lab, _READER, session.commands, stay_s=_HELD_S if session.lost else 0)
        if session.lost:
            _lose(lab)
        post.until_silent(lab, (_READER, HAMBURGER), seen.POP3)
    record.step("left")
    record.event("mailbox", messages=post.mailbox(lab, HAMBURGER, "bob"))


def _lose(lab: Lab) -> None:
    """The cable is cut, the client gives up and is not heard; once the cable is whole again the server learns that it is gone."""
    with lab.faults.cut(_READER):
        lab.until(lambda: post.gives_up(lab, _READER, seen.POP3), "the client has given up", timeout_s=10.0 + _HELD_S)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    sent = seen.dialogues(evidence, "client", "client")
    arrived = seen.carried(seen.dialogues(evidence, HAMBURGER, "client"))
    found = [
        seen.smtp_ruled("SMTP", sent),
        equal("messages delivered", COUNT, len(arrived)),
    ]
    for step, wanted in expected["sessions"].items():
        at_client = seen.pop3_sessions(evidence, _READER, step)
        found += _session(step, wanted, at_client)
        if SESSIONS[step].lost:
            found += _lost(evidence, step, at_client)
        for each in at_client:
            found.append(_bodies(step, each, [message.content for message in arrived]))
    found.append(equal("at the server: QUIT, and nothing else, leads to the update", True, _quits_update(evidence)))
    left = [message["message_id"] for message in evidence.of("mailbox")[0].data["messages"]]
    kept = [str(message.email["Subject"]) for message in arrived[1:]]
    subjects = [message["subject"] for message in evidence.of("mailbox")[0].data["messages"]]
    found += [equal("messages left at the server", expected["left"], len(left)), equal("these", kept, subjects)]
    return judged(found)


def _session(step: str, wanted: Mapping[str, Any], at_client: list[Pop3Session]) -> Iterator[Finding]:
    yield equal(f"{step}: sessions", 1, len(at_client))
    for each in at_client:
        yield equal(f"{step}: commands", wanted["commands"], [command.verb for command in each.commands])
        yield equal(f"{step}: phases", wanted["phases"], list(each.phases))
        yield equal(f"{step}: messages there", wanted["there"], _listed(each))
        yield equal(f"{step}: deleted", wanted["deleted"], list(each.deleted))
    yield seen.pop3_ruled(f"{step}: POP3", at_client)


def _listed(session: Pop3Session) -> int:
    """Lines of the answer to LIST."""
    answers = [command.reply for command in session.commands if command.verb == "LIST" and command.reply]
    return sum(len(each.content.splitlines()) for each in answers)


def _lost(evidence: Evidence, step: str, at_client: list[Pop3Session]) -> Iterator[Finding]:
    """Marked, and gone without a word: the client's FIN was sent into the cut cable, again and again, until it was whole."""
    marked = [list(each.marked) for each in at_client]
    yield equal(f"{step}: marked", [["2"]], marked)
    again = sum(each.connection.from_client.retransmissions for each in at_client)
    yield equal(f"{step}: the client's FIN was lost", True, again > 0)
    at_server = [each for each in evidence.capture.pop3(f"host:{HAMBURGER}") if "QUIT" not in _verbs(each)]
    closed = [each.connection.closed_by for each in at_server]
    yield equal(f"{step}: at the server closed by", ["client"], closed)


def _verbs(session: Pop3Session) -> list[str]:
    return [command.verb for command in session.commands]


def _bodies(step: str, session: Pop3Session, sent: list[bytes]) -> Finding:
    """What is retrieved ends with what was delivered: the servers put lines before it and change none."""
    got = session.retrieved
    same = all(content.endswith(sent[0]) for content in got)
    wanted = sum(command.verb == "RETR" for command in session.commands)
    return equal(f"{step}: messages retrieved whole", wanted, len(got) if same else f"{len(got)}, changed")


def _quits_update(evidence: Evidence) -> bool:
    """As the server's own interface saw it."""
    sessions = evidence.capture.pop3(f"host:{HAMBURGER}")
    return bool(sessions) and all(each.updated == ("QUIT" in _verbs(each)) for each in sessions)


SCENARIO = Scenario(
    about="POP3's phases: marks are undone by RSET and by a lost connection, and delete only after QUIT",
    topology="mail",
    predict=predict,
    run=run,
    check=check,
    claims=("M9",),
    capture=("client", _READER, HAMBURGER),
    roles=("client", "mail"),
)
