"""What the scenarios of mail take for granted, held against the image; and how they write and read messages."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace as Fake
from typing import Any

import pytest

from appbed.analysis import SmtpMessage, SmtpReply
from appbed.scenarios.mail import delivery, imap, server_down
from appbed.scenarios.mail_parts import post, seen

MAIL = Path(__file__).parents[2] / "images" / "mail"


def test_the_queues_times_are_those_of_the_image() -> None:
    entrypoint, template = (MAIL / "entrypoint").read_text(), (MAIL / "main.cf.template").read_text()
    assert f"QUEUE_RUN_DELAY:={server_down.QUEUE_RUN_S:.0f}s" in entrypoint
    assert f"smtp_connect_timeout = {server_down.TRY_S:.0f}s" in template


def test_a_message_is_read_alone_when_it_is_small_beside_the_whole() -> None:
    """What a session says beside the part, some 2 kB, fits into the share predicted of the large one."""
    assert imap.predict({})["share"] * len(imap._LARGE) * 4 / 3 > 2_500


def test_the_large_message_is_not_near_the_edge_of_a_window() -> None:
    """14 segments and twice as many are two windows: 18 to 40 of them need both, whatever the server adds."""
    size = len(delivery._message("50 kB", 0).as_bytes())
    assert 18 * 1448 < size < 40 * 1448 - delivery._ADDED_BYTES
    assert size == pytest.approx(50_000, rel=0.01)


def test_lines_that_begin_with_a_dot_have_it_doubled() -> None:
    said = post.transaction("Subject: x\r\n\r\n.\r\n..two\r\nend\r\n")
    assert said == [
        f"MAIL FROM:<{post.ALICE}>",
        f"RCPT TO:<{post.BOB}>",
        "DATA",
        "Subject: x",
        "",
        "..",
        "...two",
        "end",
        ".",
    ]


def reply(code: int, *lines: str) -> SmtpReply:
    return SmtpReply(code, lines, 0.0, 0.0)


def message(content: bytes, answer: SmtpReply | None) -> SmtpMessage:
    return SmtpMessage(post.ALICE, (post.BOB,), content, 0.0, 1.0, True, answer)


def dialogue(*commands: tuple[str, int], messages: tuple[SmtpMessage, ...] = ()) -> Any:
    said = tuple(Fake(verb=verb, reply=reply(code, "ok") if code else None) for verb, code in commands)
    return Fake(greeting=reply(220, "here"), commands=said, messages=messages)


def test_a_dialogue_is_told_with_the_code_of_each_answer_and_the_messages_own() -> None:
    taken = dialogue(("HELO", 250), ("DATA", 354), ("QUIT", 0), messages=(message(b"", reply(452, "full")),))
    assert seen.spoken(taken) == ["220", "HELO 250", "DATA 354", ". 452", "QUIT nothing"]
    assert seen.carried([taken]) == []
    assert seen.spoken(dialogue(("", 500), ("DATA", 503))) == ["220", "? 500", "DATA 503"]


def test_a_queues_number_is_in_the_answer_and_in_what_is_passed_on() -> None:
    received = (
        b"Received: from [10.77.1.10] (unknown [10.77.1.10])\r\n"
        b"\tby mail.crepes.fr (Postfix) with ESMTPSA id 270C22600CD\r\n"
        b"\tfor <bob@hamburger.edu>; Mon, 23 Nov 2026 00:20:37 +0000 (UTC)\r\n"
        b"Subject: x\r\n\r\nhi\r\n"
    )
    taken = message(received, reply(250, "2.0.0 Ok: queued as 270C22600CD"))
    assert seen.queue_numbers([dialogue(messages=(taken,))]) == ["270C22600CD"]
    assert seen.passed_queues(taken) == [("mail.crepes.fr", "270C22600CD")]
    assert seen.passed_queues(message(b"Subject: x\r\n\r\nhi\r\n", None)) == []


def test_parts_are_told_decoded_and_the_lines_of_a_plain_text_as_python_has_them() -> None:
    made = post.note("x", "안녕\n")
    made.add_attachment(b"\xff\r\n", maintype="image", subtype="jpeg", filename="x.jpg")
    assert seen.leaves(made.as_bytes()) == [
        ("text/plain", seen.digest("안녕\n".encode())),
        ("image/jpeg", seen.digest(b"\xff\r\n")),
    ]


def test_lists_are_shown_as_people_write_them() -> None:
    assert seen.equal("x", ["a", "b"], []).expected == "a, b"
    assert seen.equal("x", ["a"], []).seen == "nothing"
    assert seen.equal("x", [["a", "b"], ["c"]], 1).expected == "a, b; c"


def test_every_claim_of_mail_has_a_scenario() -> None:
    files = (Path(delivery.__file__).parent).glob("*.py")
    claims = {claim for file in files for claim in re.findall(r'claims=\("(M\d+)",\)', file.read_text())}
    assert claims == {f"M{number}" for number in range(1, 12)}
