"""Sends and reads mail as user agents and servers do, line by line, and asks the servers what they hold."""

from __future__ import annotations

import base64
import email.policy
import functools
import json
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from typing import Any

from appbed.lab import Lab
from appbed.scenarios.tour_parts import mail

ALICE, BOB = mail.SENDER, mail.RECIPIENT
CREPES, HAMBURGER = "mail-crepes", "mail-hamburger"
SERVER_NAMES = {CREPES: "mail.crepes.fr", HAMBURGER: "mail.hamburger.edu"}
HELLO = "Hi Bob!\r\n\r\nLet us share a crepe.\r\n\r\nAlice\r\n"
_ESTABLISHED, _TIME_WAIT, _LISTEN = "01", "06", "0A"


def note(subject: str, text: str = HELLO, *, sender: str = ALICE, recipient: str = BOB) -> EmailMessage:
    """A short message as a user agent writes it."""
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = sender, recipient, subject
    made.set_content(text)
    return made


def submit(lab: Lab, made: EmailMessage) -> None:
    """By the user agent on `client`, to alice's own server."""
    mail.send(lab, made, CREPES, SERVER_NAMES[CREPES])


def password(lab: Lab, host: str, user: str) -> str:
    return lab.exec(host, "/appbed/password", user).stdout.strip()


def mailbox(lab: Lab, host: str, user: str) -> list[dict[str, Any]]:
    return mail.mailbox(lab, host, user)


def queue(lab: Lab, host: str = CREPES) -> list[dict[str, Any]]:
    waiting: list[dict[str, Any]] = json.loads(lab.exec(host, "/appbed/queue").stdout)
    return waiting


def until_bob_has(lab: Lab, count: int, timeout_s: float = 30.0) -> None:
    """And the servers have nothing more to say to each other: a dialogue ends after the message is taken."""
    lab.until(lambda: len(mailbox(lab, HAMBURGER, "bob")) >= count, f"{count} messages in bob's mailbox", timeout_s)
    lab.until(lambda: not queue(lab), "the sender's server has nothing left to send")
    until_silent(lab, (CREPES, HAMBURGER), 25)


def until_silent(lab: Lab, hosts: Iterable[str], port: int) -> None:
    """No host of these has a connection to or from a port any more."""
    for host in hosts:
        lab.until(functools.partial(_silent, lab, host, port), f"{host} has no connection at port {port}")


def _silent(lab: Lab, host: str, port: int) -> bool:
    return not set(_states(lab, host, port)) - {_LISTEN, _TIME_WAIT}


def gives_up(lab: Lab, host: str, port: int) -> bool:
    """Whether no process of a host holds a connection at that port; its kernel may still say good-bye."""
    return _ESTABLISHED not in _states(lab, host, port)


def _states(lab: Lab, host: str, port: int) -> list[str]:
    """From the kernel's own table: local and remote address, state."""
    rows = [line.split() for line in lab.exec(host, "cat", "/proc/net/tcp").stdout.splitlines()[1:]]
    ends = f":{port:04X}"
    return [state for _, local, remote, state, *_ in rows if local.endswith(ends) or remote.endswith(ends)]


# ---- dialogues line by line


def talk(lab: Lab, host: str, protocol: str, server: str, port: int, lines: Sequence[str], *, stay_s: int = 0) -> str:
    """Each line is said once the answer to the one before it is whole; with `stay_s` the connection is held afterwards."""
    staying = ("--stay", str(stay_s)) if stay_s else ()
    return lab.exec(
        host, "/appbed/talk", protocol, server, str(port), *staying, stdin="\n".join(lines), timeout_s=120
    ).stdout


def pop3(
    lab: Lab, host: str, commands: Sequence[str], *, server: str = HAMBURGER, user: str = "bob", stay_s: int = 0
) -> str:
    """A session in a user's mailbox."""
    login = (f"USER {user}", f"PASS {password(lab, server, user)}")
    return talk(lab, host, "pop3", SERVER_NAMES[server], 110, (*login, *commands), stay_s=stay_s)


def imap(lab: Lab, host: str, commands: Sequence[str]) -> str:
    """A session in bob's mailbox; commands get their tags here."""
    login = f"LOGIN bob {password(lab, HAMBURGER, 'bob')}"
    tagged = [f"a{number} {command}" for number, command in enumerate((login, *commands, "LOGOUT"))]
    return talk(lab, host, "imap", SERVER_NAMES[HAMBURGER], 143, tagged)


def hello(lab: Lab, host: str) -> str:
    """How a host without a name of its own greets."""
    return f"[{lab.topology.host(host).address}]"


def login(lab: Lab) -> str:
    """AUTH PLAIN as alice (RFC 4616)."""
    secret = f"\0{ALICE}\0{password(lab, CREPES, 'alice')}"
    return f"AUTH PLAIN {base64.b64encode(secret.encode()).decode()}"


def transaction(content: str, *, sender: str = ALICE, recipient: str = BOB) -> list[str]:
    """MAIL to the dot; dots at the beginning of lines doubled."""
    lines = content.replace("\r\n", "\n").removesuffix("\n").split("\n")
    stuffed = [f".{line}" if line.startswith(".") else line for line in lines]
    return [f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA", *stuffed, "."]


def submit_lines(lab: Lab, *contents: str, recipient: str = BOB) -> str:
    """Messages as they are, over one connection from `client` to alice's own server."""
    said = [line for content in contents for line in transaction(content, recipient=recipient)]
    lines = [f"EHLO {hello(lab, 'client')}", login(lab), *said, "QUIT"]
    return talk(lab, "client", "smtp", SERVER_NAMES[CREPES], 587, lines)
