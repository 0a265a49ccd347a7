"""images/mail: refused settings, the mailbox listing, and with an engine one server's answers from inside its container."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MAIL = Path(__file__).parents[2] / "images" / "mail"
IMAGE = f"appbed/mail:{os.environ.get('APPBED_TAG', 'dev')}"
RIGHT = {"APPBED_NET": "10.77", "DOMAIN": "crepes.fr", "MAIL_USERS": "alice carol"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APPBED_NET", "10"),
        ("DOMAIN", ""),
        ("DOMAIN", "crepes"),
        ("DOMAIN", "crepes.fr\nrelayhost = evil"),
        ("HOST_NAME", "mail"),
        ("MAIL_USERS", ""),
        ("MAIL_USERS", "alice  bob"),
        ("MAIL_USERS", "alice alice"),
        ("MAIL_USERS", "alice@crepes.fr"),
        ("DNS_SERVER", "dns"),
        ("QUEUE_RUN_DELAY", "0s"),
        ("QUEUE_LIFETIME", "30"),
        ("MINIMAL_BACKOFF", "soon"),
        ("MAXIMAL_BACKOFF", "1s"),
        ("SMTP_REUSE", "yes"),
        ("PIPELINING", "true"),
        ("MESSAGE_SIZE_LIMIT", "10M"),
        ("QUOTA", "-1"),
        ("RELAY_HOST", "10.77.3.54:25"),
        ("RELAY_FROM", "mail.crepes.fr"),
        ("POP3_DELETES", "never"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    environment = {"PATH": os.environ["PATH"], **RIGHT, name: value}
    ran = subprocess.run([MAIL / "entrypoint"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 78
    assert ran.stderr.startswith(f"mail: {name}='{value}' is not possible; choose ")


@pytest.mark.parametrize("template", ["main.cf.template", "dovecot.conf.template"])
def test_a_template_has_no_setting_that_the_entrypoint_does_not_render(template: str) -> None:
    lines = (line for line in (MAIL / template).read_text().splitlines() if not line.startswith("#"))
    settings = {name for line in lines for name in re.findall("@([A-Z_]+)@", line)}
    assert settings
    assert all(f"@{name}@" in (MAIL / "entrypoint").read_text() for name in settings)


@pytest.fixture(scope="module")
def listing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mailbox_listing", MAIL / "mailbox.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_listing_is_in_order_of_arrival_with_flags_and_keywords(listing: ModuleType, tmp_path: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    (tmp_path / "dovecot-keywords").write_text("0 $Forwarded\n")
    (tmp_path / "cur" / "1795370702.M10000P1.mail,S=3:2,FSa").write_bytes(
        b"Subject: =?utf-8?b?7JWI64WV?=\r\n\r\nhi\r\n"
    )
    (tmp_path / "new" / "1795370702.M9P2.mail").write_bytes(b"X: 1\r\n\r\n")
    first, second = listing.messages("INBOX", tmp_path)
    assert (first["flags"], first["subject"], first["size"]) == ([], None, 8)
    assert (second["flags"], second["subject"]) == (["\\Flagged", "\\Seen", "$Forwarded"], "안녕")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server alone in its network namespace, with mailboxes of 100 kB."""
    inspect = ["docker", "image", "inspect", IMAGE]
    if not shutil.which("docker") or subprocess.run(inspect, capture_output=True, check=False).returncode:
        pytest.skip(f"no {IMAGE}")
    name = f"appbed-test-mail-{uuid.uuid4().hex[:8]}"
    options = [
        "--cap-drop=ALL",
        "--cap-add=SETUID",
        "--cap-add=SETGID",
        "--security-opt=no-new-privileges",
        "--network=none",
    ]
    settings = [
        f"--env={key}={value}" for key, value in {**RIGHT, "QUOTA": "100k", "MESSAGE_SIZE_LIMIT": "90000"}.items()
    ]
    subprocess.run(
        ["docker", "run", "--detach", "--name", name, *options, *settings, IMAGE], capture_output=True, check=True
    )
    try:
        inside(name, "bash", "-c", "until [ -e /run/appbed/ready ]; do sleep 0.05; done")
        yield name
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=True)


def inside(server: str, *command: str) -> str:
    return subprocess.run(
        ["docker", "exec", server, *command], capture_output=True, text=True, check=True, timeout=30
    ).stdout


# What a user agent does, in the container's own Python: `password` is alice's.
AGENT = """
import poplib, smtplib, sys, time
password = sys.argv[1]

def mailbox():
    agent = poplib.POP3("127.0.0.1")
    agent.user("alice")
    agent.pass_(password)
    return agent

def submit(text, to="alice@crepes.fr", sender="alice@crepes.fr"):
    with smtplib.SMTP("127.0.0.1", 587, local_hostname="client") as agent:
        agent.login("alice", password)
        agent.sendmail(sender, [to], text)

def wait_for(count):
    deadline = time.monotonic() + 10
    while (found := mailbox().stat()[0]) != count:
        assert time.monotonic() < deadline, f"{found} messages, expected {count}"
        time.sleep(0.02)

def refusal(attempt, *arguments, **named):
    try:
        attempt(*arguments, **named)
    except smtplib.SMTPRecipientsRefused as refused:
        return next(iter(refused.recipients.values()))[0]
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code
"""


def agent(server: str, script: str) -> None:
    password = inside(server, "/appbed/password", "alice").strip()
    inside(server, "python3", "-W", "ignore", "-c", AGENT + script, password)


@pytest.fixture
def fresh(server: str) -> str:
    inside(server, "/appbed/reset")
    return server


