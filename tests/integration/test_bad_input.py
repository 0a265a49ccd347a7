"""What a user does wrong is answered by the real server, in its own words."""

from __future__ import annotations

import json

import pytest

from appbed.lab import Lab
from appbed.scenarios.tour_parts import mail

from .browser import Browser

pytestmark = pytest.mark.docker
NAME, TRACKER = "wrong.com", "http://tracker.someschool.edu:6969/announce"


@pytest.fixture(scope="module", autouse=True)
def fresh(internet: Lab) -> None:
    internet.reset("mail-crepes", "mail-hamburger", "webmail", "registrar", "tld-com", "peer-1", "tracker")


def password(lab: Lab, host: str, user: str) -> str:
    return lab.exec(host, "/appbed/password", user).stdout.strip()


def submitted(lab: Lab, *, recipient: str = "bob@hamburger.edu", secret: str | None = None, size: int = 0) -> str:
    """What alice's user agent and her server said to each other."""
    said = lab.exec(
        "client", "curl", "--verbose", "--silent", "--max-time", "20", "--user",
        f"alice@crepes.fr:{secret or password(lab, 'mail-crepes', 'alice')}", "smtp://mail.crepes.fr:587",
        "--mail-from", "alice@crepes.fr", "--mail-rcpt", recipient, "--upload-file", "-" if not size else "/tmp/large",
        stdin="Subject: x\r\n\r\nx\r\n", check=False,
    )  # fmt: skip
    return said.stderr


# ---- mail


def test_nobody_s_mailbox_at_the_own_server_is_refused_at_once(internet: Lab) -> None:
    said = submitted(internet, recipient="nobody@crepes.fr")
    assert "< 550 5.1.1 <nobody@crepes.fr>: Recipient address rejected: User unknown in virtual mailbox table" in said


def test_nobody_s_mailbox_elsewhere_comes_back_with_the_other_server_s_words(internet: Lab) -> None:
    internet.reset("mail-crepes")
    assert "< 250 2.0.0 Ok: queued" in submitted(internet, recipient="nobody@hamburger.edu")
    internet.until(lambda: bool(mail.mailbox(internet, "mail-crepes", "alice")), "the bounce is in alice's mailbox", 10)
    (bounce,) = mail.mailbox(internet, "mail-crepes", "alice")
    assert bounce["subject"] == "Undelivered Mail Returned to Sender"
    login = f"alice@crepes.fr:{password(internet, 'mail-crepes', 'alice')}"
    read = ("curl", "--silent", "--show-error", "--max-time", "20", "--user", login, "pop3://mail.crepes.fr/1")
    text = " ".join(internet.exec("client", *read).stdout.split())
    assert "550 5.1.1 <nobody@hamburger.edu>: Recipient address rejected: User unknown" in text


def test_a_wrong_password_is_refused_by_smtp_pop3_imap_and_webmail(internet: Lab) -> None:
    assert "< 535 5.7.8 Error: authentication failed" in submitted(internet, secret="wrong")
    get = ("curl", "--verbose", "--silent", "--max-time", "20", "--user", "bob:wrong")
    pop3 = internet.exec("client-2", *get, "pop3://mail.hamburger.edu/1", check=False)
    assert (pop3.status, "< -ERR [AUTH] Authentication failed." in pop3.stderr) == (67, True), pop3.stderr
    imap = internet.exec("client-2", *get, "imap://mail.hamburger.edu/INBOX", check=False)
    assert (imap.status, "NO [AUTHENTICATIONFAILED]" in imap.stderr) == (67, True), imap.stderr
    shown = Browser(internet, "webmail.hamburger.edu").log_in("bob", "wrong")
    assert (shown.status, "Login failed." in shown.text) == (401, True)


