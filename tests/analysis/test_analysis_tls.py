"""TLS hellos made by a real implementation, at the beginning and after STARTTLS, and alerts in the clear."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from traffic import SERVER, Talk, pcap

from appbed.analysis import Capture, TlsHandshake, certificate


def client_hello(name: str | None, protocols: list[str], highest: ssl.TLSVersion) -> bytes:
    context = ssl.create_default_context()
    context.maximum_version = highest
    context.set_alpn_protocols(protocols)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context.check_hostname = name is not None
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def server_hello(version: int) -> bytes:
    extension = b"\0\x2b\0\x02" + version.to_bytes(2, "big") if version > 0x0303 else b"\0\x17\0\0"
    hello = b"\x03\x03" + b"r" * 32 + b"\0" + b"\x13\x01\0" + len(extension).to_bytes(2, "big") + extension
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message


def handshake(talk: Talk) -> TlsHandshake:
    (found,) = Capture.open(pcap(talk.frames)).tls()
    return found


@pytest.mark.parametrize("mss", [1460, 50])
def test_names_and_versions(mss: int) -> None:
    hello = client_hello("www.umass.edu", ["h2", "http/1.1"], ssl.TLSVersion.TLSv1_3)
    talk = Talk(server=(SERVER, 443), mss=mss).open().say("client", hello).say("server", server_hello(0x0304))
    found = handshake(talk)
    assert (found.server_name, found.offered, found.version) == ("www.umass.edu", ("TLS 1.3", "TLS 1.2"), "TLS 1.3")
    assert found.protocols == ("h2", "http/1.1")
    assert found.start_s < found.end_s


def test_older_versions_and_no_name() -> None:
    hello = client_hello(None, ["x"], ssl.TLSVersion.TLSv1_2)
    found = handshake(Talk(server=(SERVER, 443)).open().say("client", hello).say("server", server_hello(0x0303)))
    assert (found.server_name, found.offered, found.version) == ("", ("TLS 1.2",), "TLS 1.2")


def test_a_refusal_in_the_clear() -> None:
    hello = client_hello("other.edu", ["x"], ssl.TLSVersion.TLSv1_2)
    talk = Talk(server=(SERVER, 443)).open().say("client", hello).say("server", b"\x15\x03\x03\0\x02\x02\x70")
    found = handshake(talk)
    assert [(alert.sender, alert.fatal, alert.name) for alert in found.alerts] == [
        ("server", True, "unrecognized_name")
    ]
    assert found.version == ""


def test_after_starttls() -> None:
    hello = client_hello("mail.umass.edu", ["x"], ssl.TLSVersion.TLSv1_3)
    talk = Talk(server=(SERVER, 25)).open().say("server", b"220 a\r\n").say("client", b"STARTTLS\r\n")
    talk.say("server", b"220 go\r\n").say("client", hello).say("server", server_hello(0x0304))
    found = handshake(talk)
    assert (found.server_name, found.version) == ("mail.umass.edu", "TLS 1.3")


def test_a_hello_cut_short_and_other_traffic() -> None:
    hello = client_hello("www.umass.edu", ["x"], ssl.TLSVersion.TLSv1_3)
    found = handshake(Talk(server=(SERVER, 443)).open().say("client", hello[:60]))
    assert (found.server_name, found.offered, found.version) == ("", (), "")
    assert Capture.open(pcap(Talk().open().say("client", b"GET / HTTP/1.0\r\n\r\n").frames)).tls() == ()


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What images/web makes at its start: an authority and a certificate for www.someschool.edu."""
    folder = tmp_path_factory.mktemp("issued") / "tls"
    certify = Path(__file__).parents[2] / "images" / "web" / "certify"
    subprocess.run([certify, "www.someschool.edu", folder], check=True)
    return folder


def conversation(issued: Path, asked: str, highest: ssl.TLSVersion, *, trusting: bool = True) -> Talk:
    """A handshake between two real implementations, then a request if it came about, as packets."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(issued / "server.pem", issued / "server.key")
    client_side = ssl.create_default_context(cafile=str(issued / "authority.pem") if trusting else None)
    client_side.maximum_version = highest
    wires = {who: (ssl.MemoryBIO(), ssl.MemoryBIO()) for who in ("client", "server")}
    client = client_side.wrap_bio(*wires["client"], server_hostname=asked)
    server = server_side.wrap_bio(*wires["server"], server_side=True)
    talk = Talk(server=(SERVER, 443)).open()

    def step(who: str, other: str, act: Callable[[], object]) -> None:
        with contextlib.suppress(ssl.SSLError):
            act()
        if said := wires[who][1].read():
            talk.say(who, said)
            wires[other][0].write(said)

    for _ in range(3):
        step("client", "server", client.do_handshake)
        step("server", "client", server.do_handshake)
    step("client", "server", lambda: client.write(b"down-the-rabbit-hole"))
    return talk


def test_the_certificate_of_tls_1_2_tells_whose_it_is_and_who_vouches(issued: Path) -> None:
    found = handshake(conversation(issued, "www.someschool.edu", ssl.TLSVersion.TLSv1_2))
    authority = certificate(ssl.PEM_cert_to_DER_cert((issued / "authority.pem").read_text()))
    assert authority is not None
    assert found.certificate is not None
    assert found.certificate.names == ("www.someschool.edu",)
    assert found.certificate.issuer == authority.subject == authority.issuer != found.certificate.subject
    assert b"down-the-rabbit-hole" not in found.connection.from_client.data
    assert found.application_bytes > len(b"down-the-rabbit-hole")


def test_what_tls_1_3_encrypts_is_not_there(issued: Path) -> None:
    found = handshake(conversation(issued, "www.someschool.edu", ssl.TLSVersion.TLSv1_3))
    assert (found.version, found.certificate) == ("TLS 1.3", None)
    assert found.application_bytes > 0


@pytest.mark.parametrize(
    ("asked", "trusting", "alert"),
    [("web.someschool.edu", True, "bad_certificate"), ("www.someschool.edu", False, "unknown_ca")],
)
def test_a_client_that_refuses_the_certificate_says_so_and_nothing_else(
    issued: Path, asked: str, trusting: bool, alert: str
) -> None:
    found = handshake(conversation(issued, asked, ssl.TLSVersion.TLSv1_2, trusting=trusting))
    assert found.server_name == asked
    assert [(each.sender, each.fatal, each.name) for each in found.alerts] == [("client", True, alert)]
    assert found.application_bytes == 0


@pytest.mark.parametrize("cut", [0, 1, 40, 200, -1])
def test_a_certificate_cut_short_names_nobody(issued: Path, cut: int) -> None:
    whole = ssl.PEM_cert_to_DER_cert((issued / "server.pem").read_text())
    assert certificate(whole) is not None
    assert certificate(whole[:cut]) is None
