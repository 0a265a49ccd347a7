"""SMTP dialogues: the textbook's, pipelined, refused, chunked, with AUTH and STARTTLS, and messages with their parts."""

from __future__ import annotations

from email.message import EmailMessage

from traffic import SERVER, Talk, pcap

from appbed.analysis import Capture, SmtpDialogue

MESSAGE = (
    b"From: alice@crepes.fr\r\nTo: bob@hamburger.edu\r\nSubject: Searching for the meaning of life.\r\n\r\n"
    b"Do you like ketchup?\r\n..hidden dot\r\n"
)
SCRIPT = (
    ("server", b"220 hamburger.edu\r\n"),
    ("client", b"HELO crepes.fr\r\n"),
    ("server", b"250 Hello crepes.fr, pleased to meet you\r\n"),
    ("client", b"MAIL FROM:<alice@crepes.fr>\r\n"),
    ("server", b"250 alice@crepes.fr ... Sender ok\r\n"),
    ("client", b"RCPT TO:<bob@hamburger.edu>\r\n"),
    ("server", b"250 bob@hamburger.edu ... Recipient ok\r\n"),
    ("client", b"DATA\r\n"),
    ("server", b'354 Enter mail, end with "." on a line by itself\r\n'),
    ("client", MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n"),
    ("server", b"250 Message accepted for delivery\r\n"),
    ("client", b"QUIT\r\n"),
    ("server", b"221 hamburger.edu closing connection\r\n"),
)


def talk(*script: tuple[str, bytes]) -> Talk:
    conversation = Talk(server=(SERVER, 25)).open()
    for who, data in script:
        conversation.say(who, data)
    return conversation


def dialogue(*script: tuple[str, bytes]) -> SmtpDialogue:
    (found,) = Capture.open(pcap(talk(*script).frames)).smtp()
    return found


def test_the_dialogue_of_the_book() -> None:
    found = dialogue(*SCRIPT)
    assert found.verbs == ("HELO", "MAIL", "RCPT", "DATA", "QUIT")
    assert [command.reply.code for command in found.commands if command.reply] == [250, 250, 250, 354, 221]
    assert found.greeting is not None
    assert (found.greeting.code, found.greeting.lines) == (220, ("hamburger.edu",))
    assert found.commands[1].line == "MAIL FROM:<alice@crepes.fr>"
    assert (found.commands[1].path, found.commands[2].path) == ("alice@crepes.fr", "bob@hamburger.edu")
    (message,) = found.messages
    assert (message.sender, message.recipients, message.content) == ("alice@crepes.fr", ("bob@hamburger.edu",), MESSAGE)
    assert (message.accepted, message.complete, message.is_seven_bit) == (True, True, True)
    assert message.email["Subject"] == "Searching for the meaning of life."
    assert (found.violations, found.tls) == ((), False)
    assert found.commands[0].start_s < found.commands[0].reply.start_s < message.start_s <= message.end_s  # type: ignore[union-attr]


def test_several_messages_over_one_connection() -> None:
    found = dialogue(*SCRIPT[:11], *SCRIPT[3:11], *SCRIPT[11:])
    assert [message.content for message in found.messages] == [MESSAGE, MESSAGE]
    assert found.verbs.count("MAIL") == 2


def test_pipelined_commands() -> None:
    found = dialogue(
        ("server", b"220 a\r\n"),
        ("client", b"EHLO b\r\n"),
        ("server", b"250-a\r\n250-PIPELINING\r\n250 8BITMIME\r\n"),
        ("client", b"MAIL FROM:<x@b>\r\nRCPT TO:<y@a>\r\nRCPT TO:<z@a>\r\nDATA\r\n"),
        ("server", b"250 ok\r\n250 ok\r\n550 no such user\r\n354 go\r\n"),
        ("client", b"Subject: s\r\n\r\nbody\r\n.\r\nQUIT\r\n"),
        ("server", b"250 queued\r\n221 bye\r\n"),
    )
    assert found.commands[0].reply is not None
    assert found.commands[0].reply.lines == ("a", "PIPELINING", "8BITMIME")
    assert (found.messages[0].recipients, found.messages[0].accepted) == (("y@a",), True)
    assert found.verbs == ("EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT")


def test_refused_data_is_no_message() -> None:
    found = dialogue(*SCRIPT[:7], ("client", b"DATA\r\n"), ("server", b"451 later\r\n"), *SCRIPT[11:])
    assert (found.messages, found.verbs[-1]) == ((), "QUIT")
    assert found.commands[-2].reply is not None
    assert not found.commands[-2].reply.positive


def test_a_message_cut_short() -> None:
    (message,) = dialogue(*SCRIPT[:9], ("client", b"From: a\r\n\r\nhal")).messages
    assert (message.complete, message.reply, message.accepted, message.content) == (
        False,
        None,
        False,
        b"From: a\r\n\r\n",
    )


def test_chunks() -> None:
    script = (
        *SCRIPT[:7],
        ("client", b"BDAT 10\r\nSubject: a"),
        ("server", b"250 ok\r\n"),
        ("client", b"BDAT 5 LAST\r\nb\r\n\r\n"),
        ("server", b"250 queued\r\n"),
        *SCRIPT[11:],
    )
    found = dialogue(*script)
    assert found.verbs == ("HELO", "MAIL", "RCPT", "BDAT", "BDAT", "QUIT")
    assert [(message.content, message.accepted) for message in found.messages] == [(b"Subject: ab\r\n\r\n", True)]


def test_authentication_lines_are_no_commands() -> None:
    found = dialogue(
        *SCRIPT[:3],
        ("client", b"AUTH LOGIN\r\n"),
        ("server", b"334 VXNlcm5hbWU6\r\n"),
        ("client", b"Ym9i\r\n"),
        ("server", b"334 UGFzc3dvcmQ6\r\n"),
        ("client", b"cXVpdA==\r\n"),
        ("server", b"235 ok\r\n"),
        *SCRIPT[11:],
    )
    assert found.verbs == ("HELO", "AUTH", "QUIT")
    assert found.commands[-1].reply is not None
    assert found.commands[-1].reply.code == 221


def test_starttls_ends_what_can_be_read() -> None:
    found = dialogue(
        *SCRIPT[:1],
        ("client", b"EHLO b\r\n"),
        ("server", b"250 STARTTLS\r\n"),
        ("client", b"STARTTLS\r\n"),
        ("server", b"220 go\r\n"),
        ("client", b"\x16\x03\x01\x00\x05\n\n\n\n\n"),
    )
    assert (found.tls, found.verbs) == (True, ("EHLO", "STARTTLS"))


def test_an_order_that_should_have_been_refused() -> None:
    assert dialogue(*SCRIPT[:3], *SCRIPT[5:7], *SCRIPT[11:]).violations == ("RCPT without MAIL",)
    refused = (SCRIPT[5], ("server", b"503 MAIL first\r\n"))
    assert dialogue(*SCRIPT[:3], *refused, *SCRIPT[11:]).violations == ()


def test_a_refused_connection_and_lines_that_are_no_commands() -> None:
    found = dialogue(("server", b"554 no\r\n"))
    assert found.greeting is not None
    assert (found.greeting.code, found.commands) == (554, ())
    found = dialogue(*SCRIPT[:3], ("client", b"\xff\xfe nonsense\r\n"), ("server", b"500 what?\r\n"), *SCRIPT[11:])
    assert found.verbs == ("HELO", "", "QUIT")


def test_parts_of_a_message_and_octets_above_127() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "alice@crepes.fr", "bob@hamburger.edu"
    mail.set_content("안녕하세요", cte="base64")
    mail.add_attachment(b"\xff\xd8\xff jpeg", maintype="image", subtype="jpeg", filename="a.jpg")
    wire = mail.as_bytes().replace(b"\n", b"\r\n")
    (message,) = dialogue(*SCRIPT[:9], ("client", wire + b".\r\n"), SCRIPT[10]).messages
    assert message.is_seven_bit
    body = message.email.get_body()
    assert body is not None
    assert body.get_content().strip() == "안녕하세요"
    assert [part.get_content() for part in message.email.iter_attachments()] == [b"\xff\xd8\xff jpeg"]
    (message,) = dialogue(*SCRIPT[:9], ("client", "\r\n안\r\n.\r\n".encode()), SCRIPT[10]).messages
    assert not message.is_seven_bit


def test_other_servers_that_say_220_are_left_alone() -> None:
    ftp = Talk(server=(SERVER, 21)).open().say("server", b"220 ftp\r\n").say("client", b"USER bob\r\n")
    assert Capture.open(pcap(ftp.frames)).smtp() == ()
