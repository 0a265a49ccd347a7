"""images/registrar: what may be registered, and the one message each change is; no container needed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import pytest

REGISTRAR = Path(__file__).parents[2] / "images" / "registrar"
MODULES = ("app", "domains", "registry", "settings")
NAME = "networkutopia.com"
GIVEN = [(f"dns1.{NAME}", "10.77.3.40"), (f"dns2.{NAME}", "10.77.3.39")]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports the registrar's modules as they lie in the image, and forgets them: their names are common ones."""
    monkeypatch.syspath_prepend(str(REGISTRAR))
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def office(load: Any, tmp_path: Path) -> Any:
    settings = load("settings")
    return settings.Office(settings.IPv4Network("10.77.0.0/16"), ("10.77.3.11",), "update-registrar", 86400, tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [("networkutopia.com", NAME), ("NetworkUtopia.COM.", NAME), ("xn--kse-qla.com", "xn--kse-qla.com")],
)
def test_a_name_is_written_in_one_way(load: Any, text: str, name: str) -> None:
    assert load("domains").domain(text) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "letters, digits"),
        ("com", "directly below a top-level domain"),
        ("www.networkutopia.com", "directly below a top-level domain"),
        (f"{'a' * 64}.com", "64 characters, at most 63"),
        ("-a.com", "letters, digits"),
        ("a-.com", "letters, digits"),
        ("a_b.com", "letters, digits"),
        ("a..com", "letters, digits"),
        ("a b.com", "letters, digits"),
        ("käse.com", "xn--"),
        ("a\n.com", "letters, digits"),
    ],
)
def test_a_wrong_name_is_refused_with_the_reason(load: Any, text: str, said: str) -> None:
    domains = load("domains")
    with pytest.raises(domains.WrongInput, match=said) as refused:
        domains.domain(text)
    assert len(str(refused.value).splitlines()) == 1


def test_a_label_of_63_characters_is_one(load: Any) -> None:
    assert load("domains").domain(f"{'a' * 63}.com") == f"{'a' * 63}.com"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "has 0 name servers, needs 2"),
        (GIVEN[:1], "has 1 name server, needs 2"),
        ([(f"dns{n}.{NAME}", f"10.77.3.{n}") for n in range(14)], "has 14 name servers, needs 2 to 13"),
        ([GIVEN[0], ("ns1.shop.com", "10.77.3.39")], "outside networkutopia.com"),
        ([GIVEN[0], (NAME, "10.77.3.39")], "outside networkutopia.com"),
        ([GIVEN[0], (f"dns2.x{NAME}", "10.77.3.39")], "outside networkutopia.com"),
        ([GIVEN[0], (GIVEN[1][0], "8.8.8.8")], "8.8.8.8 is outside the lab"),
        ([GIVEN[0], (GIVEN[1][0], "10.77.3")], "'10.77.3' is not an IPv4 address"),
        ([GIVEN[0], (GIVEN[1][0], "")], "'' is not an IPv4 address"),
        ([GIVEN[0], (GIVEN[0][0].upper(), "10.77.3.39")], "two name servers have the name"),
        ([GIVEN[0], (GIVEN[1][0], "10.77.3.40")], "two name servers have the address"),
    ],
)
def test_wrong_name_servers_are_refused_with_the_reason(load: Any, office: Any, given: Any, said: str) -> None:
    domains = load("domains")
    with pytest.raises(domains.WrongInput, match=said):
        domains.name_servers(NAME, given, office.net)


