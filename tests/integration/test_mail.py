"""Mail on real servers: what they refuse or return, and two hundred messages over a link that loses frames."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from appbed import places
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab
from appbed.scenarios.mail_parts import post
from appbed.scenarios.mail_parts.post import ALICE, BOB, CREPES, HAMBURGER, SERVER_NAMES
from appbed.scenarios.mail_parts.seen import parsed

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(300)]
WEBMAIL = "http://webmail.hamburger.edu"
OVER_BYTES = 60_000_000

# What a user agent does; runs inside a client. 60 MB never stand in its memory.
LARGE = """
import smtplib, sys
server, said, size = sys.argv[1], sys.argv[2] == "said", int(sys.argv[3])
with smtplib.SMTP(server, 25, local_hostname="client", timeout=60) as agent:
    agent.ehlo()
    code, text = agent.mail("alice@crepes.fr", ["SIZE=%d" % size] if said else [])
    if code == 250:
        agent.rcpt("bob@hamburger.edu")
        agent.docmd("DATA")
        agent.sock.sendall(b"Subject: large\\r\\n\\r\\n")
        block = (b"x" * 70 + b"\\r\\n") * 1000
        for _ in range(size // len(block)):
            agent.sock.sendall(block)
        code, text = agent.docmd(".")
    print(code, text.decode())
"""
SEND = """
import base64, random, smtplib, sys
password, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with smtplib.SMTP("mail.crepes.fr", 587, local_hostname="client", timeout=60) as agent:
    agent.login("alice", password)
    for number in range(count):
        body = base64.encodebytes(random.Random(number).randbytes(size * 3 // 4)).decode().replace("\\n", "\\r\\n")
        agent.sendmail("alice@crepes.fr", ["bob@hamburger.edu"], f"Subject: {number}\\r\\n\\r\\n{body}")
"""
READ = """
import base64, json, poplib, random, sys
password, size = sys.argv[1], int(sys.argv[2])
agent = poplib.POP3("mail.hamburger.edu", timeout=60)
agent.user("bob")
agent.pass_(password)
found = []
for number in range(1, agent.stat()[0] + 1):
    lines = agent.retr(number)[1]
    end = lines.index(b"")
    subject = int(next(line for line in lines[:end] if line.startswith(b"Subject: "))[9:])
    wanted = base64.encodebytes(random.Random(subject).randbytes(size * 3 // 4))
    found.append([subject, b"\\n".join(lines[end + 1:]) + b"\\n" == wanted])
agent.quit()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def mail(engine: DockerEngine) -> Iterator[Lab]:
    with Lab.up(places.topology_file("mail"), engine, name=f"test-mail-{os.getpid()}") as lab:
        yield lab


@pytest.fixture
def fresh(mail: Lab) -> Lab:
    mail.reset()
    return mail


def returned(lab: Lab) -> str:
    """The text of the one message in alice's mailbox, once it is there, read by POP3."""
    lab.until(lambda: bool(post.mailbox(lab, CREPES, "alice")), "a message for alice")
    said = post.pop3(lab, "client", ("RETR 1", "QUIT"), server=CREPES, user="alice")
    (told,) = post.mailbox(lab, CREPES, "alice")
    assert told["subject"] == "Undelivered Mail Returned to Sender"
    return " ".join(said.split())


def test_mail_to_an_unknown_user_comes_back_with_the_other_servers_words(fresh: Lab) -> None:
    post.submit(fresh, post.note("who?", recipient="nobody@hamburger.edu"))
    report = returned(fresh)
    assert "550 5.1.1 <nobody@hamburger.edu>: Recipient address rejected: User unknown" in report
    assert "Remote-MTA: dns; mail.hamburger.edu" in report


def test_mail_to_an_unknown_domain_comes_back_because_nobody_has_that_name(fresh: Lab) -> None:
    post.submit(fresh, post.note("where?", recipient="bob@nowhere.edu"))
    assert "Host or domain name not found" in returned(fresh)


def test_mail_to_a_full_mailbox_comes_back_from_its_server(fresh: Lab) -> None:
    fresh.exec(HAMBURGER, "/appbed/set", "QUOTA=100k")
    large = post.note("large", "crepes " * 10_000)
    post.submit(fresh, large)
    post.until_bob_has(fresh, 1)
    post.submit(fresh, large)
    report = returned(fresh)
    assert "552 5.2.2" in report
    assert "Quota exceeded (mailbox for user is full)" in report
    assert len(post.mailbox(fresh, HAMBURGER, "bob")) == 1


@pytest.mark.parametrize(
    ("when", "answer"),
    [
        ("said", "552 5.3.4 Message size exceeds fixed limit"),
        ("unsaid", "552 5.3.4 Error: message file too big"),
    ],
)
def test_a_message_of_60_megabytes_is_refused_before_it_is_sent_or_after(fresh: Lab, when: str, answer: str) -> None:
    with fresh.link("gateway@access").set(rate="1gbit"):
        size = ("python3", "-c", LARGE, SERVER_NAMES[HAMBURGER], when, str(OVER_BYTES))
        assert fresh.exec("client", *size, timeout_s=120).stdout.strip() == answer
    assert post.mailbox(fresh, HAMBURGER, "bob") == []


def written(lab: Lab, recipient: str, subject: str) -> EmailMessage:
    """What reaches alice of what bob types into webmail's form."""
    password = post.password(lab, HAMBURGER, "bob")
    lab.exec("client-2", "/appbed/write-webmail", WEBMAIL, "bob", password, recipient, subject, stdin="Hi Alice!\n")
    lab.until(lambda: bool(post.mailbox(lab, CREPES, "alice")), "a message for alice")
    said = post.pop3(lab, "client", ("RETR 1", "QUIT"), server=CREPES, user="alice")
    return parsed(said.partition("octets\r\n")[2].encode())


def test_line_breaks_typed_into_a_subject_make_no_header(fresh: Lab) -> None:
    message = written(fresh, ALICE, f"hi\r\nBcc: {BOB}\r\nX-Evil: yes")
    assert (message["Bcc"], message["X-Evil"]) == (None, None)
    assert message["Subject"] == f"hi Bcc: {BOB} X-Evil: yes"
    assert post.mailbox(fresh, HAMBURGER, "bob")[0]["folder"] == "Sent"
    assert len(post.mailbox(fresh, HAMBURGER, "bob")) == 1


def test_line_breaks_typed_into_a_recipient_make_no_header_but_recipients_that_all_can_see(fresh: Lab) -> None:
    message = written(fresh, f"{ALICE}\r\nBcc: {BOB}", "hi")
    assert message["Bcc"] is None
    assert ALICE in message["To"]
    assert BOB in message["To"]


def test_a_recipient_that_is_no_address_is_refused_by_the_form(fresh: Lab) -> None:
    password = post.password(fresh, HAMBURGER, "bob")
    form = ("/appbed/write-webmail", WEBMAIL, "bob", password, f"{ALICE}\r\nX-Evil: yes", "hi")
    done = fresh.exec("client-2", *form, stdin="Hi Alice!\n", check=False)
    assert (done.status, "Invalid email address: X-Evil: yes" in done.stderr) == (1, True)
    assert post.mailbox(fresh, CREPES, "alice") == []


def test_two_hundred_messages_over_a_lossy_link_arrive_once_and_as_they_were(fresh: Lab) -> None:
    """200 messages of 100 kB; the link to the receiver's server loses 2 % of the frames, each way."""
    count, size = 200, 100_000
    with fresh.link("gateway@access").set(rate="1gbit", delay="0ms"):
        with fresh.link(f"{HAMBURGER}@core").set(delay="2ms", loss="2%"):
            secret = post.password(fresh, CREPES, "alice")
            fresh.exec("client", "python3", "-c", SEND, secret, str(count), str(size), timeout_s=200)
            post.until_bob_has(fresh, count, timeout_s=200)
        secret = post.password(fresh, HAMBURGER, "bob")
        found = json.loads(
            fresh.exec("client-2", "python3", "-W", "ignore", "-c", READ, secret, str(size), timeout_s=100).stdout
        )
    assert sorted(found) == [[number, True] for number in range(count)]
    assert post.queue(fresh) == post.mailbox(fresh, CREPES, "alice") == []
