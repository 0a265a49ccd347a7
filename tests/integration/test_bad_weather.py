"""Servers that go away in the middle of it: who asks is told so, and what can be done later is done when they are back.

All of them are away at one time, so that one storm serves every test.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from appbed.engine import Completed
from appbed.lab import Lab
from appbed.scenarios.tour_parts import mail

from .browser import Answer, Browser

pytestmark = pytest.mark.docker
AWAY = ("mail-hamburger", "tld-com", "tracker", "shop")
NAME, TRACKER = "stormy.com", "http://tracker.someschool.edu:6969/announce"


@dataclass(frozen=True, slots=True)
class Storm:
    """What everybody was told while the servers were away; they are back when a test sees it."""

    webmail: Answer
    shop: Answer
    registrar: Completed
    page: Answer
    queue: list[dict[str, Any]]
    peer: dict[str, Any]
    info_hash: str


@contextlib.contextmanager
def away(lab: Lab, *hosts: str) -> Iterator[None]:
    """Their containers are stopped, and started again whatever happens."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        try:
            list(pool.map(lambda host: lab.engine.act(lab.name, host, "stop"), hosts))
            yield
        finally:
            list(pool.map(lambda host: lab.engine.act(lab.name, host, "start"), hosts))
            lab.wait_ready()


@pytest.fixture(scope="module")
def storm(internet: Lab) -> Storm:
    lab = internet
    lab.reset()
    password = lab.exec("mail-hamburger", "/appbed/password", "bob").stdout.strip()
    torrent = lab.exec("peer-1", "/appbed/make", "65536", "storm", TRACKER).stdout
    # What they ask for by name is remembered by the local DNS servers: without `com`, no new name below it would be found.
    webmail, shop, page = (
        Browser(lab, f"{it}") for it in ("webmail.hamburger.edu", "www.shop.com", "www.registrar.com")
    )
    assert [it.get().status for it in (webmail, shop, page)] == [200, 200, 200]
    with ThreadPoolExecutor(5) as pool, away(lab, *AWAY):
        peer, logged_in, shown = (
            pool.submit(_joined, lab, torrent),
            pool.submit(webmail.log_in, "bob", password),
            pool.submit(shop.get),
        )
        command = pool.submit(lab.exec, "registrar", *_registration(lab), check=False)
        looked = pool.submit(page.get, f"/domain?name={NAME}")
        answers = logged_in.result(), shown.result(), command.result(), looked.result()
        status = peer.result()
        queue = _deferred(lab)  # last: a message is given up after 30 s
    return Storm(*answers, queue, status, json.loads(torrent)["info_hash"])


def _deferred(lab: Lab) -> list[dict[str, Any]]:
    """The queue of alice's server once a message to bob was tried in vain."""
    mail.send(lab, mail.message(mail.SENDER, mail.RECIPIENT), "mail-crepes", "mail.crepes.fr")

    def queue() -> list[dict[str, Any]]:
        waiting: list[dict[str, Any]] = json.loads(lab.exec("mail-crepes", "/appbed/queue").stdout)
        return waiting

    lab.until(lambda: any("delay_reason" in to for one in queue() for to in one["recipients"]), "it was tried in vain")
    return queue()


def _joined(lab: Lab, torrent: str) -> dict[str, Any]:
    """A peer's state once its tracker did not answer."""
    lab.exec("peer-1", "/appbed/join", stdin=torrent)
    lab.until(lambda: bool(_status(lab)["tracker"]), "the peer gave an announce up")
    return _status(lab)


def _status(lab: Lab) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(lab.exec("peer-1", "/appbed/status").stdout)
    return status


def _registration(lab: Lab) -> tuple[str, ...]:
    net = str(lab.topology.host("registrar").address).rsplit(".", 2)[0]
    return ("/appbed/registrar", "register", NAME, "--ns", f"dns1.{NAME}={net}.3.40", "--ns", f"dns2.{NAME}={net}.3.39")


def test_mail_waits_in_the_queue_and_arrives_when_the_other_server_is_back(internet: Lab, storm: Storm) -> None:
    (message,) = storm.queue
    (recipient,) = message["recipients"]
    assert (recipient["address"], message["sender"]) == (mail.RECIPIENT, mail.SENDER)
    assert recipient["delay_reason"].startswith("connect to mail.hamburger.edu[")
    internet.until(lambda: bool(mail.mailbox(internet, "mail-hamburger", "bob")), "the message is in bob's mailbox", 20)
    (arrived,) = mail.mailbox(internet, "mail-hamburger", "bob")
    assert (arrived["from"], arrived["subject"]) == (mail.SENDER, "크레페")
    internet.until(lambda: internet.exec("mail-crepes", "/appbed/queue").stdout.strip() == "[]", "the queue is empty")
    assert mail.mailbox(internet, "mail-crepes", "alice") == [], "no bounce"


def test_webmail_says_that_its_mail_server_is_away(internet: Lab, storm: Storm) -> None:
    assert (storm.webmail.status, "Connection to storage server failed." in storm.webmail.text) == (401, True)
    password = internet.exec("mail-hamburger", "/appbed/password", "bob").stdout.strip()
    assert Browser(internet, "webmail.hamburger.edu").log_in("bob", password).status == 302


def test_a_registration_that_nobody_answers_is_no_registration_and_can_be_repeated(internet: Lab, storm: Storm) -> None:
    assert (storm.registrar.status, storm.page.status) == (75, 504)
    for said in (storm.registrar.stderr, storm.page.text):
        assert "no answer from a.nic.com" in said
    internet.exec("registrar", *_registration(internet))
    assert NAME in internet.exec("registrar", "/appbed/registrar", "show", NAME).stdout


def test_a_peer_says_that_its_tracker_is_away_and_asks_again_by_itself(internet: Lab, storm: Storm) -> None:
    assert storm.peer["tracker"] in ("No route to host", "timed out")
    internet.exec("tracker", "/appbed/allow", storm.info_hash)  # what a tracker served ends with its container
    internet.until(lambda: _status(internet)["tracker"] == "ok", "the peer was heard by its tracker", 20)
    internet.reset("peer-1", "tracker")


def test_the_window_says_that_a_page_s_server_is_away(internet: Lab, storm: Storm) -> None:
    assert (storm.shop.status, storm.shop.text) == (503, "The page's server does not answer.\n")
    assert Browser(internet, "www.shop.com").get().status == 200