def messages(server: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(inside(server, "/appbed/mailbox", "alice"))
    return found


@pytest.mark.docker
def test_what_is_missing_in_a_submitted_message_is_completed(fresh: str) -> None:
    agent(fresh, "submit('Subject: hello\\r\\n\\r\\nhi'); wait_for(1)")
    (message,) = messages(fresh)
    assert (message["folder"], message["from"], message["flags"]) == ("INBOX", "alice@crepes.fr", [])
    assert message["message_id"].endswith("@mail.crepes.fr>")


@pytest.mark.docker
def test_a_mark_deletes_only_with_quit(fresh: str) -> None:
    agent(
        fresh,
        """
submit("Subject: kept\\r\\n\\r\\nhi")
wait_for(1)
lost = mailbox(); lost.dele(1); lost.sock.close(); lost.file.close()
undone = mailbox(); undone.dele(1); undone.rset(); undone.quit()
wait_for(1)
done = mailbox(); done.dele(1); done.quit()
wait_for(0)
""",
    )


@pytest.mark.docker
def test_refusals_are_the_servers_own(fresh: str) -> None:
    agent(
        fresh,
        """
assert refusal(submit, "", to="nobody@crepes.fr") == 550
assert refusal(submit, "", sender="carol@crepes.fr") == 553
assert refusal(submit, "x" * 100000) == 552
plain = smtplib.SMTP("127.0.0.1", 587, local_hostname="client")
assert refusal(plain.login, "alice", "wrong") == 535
""",
    )


@pytest.mark.docker
def test_a_full_mailbox_takes_no_more_until_something_is_deleted(fresh: str) -> None:
    agent(
        fresh,
        """
big = "Subject: big\\r\\n\\r\\n" + ("x" * 70 + "\\r\\n") * 833
submit(big); wait_for(1)
submit(big); wait_for(2)    # alice is the sender too, and the bounce is short
full = mailbox()
assert b"Subject: Undelivered Mail Returned to Sender" in full.top(2, 0)[1]
full.dele(1); full.dele(2); full.quit()
submit(big); wait_for(1)
""",
    )


@pytest.mark.docker
def test_reset_leaves_nothing_but_the_passwords(fresh: str) -> None:
    password = inside(fresh, "/appbed/password", "alice")
    agent(
        fresh,
        "submit('Subject: hello\\r\\n\\r\\nhi', to='bob@hamburger.edu'); submit('Subject: x\\r\\n\\r\\nhi'); wait_for(1)",
    )
    assert [message["recipients"][0]["address"] for message in json.loads(inside(fresh, "/appbed/queue"))] == [
        "bob@hamburger.edu"
    ]
    inside(fresh, "/appbed/reset")
    assert messages(fresh) == json.loads(inside(fresh, "/appbed/queue")) == []
    assert inside(fresh, "/appbed/password", "alice") == password
    inside(fresh, "/appbed/healthcheck")


def setting(server: str, name: str) -> str:
    return inside(server, "postconf", "-h", name).strip()


@pytest.mark.docker
def test_other_settings_hold_until_the_next_reset_and_mail_stays(fresh: str) -> None:
    agent(fresh, "submit('Subject: kept\\r\\n\\r\\nhi'); wait_for(1)")
    inside(fresh, "/appbed/set", "SMTP_REUSE=on")
    inside(fresh, "/appbed/set", "QUEUE_LIFETIME=6s", "RELAY_HOST=10.77.3.54")
    assert setting(fresh, "smtp_connection_cache_destinations") == "static:all"
    assert (setting(fresh, "maximal_queue_lifetime"), setting(fresh, "relayhost")) == ("6s", "[10.77.3.54]")
    assert len(messages(fresh)) == 1
    assert inside(fresh, "/appbed/remembers").splitlines()[1:] == [
        "SMTP_REUSE=on",
        "QUEUE_LIFETIME=6s",
        "RELAY_HOST=10.77.3.54",
    ]
    inside(fresh, "/appbed/reset")
    assert (setting(fresh, "maximal_queue_lifetime"), setting(fresh, "relayhost")) == ("30s", "")
    assert inside(fresh, "/appbed/remembers") == ""


@pytest.mark.docker
@pytest.mark.parametrize("wrong", ["SMTP_REUSE=maybe", "DOMAIN=crepes.fr", "MINIMAL_BACKOFF=9s", "QUOTA", ""])
def test_a_setting_that_is_not_possible_changes_nothing(fresh: str, wrong: str) -> None:
    done = subprocess.run(
        ["docker", "exec", fresh, "/appbed/set", *filter(None, [wrong])], capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (64, 1)
    assert inside(fresh, "/appbed/remembers") == ""


@pytest.mark.docker
def test_what_waits_in_the_queue_is_remembered_until_a_reset(fresh: str) -> None:
    agent(fresh, "submit('Subject: hello\\r\\n\\r\\nhi', to='bob@hamburger.edu')")
    assert inside(fresh, "/appbed/remembers").startswith("queue: ")
    inside(fresh, "/appbed/reset")
    assert inside(fresh, "/appbed/remembers") == ""


@pytest.mark.docker
def test_a_server_that_is_hasty_on_purpose_deletes_what_was_marked_when_the_connection_is_lost(fresh: str) -> None:
    inside(fresh, "/appbed/set", "POP3_DELETES=at-loss")
    agent(
        fresh,
        """
submit("Subject: marked\\r\\n\\r\\nhi")
wait_for(1)
kept = mailbox(); kept.dele(1); kept.rset(); kept.quit()
wait_for(1)
lost = mailbox(); lost.dele(1); lost.sock.close(); lost.file.close()
wait_for(0)
""",
    )


@pytest.mark.docker
def test_the_first_process_keeps_its_environment(server: str) -> None:
    assert f"DOMAIN={RIGHT['DOMAIN']}" in inside(server, "cat", "/proc/1/environ").split("\0")