@pytest.mark.parametrize(
    ("name", "value"),
    [("APPBED_NET", "10"), ("ROOT_SERVERS", "root"), ("KEY", "../x"), ("DELEGATION_TTL", "1d")],
)
def test_a_wrong_setting_is_named(load: Any, name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load("settings").read({name: value})
    assert ended.value.code == 64
    assert capsys.readouterr().err.startswith(f"registrar: {name}='{value}' is not possible; choose ")


class Servers:
    """Root and top-level domain in place of the network: answers, and what was sent."""

    def __init__(self) -> None:
        self.delegated: dict[str, list[tuple[str, str]]] = {"com": [("a.nic.com", "10.77.3.21")]}
        self.updates: list[dns.message.Message] = []
        self.answers = [dns.rcode.NOERROR]
        self.keys_told = 0

    def ask(self, question: dns.message.Message, *_: Any, **__: Any) -> tuple[dns.message.Message, bool]:
        reply = dns.message.make_response(question)
        name, kind = question.question[0].name.to_text(omit_final_dot=True), question.question[0].rdtype
        if kind == dns.rdatatype.SOA:
            reply.answer.append(dns.rrset.from_text(f"{name}.", 1, "IN", "SOA", "a.nic.com. h.nic.com. 1 2 3 4 5"))
        elif name not in self.delegated:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        for server, address in self.delegated.get(name, []):
            reply.authority.append(dns.rrset.from_text(f"{name}.", 1, "IN", "NS", f"{server}."))
            reply.additional.append(dns.rrset.from_text(f"{server}.", 1, "IN", "A", address))
        return reply, False

    def tell_key(self, question: dns.message.Message, *_: Any, **__: Any) -> dns.message.Message:
        self.keys_told += 1
        reply = dns.message.make_response(question)
        owner = question.question[0].name.to_text()
        reply.answer.append(dns.rrset.from_text(owner, 0, "IN", "TXT", '"hmac-sha256" "c2VjcmV0"'))
        return reply

    def take(self, update: dns.message.Message, *_: Any, **__: Any) -> dns.message.Message:
        self.updates.append(update)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        reply = dns.message.make_response(dns.message.make_query(".", "A"))
        reply.set_rcode(answer)
        return reply


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    servers = Servers()
    monkeypatch.setattr(dns.query, "udp_with_fallback", servers.ask)
    monkeypatch.setattr(dns.query, "tls", servers.tell_key)
    monkeypatch.setattr(dns.query, "tcp", servers.take)
    return servers


@pytest.fixture
def registry(load: Any, office: Any, servers: Servers) -> Any:
    return load("registry").Registry(office)


@pytest.fixture
def wanted(load: Any, office: Any) -> Any:
    return load("domains").name_servers(NAME, GIVEN, office.net)


def lines(update: dns.message.Message, section: str) -> set[str]:
    """The records of a section as they went over the wire."""
    sent = dns.message.from_wire(update.to_wire(), keyring=update.keyring)
    return {line for rrset in getattr(sent, section) for line in rrset.to_text().splitlines()}


def test_a_registration_is_one_signed_message_that_demands_the_name_be_new(
    registry: Any, servers: Servers, wanted: Any
) -> None:
    server = registry.register(NAME, wanted)
    assert str(server) == "a.nic.com (10.77.3.21)"
    (update,) = servers.updates
    assert lines(update, "prerequisite") == {f"{NAME}. NONE ANY"}
    assert lines(update, "update") == {
        *(f"{NAME}. 86400 IN NS {name}." for name, _ in GIVEN),
        *(f"{name}. 86400 IN A {address}" for name, address in GIVEN),
    }
    assert update.keyname.to_text() == "update-registrar."
    assert update.keyalgorithm == dns.tsig.HMAC_SHA256


def test_a_taken_name_is_the_servers_own_answer(load: Any, registry: Any, servers: Servers, wanted: Any) -> None:
    servers.answers = [dns.rcode.YXDOMAIN]
    with pytest.raises(load("registry").Refused, match=r"a\.nic\.com \(10\.77\.3\.21\) answers YXDOMAIN") as refused:
        registry.register(NAME, wanted)
    assert refused.value.answer == "YXDOMAIN"


def test_a_removal_demands_that_nothing_changed_and_takes_the_addresses_along(registry: Any, servers: Servers) -> None:
    servers.delegated[NAME] = GIVEN
    registry.remove(NAME)
    (update,) = servers.updates
    assert lines(update, "prerequisite") == {f"{NAME}. 0 IN NS {name}." for name, _ in GIVEN}
    assert lines(update, "update") == {f"{NAME}. ANY NS", *(f"{name}. ANY A" for name, _ in GIVEN)}


def test_a_change_is_a_removal_and_a_registration_in_one_message(registry: Any, servers: Servers, wanted: Any) -> None:
    servers.delegated[NAME] = [GIVEN[0], (f"old.{NAME}", "10.77.3.99")]
    registry.change(NAME, wanted)
    (update,) = servers.updates
    assert f"old.{NAME}. ANY A" in lines(update, "update")
    assert f"dns2.{NAME}. 86400 IN A 10.77.3.39" in lines(update, "update")


@pytest.mark.parametrize("act", ["remove", "show"])
def test_what_is_not_registered_is_the_servers_own_answer(load: Any, registry: Any, act: str) -> None:
    with pytest.raises(load("registry").Refused, match="answers NXDOMAIN"):
        getattr(registry, act)(NAME)


def test_a_top_level_domain_that_is_not_there_is_wrong_input(load: Any, registry: Any) -> None:
    with pytest.raises(load("domains").WrongInput, match="no top-level domain 'org'"):
        registry.show("networkutopia.org")


def test_the_key_is_asked_for_once(registry: Any, servers: Servers, wanted: Any) -> None:
    registry.register(NAME, wanted)
    registry.register(NAME, wanted)
    assert servers.keys_told == 1


def test_a_server_with_new_keys_is_asked_for_its_key_again(registry: Any, servers: Servers, wanted: Any) -> None:
    registry.register(NAME, wanted)
    servers.answers = [dns.tsig.PeerBadSignature(), dns.rcode.NOERROR]
    registry.register(NAME, wanted)
    assert servers.keys_told == 2


def test_a_key_that_stays_wrong_is_shown_as_such(load: Any, registry: Any, servers: Servers, wanted: Any) -> None:
    servers.answers = [dns.tsig.PeerBadKey()]
    with pytest.raises(load("registry").Refused, match="answers NOTAUTH"):
        registry.register(NAME, wanted)


def test_silence_is_not_called_a_refusal(load: Any, registry: Any, servers: Servers, wanted: Any) -> None:
    servers.answers = [TimeoutError()]
    with pytest.raises(load("registry").Unanswered, match=r"no answer from a\.nic\.com"):
        registry.register(NAME, wanted)


def test_unsigned_is_unsigned(registry: Any, servers: Servers, wanted: Any) -> None:
    registry.register(NAME, wanted, signed=False)
    assert servers.keys_told == 0
    assert servers.updates[0].keyring is None


FORM = {"name": NAME, "server": [name for name, _ in GIVEN], "address": [address for _, address in GIVEN]}


class TestPages:
    """The site as a browser meets it; skipped where Flask is not installed."""

    @pytest.fixture
    def browser(self, load: Any, registry: Any, office: Any) -> Any:
        pytest.importorskip("flask")
        return load("app").create_app(registry, office.net).test_client()

    def test_a_free_name_is_offered_and_a_taken_one_shown(self, browser: Any, servers: Servers) -> None:
        assert "is free" in browser.get(f"/domain?name={NAME}").text
        servers.delegated[NAME] = GIVEN
        page = browser.get(f"/domain?name={NAME}").text
        assert "is registered" in page
        assert "<td>10.77.3.39</td>" in page

    def test_after_the_form_the_browser_gets(self, browser: Any, servers: Servers) -> None:
        answer = browser.post("/register", data=FORM)
        assert (answer.status_code, answer.location) == (303, f"/domain?name={NAME}")
        assert len(servers.updates) == 1

    @pytest.mark.parametrize("act", ["register", "change"])
    def test_one_server_is_400_and_nothing_is_sent(self, browser: Any, servers: Servers, act: str) -> None:
        answer = browser.post(f"/{act}", data=FORM | {"address": FORM["address"][:1]})
        assert answer.status_code == 400
        assert "has 1 name server" in answer.text
        assert servers.updates == []

    def test_a_refusal_is_409_with_the_servers_answer(self, browser: Any, servers: Servers) -> None:
        servers.answers = [dns.rcode.YXDOMAIN]
        answer = browser.post("/register", data=FORM)
        assert answer.status_code == 409
        assert 'data-answer="YXDOMAIN"' in answer.text

    def test_what_a_visitor_writes_is_text(self, browser: Any) -> None:
        answer = browser.get("/domain?name=<script>")
        assert answer.status_code == 400
        assert "<script>" not in answer.text

    def test_another_site_cannot_post(self, browser: Any, servers: Servers) -> None:
        answer = browser.post("/register", data=FORM, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert servers.updates == []
