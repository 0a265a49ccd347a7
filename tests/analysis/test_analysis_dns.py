"""DNS messages to the last bit, and transactions over loss, repetition, TCP, updates and nonsense."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address

import dns.message
import dns.name
import dns.tsigkeyring
import dns.update
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traffic import CLIENT, RESOLVER, START_NS, Talk, Timed, flip, ip, pcap, udp

from appbed.analysis import Capture, DnsRecord, DnsTransaction, Question
from appbed.analysis.dns_message import by_dnspython
from appbed.analysis.dns_plain import Sections
from appbed.analysis.dns_plain import read as read_plain

QUESTION = dns.message.make_query("www.umass.edu", "A", id=4660)
ANSWER = dns.message.make_response(QUESTION, recursion_available=True)
ANSWER.flags |= dns.flags.AA
ANSWER.answer = [
    dns.rrset.from_text("www.umass.edu.", 300, "IN", "CNAME", "web.umass.edu."),
    # one set each, for dnspython shuffles a set when it writes it
    *(dns.rrset.from_text("web.umass.edu.", 60, "IN", "A", f"10.77.4.{last}") for last in (2, 1, 3)),
]
ANSWER.authority = [dns.rrset.from_text("umass.edu.", 60, "IN", "NS", "dns.umass.edu.")]
ANSWER.additional = [dns.rrset.from_text("dns.umass.edu.", 60, "IN", "A", "10.77.4.53")]


def ask(message: dns.message.Message, after_ms: int, port: int = 5000) -> Timed:
    return START_NS + after_ms * 10**6, udp(CLIENT, port, RESOLVER, 53, message.to_wire())


def tell(message: dns.message.Message, after_ms: int, port: int = 5000) -> Timed:
    return START_NS + after_ms * 10**6, udp(RESOLVER, 53, CLIENT, port, message.to_wire())


def transactions(*frames: Timed) -> tuple[DnsTransaction, ...]:
    return Capture.open(pcap(list(frames), nanoseconds=True)).dns()


def test_a_transaction_has_everything() -> None:
    (found,) = transactions(ask(QUESTION, 0), tell(ANSWER, 40))
    assert (found.client, found.server) == ((CLIENT, 5000), (RESOLVER, 53))
    assert (found.name, found.type, found.rcode, found.id) == ("www.umass.edu", "A", "NOERROR", 4660)
    assert found.duration_s == pytest.approx(0.040, abs=1e-6)
    assert (found.transport, found.retransmissions, found.connection) == ("udp", 0, None)
    assert found.query is not None
    assert found.response is not None
    assert found.query.header == QUESTION.to_wire()[:12]
    assert (found.query.is_response, found.query.recursion_desired, found.query.authoritative) == (False, True, False)
    response = found.response
    assert (response.id, response.is_response, response.authoritative) == (4660, True, True)
    assert (response.recursion_available, response.truncated, response.opcode) == (True, False, 0)
    assert (response.counts, response.packet, response.fault) == ((1, 4, 1, 1), 2, "")
    assert response.question == Question("www.umass.edu", "A")
    assert response.answer[0] == DnsRecord("www.umass.edu", "web.umass.edu", "CNAME", 300)
    assert [record.value for record in response.answer[1:]] == ["10.77.4.2", "10.77.4.1", "10.77.4.3"]
    assert response.authority == (DnsRecord("umass.edu", "dns.umass.edu", "NS", 60),)
    assert response.additional == (DnsRecord("dns.umass.edu", "10.77.4.53", "A", 60),)


def test_messages_are_in_order_of_time() -> None:
    capture = Capture.open(pcap([ask(QUESTION, 0, 1), ask(QUESTION, 1, 2), tell(ANSWER, 3, 2), tell(ANSWER, 9, 1)]))
    assert [(m.is_response, m.source.port) for m in capture.dns_messages()] == [
        (False, 1),
        (False, 2),
        (True, 53),
        (True, 53),
    ]
    assert [(t.client.port, t.end_s - t.start_s) for t in capture.dns()] == [
        (1, pytest.approx(0.009, abs=1e-6)),
        (2, pytest.approx(0.002, abs=1e-6)),
    ]


def test_a_query_sent_again_is_one_transaction() -> None:
    (found,) = transactions(ask(QUESTION, 0), ask(QUESTION, 1000), tell(ANSWER, 1020))
    assert (found.retransmissions, found.duration_s) == (1, pytest.approx(1.02, abs=1e-6))


def test_the_same_query_after_its_response_is_another() -> None:
    found = transactions(ask(QUESTION, 0), tell(ANSWER, 5), ask(QUESTION, 100), tell(ANSWER, 105))
    assert [len(each.messages) for each in found] == [2, 2]


def test_another_question_with_the_same_identifier_is_another() -> None:
    other = dns.message.make_query("mail.umass.edu", "MX", id=4660)
    found = transactions(ask(QUESTION, 0), ask(other, 1), tell(dns.message.make_response(other), 2))
    assert [(each.name, each.response is not None) for each in found] == [
        ("www.umass.edu", False),
        ("mail.umass.edu", True),
    ]


def test_names_differ_but_not_by_case() -> None:
    other, same = (dns.message.make_query(name, "A", id=4660) for name in ("ftp.umass.edu", "WWW.umass.EDU"))
    assert [each.name for each in transactions(ask(QUESTION, 0), ask(other, 1))] == ["www.umass.edu", "ftp.umass.edu"]
    assert transactions(ask(QUESTION, 0), ask(same, 1))[0].retransmissions == 1


def test_a_response_alone_and_one_without_question() -> None:
    (found,) = transactions(tell(ANSWER, 5))
    assert (found.query, found.name, found.duration_s) == (None, "www.umass.edu", None)
    refused = dns.message.from_wire(ANSWER.to_wire())
    refused.sections = [[], [], [], []]
    refused.set_rcode(dns.rcode.FORMERR)
    (found,) = transactions(ask(QUESTION, 0), tell(refused, 5))
    assert (found.rcode, found.name) == ("FORMERR", "www.umass.edu")


def test_a_duplicated_response_stays_in_the_transaction() -> None:
    (found,) = transactions(ask(QUESTION, 0), tell(ANSWER, 5), tell(ANSWER, 6))
    assert (len(found.responses), found.duration_s) == (2, pytest.approx(0.005, abs=1e-6))


def test_edns_and_extended_codes() -> None:
    asked = dns.message.make_query("umass.edu", "TXT", id=1, use_edns=0, payload=1232)
    bad = dns.message.make_response(asked)
    bad.use_edns(0, payload=4096)
    bad.set_rcode(dns.rcode.BADVERS)
    (found,) = transactions(ask(asked, 0), tell(bad, 1))
    assert found.query is not None
    assert (found.query.edns_bytes, found.query.additional, found.rcode) == (1232, (), "BADVERS")


def test_dns_over_tcp() -> None:
    other = dns.message.make_query("umass.edu", "MX", id=9)
    wires = [message.to_wire() for message in (QUESTION, other, ANSWER, dns.message.make_response(other))]
    framed = [len(wire).to_bytes(2, "big") + wire for wire in wires]
    talk = Talk(server=(RESOLVER, 53)).open().say("client", framed[0]).say("client", framed[1])
    talk.say("server", framed[2] + framed[3])
    capture = Capture.open(pcap(talk.frames))
    assert [(t.name, t.transport, t.rcode) for t in capture.dns()] == [
        ("www.umass.edu", "tcp", "NOERROR"),
        ("umass.edu", "tcp", "NOERROR"),
    ]
    assert capture.dns()[0].connection is capture.connections()[0]


def test_a_zone_transfer_is_one_transaction() -> None:
    asked = dns.message.make_query("edu", "AXFR", id=3)
    parts = [dns.message.make_response(asked) for _ in range(3)]
    parts[1].question = []
    talk = Talk(server=(RESOLVER, 53)).open()
    for who, message in (("client", asked), *(("server", part) for part in parts)):
        talk.say(who, len(message.to_wire()).to_bytes(2, "big") + message.to_wire())
    (found,) = Capture.open(pcap(talk.frames)).dns()
    assert (found.type, len(found.responses)) == ("AXFR", 3)


def test_a_signed_update_is_decoded() -> None:
    update = dns.update.UpdateMessage("com", keyring=dns.tsigkeyring.from_text({"registrar": "c2VjcmV0"}), id=8)
    update.absent("networkutopia")
    update.add("networkutopia", 300, "NS", "dns1.networkutopia.com.")
    (found,) = transactions((START_NS, udp(CLIENT, 5000, RESOLVER, 53, update.to_wire())))
    assert found.query is not None
    assert (found.query.opcode, found.name, found.type, found.query.fault) == (5, "com", "SOA", "")
    assert found.query.answer == (DnsRecord("networkutopia.com", "", "ANY", 0, "NONE"),)
    assert found.query.authority == (DnsRecord("networkutopia.com", "dns1.networkutopia.com", "NS", 300),)


def test_a_message_that_breaks_the_format_says_so() -> None:
    wire = ANSWER.to_wire()
    (found,) = transactions(ask(QUESTION, 0), (START_NS + 9, udp(RESOLVER, 53, CLIENT, 5000, wire[:-3])))
    assert found.response is not None
    assert found.response.fault
    assert (found.response.answer, found.response.counts, found.rcode) == ((), (1, 4, 1, 1), "NOERROR")


def test_the_root_odd_labels_and_types() -> None:
    for name, rtype in ((".", "NS"), ("a\\.b.example", "TXT"), ("\\000\\255.x", "TYPE65280")):
        (found,) = transactions(ask(dns.message.make_query(name, rtype), 0))
        assert (found.name, found.type) == (name, rtype)


def test_damaged_and_too_short_datagrams_are_no_messages() -> None:
    time_ns, frame = ask(QUESTION, 0)
    fine = [ask(QUESTION, at, 6000 + at) for at in range(1, 4)]
    assert len(transactions((time_ns, flip(frame)), *fine)) == 3
    assert transactions((START_NS, udp(CLIENT, 5000, RESOLVER, 53, b"short"))) == ()


def test_a_response_in_fragments() -> None:
    big = dns.message.make_response(QUESTION)
    big.answer = [dns.rrset.from_text_list("www.umass.edu.", 9, "IN", "TXT", [f'"{n:0>200}"' for n in range(20)])]
    _, whole = tell(big, 5)
    pieces = [
        ip(RESOLVER, CLIENT, 17, whole[34:1514], 7, 0x2000),
        ip(RESOLVER, CLIENT, 17, whole[1514:2994], 7, 0x20B9),
    ]
    pieces.append(ip(RESOLVER, CLIENT, 17, whole[2994:], 7, 2960 // 8))
    (found,) = transactions(ask(QUESTION, 0), *((START_NS + 9, piece) for piece in pieces))
    assert found.response is not None
    assert len(found.response.answer) == 20


NAMES = ("a.example", "b.a.example", "Mixed.Case.example", "with\\.dot.example", ".", "\\000.x", "a" * 63 + ".example")
VALUES = {
    "A": st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number))),
    "AAAA": st.integers(0, 2**128 - 1).map(lambda number: str(IPv6Address(number))),
    "NS": st.sampled_from(NAMES).map(lambda name: name.removesuffix(".") + "."),
    "CNAME": st.sampled_from(NAMES).map(lambda name: name.removesuffix(".") + "."),
    "MX": st.sampled_from(NAMES).map(lambda name: f"10 {name.removesuffix('.')}."),
    "TXT": st.just('"text"'),
}


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Responses with records of the usual types in all sections, with and without EDNS."""
    query = dns.message.make_query(draw(st.sampled_from(NAMES)), "A", id=draw(st.integers(0, 65_535)))
    message = dns.message.make_response(query)
    for section in (message.answer, message.authority, message.additional):
        for _ in range(draw(st.integers(0, 3))):
            rtype = draw(st.sampled_from(sorted(VALUES)))
            name = dns.name.from_text(draw(st.sampled_from(NAMES)))
            section.append(dns.rrset.from_text(name, draw(st.integers(0, 2**31 - 1)), "IN", rtype, draw(VALUES[rtype])))
    if draw(st.booleans()):
        message.use_edns(0, payload=draw(st.integers(512, 4096)))
        message.set_rcode(draw(st.sampled_from([0, 3, 16])))
    return message.to_wire()


