"""TLS hellos made by a real implementation, at the beginning and after STARTTLS, and alerts in the clear."""

from __future__ import annotations

import ssl

import pytest
from traffic import SERVER, Talk, pcap

from appbed.analysis import Capture, TlsHandshake


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
