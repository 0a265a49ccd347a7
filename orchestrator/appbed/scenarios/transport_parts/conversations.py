"""A little of every protocol: a name, a picture, a message from its writer to its reader, and a file handed from peer to peer."""

from __future__ import annotations

import email.policy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage

from appbed.analysis import Connection
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenarios.tour_parts import mail
from appbed.scenarios.web_parts.digests import digests
from appbed.scenarios.web_parts.site import REPLICAS, SITE

PICTURE = "/img/03.jpg"
FILE_BYTES, TRACKER = 65_536, "http://tracker.someschool.edu:6969/announce"
POINTS = ("client", "client-2", "mail-crepes", "peer-1")
ROLES = ("client", "resolver", "web", "mail", "tracker", "peer")
_PEERS_S = 60.0


@dataclass(frozen=True, slots=True)
class Opening:
    """Who opens a conversation with whom: hosts, and the port at which the server waits; seen at `point`."""

    point: str
    client: str
    servers: tuple[str, ...]
    port: int


OPENINGS: Mapping[str, Opening] = {
    "web": Opening("client", "client", REPLICAS, 80),
    "mail, from its writer": Opening("client", "client", ("mail-crepes",), 587),
    "mail, between servers": Opening("mail-crepes", "mail-crepes", ("mail-hamburger",), 25),
    "POP3": Opening("client-2", "client-2", ("mail-hamburger",), 110),
    "IMAP": Opening("client-2", "client-2", ("mail-hamburger",), 143),
}
TRACKED = Opening("peer-1", "peer-1", ("tracker",), 6969)


def opened(evidence: Evidence, opening: Opening) -> list[Connection]:
    """The connections to that port at those servers, whoever opened them."""
    servers = {evidence.address(server) for server in opening.servers}
    return [
        each
        for each in evidence.capture.connections(f"host:{opening.point}")
        if servers & {each.client.host, each.server.host} and opening.port in (each.client.port, each.server.port)
    ]


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, REPLICAS[0], {PICTURE: f"/srv/site{PICTURE}"}))
    record.step("name and picture")
    lab.exec("client", "dig", SITE, "A")
    lab.exec("client", "curl", "--silent", "--fail", "--output", "/dev/null", f"http://{SITE}{PICTURE}")
    _mail(lab, record)
    _swarm(lab, record)


def _mail(lab: Lab, record: Recorder) -> None:
    record.step("mail")
    mail.send(lab, _message(), "mail-crepes", "mail.crepes.fr")
    lab.until(lambda: bool(mail.mailbox(lab, "mail-hamburger", "bob")), "the message is in bob's mailbox")
    password = lab.exec("mail-hamburger", "/appbed/password", "bob").stdout.strip()
    get = ("curl", "--silent", "--show-error", "--max-time", "20", "--user", f"{mail.RECIPIENT}:{password}")
    for url in ("pop3://mail.hamburger.edu/1", "imap://mail.hamburger.edu/INBOX;MAILINDEX=1"):
        lab.exec("client-2", *get, url)


def _message() -> EmailMessage:
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = mail.SENDER, mail.RECIPIENT, "Crepes"
    made.set_content("Hi Bob!\n\nLet us share a crepe.\n\nAlice\n")
    return made


def _swarm(lab: Lab, record: Recorder) -> None:
    """The seed hands the file to one peer and leaves; that peer hands it to the next."""
    record.step("swarm")
    torrent = lab.exec("seed", "/appbed/make", str(FILE_BYTES), "handed-on", TRACKER).stdout
    made = json.loads(torrent)
    lab.exec("tracker", "/appbed/allow", made["info_hash"])
    lab.exec("seed", "/appbed/join", stdin=torrent)
    _join(lab, "peer-1", torrent)
    lab.exec("seed", "/appbed/leave")
    got = _join(lab, "peer-2", torrent)
    record.event("handed on", made_sha256=made["sha256"], got_sha256=got)


def _join(lab: Lab, peer: str, torrent: str) -> str:
    """Until the peer has the file; its SHA-256 there."""
    lab.exec(peer, "/appbed/join", stdin=torrent)
    lab.until(lambda: _status(lab, peer)["state"] == "complete", f"{peer} has the file", _PEERS_S)
    return str(_status(lab, peer)["sha256"])


def _status(lab: Lab, peer: str) -> dict[str, object]:
    status: dict[str, object] = json.loads(lab.exec(peer, "/appbed/status").stdout)
    return status