def test_a_message_that_is_too_large_is_refused_before_it_is_sent(internet: Lab) -> None:
    """The agent says its size with MAIL FROM (RFC 1870), so the access link need not carry it."""
    internet.exec("client", "truncate", "--size", "10240001", "/tmp/large")
    try:
        said = submitted(internet, size=10240001)
    finally:
        internet.exec("client", "rm", "/tmp/large")
    assert "> MAIL FROM:<alice@crepes.fr> SIZE=10240001" in said
    assert "< 552 5.3.4 Message size exceeds fixed limit" in said
    assert "> DATA" not in said


# ---- the registrar


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        (["dns1.wrong.com={net}.3.40"], "has 1 name server, needs 2 to 13: a primary and a secondary"),
        (["dns1.wrong.com={net}.3.40", "dns2.wrong.com={net}.3.40"], "two name servers have the address"),
        (["dns1.wrong.com={net}.3.40", "dns2.wrong.com=8.8.8.8"], "8.8.8.8 is outside the lab"),
    ],
)
def test_a_registration_without_a_second_name_server_is_refused_by_command_and_page(
    internet: Lab, servers: list[str], said: str
) -> None:
    net = str(internet.topology.host("registrar").address).rsplit(".", 2)[0]
    given = [server.format(net=net) for server in servers]
    options = [word for server in given for word in ("--ns", server)]
    command = internet.exec("registrar", "/appbed/registrar", "register", NAME, *options, check=False)
    assert (command.status, len(command.stderr.splitlines())) == (64, 1)
    assert said in command.stderr

    browser = Browser(internet, "www.registrar.com")
    pairs = [server.split("=") for server in given]
    form = [("name", NAME), *(pair for name, address in pairs for pair in (("server", name), ("address", address)))]
    page = browser.post("/register", form, Origin=browser.url)
    assert (page.status, said in page.text) == (400, True)
    assert internet.exec("registrar", "/appbed/registrar", "show", NAME, check=False).status == 1


def test_an_unsigned_registration_is_refused_by_the_top_level_domain_s_server(internet: Lab) -> None:
    net = str(internet.topology.host("registrar").address).rsplit(".", 2)[0]
    servers = ("--ns", f"dns1.{NAME}={net}.3.40", "--ns", f"dns2.{NAME}={net}.3.39")
    command = ("/appbed/registrar", "register", NAME, *servers)
    unsigned = internet.exec("registrar", *command, "--unsigned", "--json", check=False)
    assert (unsigned.status, json.loads(unsigned.stdout)["answer"]) == (1, "REFUSED")
    assert internet.exec("registrar", *command).status == 0
    again = internet.exec("registrar", *command, "--json", check=False)
    assert (again.status, json.loads(again.stdout)["answer"]) == (1, "YXDOMAIN")


# ---- the swarm


@pytest.mark.parametrize(
    ("torrent", "said"),
    [
        ("nonsense", "this is not a torrent file"),
        ("d4:infod6:lengthi1e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", "names no tracker"),
        ("", "this is not a torrent file"),
    ],
)
def test_a_torrent_that_is_none_is_refused_in_one_line(internet: Lab, torrent: str, said: str) -> None:
    done = internet.exec("peer-1", "/appbed/join", stdin=torrent or "\n", check=False)
    assert (done.status, len(done.stderr.splitlines())) == (64, 1)
    assert done.stderr.startswith(f"join: {said}" if "tracker" not in said else "join: the torrent")
    assert json.loads(internet.exec("peer-1", "/appbed/status").stdout)["state"] == "idle"


def test_a_torrent_the_tracker_does_not_serve_is_refused_by_the_tracker(internet: Lab) -> None:
    torrent = internet.exec("peer-1", "/appbed/make", "65536", "refused", TRACKER).stdout
    internet.exec("peer-1", "/appbed/join", stdin=torrent)

    def said() -> str:
        return str(json.loads(internet.exec("peer-1", "/appbed/status").stdout)["tracker"])

    try:
        wanted = "Requested download is not authorized for use with this tracker."
        internet.until(lambda: said() == wanted, f"the tracker says: {wanted}", 10)
    finally:
        internet.reset("peer-1")