@settings(max_examples=400)
@given(responses(), st.integers(0, 2**32))
def test_what_is_read_plainly_reads_the_same_in_dnspython(wire: bytes, seed: int) -> None:
    chance = random.Random(seed)
    assert by_dnspython(wire).fault == ""
    for _ in range(20):
        plain = read_plain(wire)
        assert plain is None or plain == by_dnspython(wire)
        damaged = bytearray(wire)
        for _ in range(chance.choice((1, 2, 8))):
            damaged[chance.randrange(2, len(wire))] = chance.choice(
                (0, 1, 5, 41, 63, 64, 0xC0, 12, 255, chance.randrange(256))
            )
        wire = bytes(damaged[: chance.choice((len(wire), len(wire), chance.randrange(12, len(wire)))) + 1])


@pytest.mark.parametrize(
    "wire",
    [  # names that reach over the place they are pointed to from
        "941d810300010000000000020161076578616d706c650000010001c001000f0001069a0f8d000300050000002904d0000000000000",
        "14108100000100020000000103782e79076578616d706c650000ec000101620161c010000c0001110505570002c02900000f00013ee3e7"
        "fc00040005c01dc01f000c0001078877210002c00c",
    ],
)
def test_names_that_dnspython_refuses_are_not_plain(wire: str) -> None:
    assert read_plain(bytes.fromhex(wire)) is None
    assert by_dnspython(bytes.fromhex(wire)).fault


def test_plain_messages_are_read_plainly() -> None:
    assert read_plain(QUESTION.to_wire()) == Sections()
    plain = read_plain(ANSWER.to_wire())
    assert plain is not None
    assert len(plain.answer) == 4
