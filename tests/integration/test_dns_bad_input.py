"""What a user does wrong with names is answered by the registrar or by a real server, in its own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appbed.analysis import Capture, DnsTransaction
from appbed.engine import Completed
from appbed.lab import Lab

from .browser import Browser

pytestmark = pytest.mark.docker
LAME, LONG = "lame.com", "a" * 64 + ".com"


@pytest.fixture(scope="module", autouse=True)
def fresh(internet: Lab) -> Iterator[None]:
    internet.reset("registrar", "tld-com", "dns")
    yield
    internet.reset("registrar", "tld-com", "dns")


def _address(lab: Lab, host: str) -> str:
    return str(lab.topology.host(host).address)


def _register(lab: Lab, name: str, *before: str) -> Completed:
    """Two name servers that are there, and serve other domains."""
    servers = [("dns1", "ns-hosting"), ("dns2", "ns-umass-2")]
    given = [word for label, host in servers for word in ("--ns", f"{label}.{name}={_address(lab, host)}")]
    return lab.exec("registrar", *before, "/appbed/registrar", "register", name, *given, "--json", check=False)


def _asked(lab: Lab, file: Path, name: str, *more: str) -> list[DnsTransaction]:
    """What the local server's own interface sees when a client asks for a name."""
    with lab.capture(file, "dns"):
        for _ in range(1 + len(more)):
            lab.exec("client", "dig", "+tries=1", "+timeout=20", name)
    return Capture.open(file).dns("host:dns")


# ---- a registration


@pytest.mark.parametrize(
    ("name", "said"),
    [(LONG, "a label has 64 characters, at most 63 are possible"), ("school.nosuch", "no top-level domain 'nosuch'")],
)
def test_a_name_that_cannot_be_is_refused_by_command_and_page_before_the_top_level_domain_is_asked(
    internet: Lab, name: str, said: str, tmp_path: Path
) -> None:
    with internet.capture(tmp_path / "tld.pcapng", "tld-com"):
        command = _register(internet, name)
        browser = Browser(internet, "www.registrar.com")
        page = browser.post("/register", [("name", name), *_form(internet, name)], Origin=browser.url)
    assert (command.status, json.loads(command.stdout)["outcome"]) == (64, "wrong input")
    assert said in json.loads(command.stdout)["message"]
    assert page.status == 400
    assert said.split("'")[0] in page.text
    registrar = _address(internet, "registrar")
    asked = [
        each for each in Capture.open(tmp_path / "tld.pcapng").dns("host:tld-com") if each.client.host == registrar
    ]
    assert asked == []


def _form(lab: Lab, name: str) -> Iterator[tuple[str, str]]:
    for label, host in (("dns1", "ns-hosting"), ("dns2", "ns-umass-2")):
        yield from (("server", f"{label}.{name}"), ("address", _address(lab, host)))


def test_a_registrar_without_a_key_registers_nothing(internet: Lab) -> None:
    """The server has no key of this name, and the registrar's own address is told none."""
    done = _register(internet, LAME, "env", "KEY=nobody")
    told = json.loads(done.stdout)
    assert (done.status, told["outcome"], told["answer"]) == (1, "refused", "REFUSED")
    assert "update-nobody" in told["message"]
    assert internet.exec("registrar", "/appbed/registrar", "show", LAME, check=False).status == 1


def test_an_update_with_a_key_the_server_does_not_know_is_refused(internet: Lab) -> None:
    net = _address(internet, "tld-com").rsplit(".", 2)[0]
    script = (
        f"server {net}.3.21\nzone com\nkey hmac-sha256:update-made-up bWFkZS11cA==\n"
        f"update add {LAME} 60 NS ns1.{LAME}\nsend\n"
    )
    done = internet.exec("client", "nsupdate", stdin=script, check=False)
    assert (done.status, "NOTAUTH(BADKEY)" in done.stderr) == (2, True), done.stderr
    assert internet.exec("registrar", "/appbed/registrar", "show", LAME, check=False).status == 1


# ---- a question


def test_a_name_with_a_label_of_64_characters_is_not_even_asked_for(internet: Lab) -> None:
    done = internet.exec("client", "dig", LONG, check=False)
    assert done.status != 0
    assert "is not a legal name (label too long)" in done.stdout + done.stderr


def test_a_name_below_no_top_level_domain_is_the_root_s_to_deny_and_remembered(internet: Lab, tmp_path: Path) -> None:
    """Nobody else is asked, and nobody at all the second time."""
    internet.reset("dns")
    seen = _asked(internet, tmp_path / "nosuch.pcapng", "www.school.nosuch", "again")
    client, local = _address(internet, "client"), _address(internet, "dns")
    asked, onward = ([each for each in seen if each.client.host == host] for host in (client, local))
    assert [each.rcode for each in asked] == ["NXDOMAIN"] * 2
    assert {each.rcode for each in onward if each.responses} == {"NXDOMAIN"}
    assert {each.server.host for each in onward} <= {_address(internet, host) for host in ("root-a", "root-b")}
    assert max(each.start_s for each in onward) < asked[1].start_s


def test_a_lame_delegation_is_a_failure_of_the_server_and_not_a_name_that_does_not_exist(
    internet: Lab, tmp_path: Path
) -> None:
    """Both servers that the top-level domain names know nothing of the domain, and say so (REFUSED)."""
    assert _register(internet, LAME).status == 0
    internet.reset("dns")
    seen = _asked(internet, tmp_path / "lame.pcapng", f"www.{LAME}")
    client = _address(internet, "client")
    assert [each.rcode for each in seen if each.client.host == client] == ["SERVFAIL"]
    named = {_address(internet, host) for host in ("ns-hosting", "ns-umass-2")}
    answered = [each for each in seen if each.server.host in named and each.responses]
    assert {each.server.host for each in answered} == named
    assert {each.rcode for each in answered} == {"REFUSED"}
