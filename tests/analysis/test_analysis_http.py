"""HTTP as textbooks and odd servers speak it: 0.9 to 1.1, one after the other, pipelined, chunked, proxied, broken."""

from __future__ import annotations

import random

import pytest
from traffic import ACK, SERVER, Talk, pcap

from appbed.analysis import Capture, HttpExchange, HttpResponse

BODY = random.Random(7).randbytes(20_000)
GET = b"GET /a.html HTTP/1.1\r\nHost: www.umass.edu\r\nCookie: id=7\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nServer: x\r\n\r\n"


def exchanges(talk: Talk) -> tuple[HttpExchange, ...]:
    return Capture.open(pcap(talk.frames, nanoseconds=True)).http()


def response(exchange: HttpExchange) -> HttpResponse:
    assert exchange.response is not None
    return exchange.response


def test_an_exchange_has_everything() -> None:
    talk = Talk().open()
    began = talk.now_ns
    (found,) = exchanges(talk.say("client", GET).say("server", OK % len(BODY) + BODY).close("server"))
    request = found.request
    assert (request.method, request.target, request.version) == ("GET", "/a.html", "HTTP/1.1")
    assert (request.host, request.path, request.url) == ("www.umass.edu", "/a.html", "http://www.umass.edu/a.html")
    assert (request.header("cookie"), request.header("Nothing"), request.body) == ("id=7", None, b"")
    answer = response(found)
    assert (answer.status, answer.reason, answer.body, answer.header("server")) == (200, "OK", BODY, "x")
    assert answer.headers[0] == ("Content-Length", "20000")
    assert (answer.complete, answer.fault, found.fault, found.status) == (True, "", "", 200)
    assert (request.size, answer.size) == (len(GET), len(OK % len(BODY)) + len(BODY))
    assert found.server == (SERVER, 80)
    assert found.start_s == pytest.approx((began + 1_010_000) / 1e9, abs=1e-6)
    assert found.duration_s == pytest.approx(0.020 + 0.001 + 15 * 1e-5 - 1e-5, abs=3e-5)


def test_one_connection_page_after_page() -> None:
    talk = Talk().open()
    for number in range(3):
        talk.say("client", GET).say("server", OK % number + BODY[:number])
    found = exchanges(talk.close("server"))
    assert [(each.number, response(each).body) for each in found] == [(n, BODY[:n]) for n in range(3)]
    assert {each.connection.number for each in found} == {1}


def test_pipelined_requests_get_their_own_responses() -> None:
    talk = Talk().open().say("client", GET + GET.replace(b"a.html", b"b.html") + GET)
    found = exchanges(talk.say("server", b"".join(OK % n + BODY[:n] for n in (5, 0, 9_000))))
    assert [(each.request.path, len(response(each).body)) for each in found] == [
        ("/a.html", 5),
        ("/b.html", 0),
        ("/a.html", 9_000),
    ]


def test_bodies_of_requests() -> None:
    put = b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
    post = b"POST /y HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    found = exchanges(Talk().open().say("client", put + post).say("server", OK % 0 + OK % 0))
    assert [(each.request.method, each.request.body) for each in found] == [("PUT", b"hello"), ("POST", b"abc")]


@pytest.mark.parametrize("mss", [1460, 7, 1])
def test_chunked_responses(mss: int) -> None:
    body = BODY[:300]
    chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in (body[:1], body[1:200], body[200:]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    talk = Talk(mss=mss).open().say("client", GET + GET)
    found = exchanges(talk.say("server", head + chunks + b"0\r\nTrailer: t\r\n\r\n" + OK % 2 + b"ok"))
    assert [response(each).body for each in found] == [body, b"ok"]
    assert response(found[0]).complete


def test_until_the_server_closes() -> None:
    talk = Talk().open().say("client", b"GET / HTTP/1.0\r\n\r\n").say("server", b"HTTP/1.0 200 OK\r\n\r\n" + BODY)
    answer = response(exchanges(talk)[0])
    assert (answer.body, answer.complete, answer.fault) == (BODY, False, "the connection's end was not seen")
    answer = response(exchanges(talk.close("server"))[0])
    assert (answer.version, answer.body, answer.complete) == ("HTTP/1.0", BODY, True)


def test_head_304_and_204_have_no_body() -> None:
    head = GET.replace(b"GET", b"HEAD")
    answers = (
        OK % 999
        + b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
        + OK % 2
        + b"ok"
    )
    found = exchanges(Talk().open().say("client", head + GET + GET + GET).say("server", answers))
    assert [(each.status, response(each).body) for each in found] == [(200, b""), (304, b""), (204, b""), (200, b"ok")]


def test_http_0_9() -> None:
    talk = Talk().open().say("client", b"GET /old\r\n").say("server", b"<html>old</html>").close("server")
    (found,) = exchanges(talk)
    assert (found.request.version, found.request.path) == ("HTTP/0.9", "/old")
    assert (response(found).body, response(found).status, response(found).complete) == (b"<html>old</html>", 0, True)


def test_proxy_requests() -> None:
    asked = b"GET http://www.umass.edu/a?b=http://c HTTP/1.1\r\nHost: ignored\r\n\r\n"
    (found,) = exchanges(Talk(server=(SERVER, 3128)).open().say("client", asked).say("server", OK % 0))
    assert found.request.is_proxy_request
    assert (found.request.host, found.request.path) == ("www.umass.edu", "/a?b=http://c")
    assert found.request.url == "http://www.umass.edu/a?b=http://c"


def test_connect_ends_http_when_it_is_granted() -> None:
    asked = b"CONNECT www.umass.edu:443 HTTP/1.1\r\nHost: www.umass.edu:443\r\n\r\n"
    talk = Talk().open().say("client", asked).say("server", b"HTTP/1.1 200 Connection established\r\n\r\n")
    (found,) = exchanges(talk.say("client", b"\x16\x03\x01").say("server", b"\x16\x03\x03"))
    assert (found.request.host, found.status) == ("www.umass.edu:443", 200)
    talk = Talk().open().say("client", asked).say("server", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    assert [each.status for each in exchanges(talk.say("client", GET).say("server", OK % 0))] == [403, 200]


def test_informational_responses_and_upgrades() -> None:
    put = b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    talk = Talk().open().say("client", put).say("server", b"HTTP/1.1 100 Continue\r\n\r\n")
    (found,) = exchanges(talk.say("client", b"ok").say("server", OK % 0))
    assert ([each.status for each in found.informational], found.status) == ([100], 200)
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x00\x01"
    (found,) = exchanges(Talk().open().say("client", GET).say("server", switch))
    assert found.status == 101


def test_bad_requests_and_their_answers() -> None:
    bad = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    for asked, fault in ((b"GET / HTTP/1.1\r\n\r\n", "Host"), (b"NONSENSE\r\n\r\n", "illegal")):
        (found,) = exchanges(Talk().open().say("client", asked).say("server", bad).close("server"))
        assert (found.status, found.request.method) == (400, asked.split()[0].decode())
        assert fault.lower() in found.request.fault.lower()
    (found,) = exchanges(Talk().open().say("client", b"GET / HTTP/3.7\r\nHost: h\r\n\r\n").say("server", OK % 0))
    assert (found.request.version, found.status) == ("HTTP/3.7", 200)


def test_a_response_nobody_asked_for() -> None:
    late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    found = exchanges(Talk().open().say("client", GET).say("server", OK % 0).say("server", late))
    assert [(each.status, each.request.method, each.fault) for each in found] == [
        (200, "GET", ""),
        (408, "", "no request was seen"),
    ]


def test_a_request_without_response() -> None:
    (found,) = exchanges(Talk().open().say("client", GET))
    assert (found.response, found.status, found.fault) == (None, 0, "no response was seen")
    assert found.end_s == found.request.end_s


def test_messages_cut_short_say_so() -> None:
    (found,) = exchanges(Talk().open().say("client", GET[:30]))
    assert (found.request.complete, found.request.method) == (False, "GET")
    (found,) = exchanges(Talk().open().say("client", GET).say("server", OK % 100 + BODY[:60]))
    assert (response(found).body, response(found).fault) == (BODY[:60], "the body ends after 60 of 100 bytes")


def test_a_gap_in_a_body_is_told() -> None:
    talk = Talk().open().say("client", GET)
    wire = OK % 5_000 + BODY[:5_000]
    for at in (0, 2_920):
        talk.add(talk.segment("server", at, ACK, wire[at : at + 1460]), 10)
    (found,) = exchanges(talk)
    assert (response(found).complete, response(found).fault) == (
        False,
        "bytes of the body are missing from the capture",
    )
    assert response(found).body == wire[len(OK % 5_000) : 1460]


def test_the_end_of_a_response_is_when_all_of_it_is_there() -> None:
    talk = Talk().open().say("client", GET)
    wire = OK % 2_900 + BODY[:2_900]
    pieces = {at: talk.segment("server", at, ACK, wire[at : at + 1460]) for at in range(0, len(wire), 1460)}
    talk.add(pieces[0], 10).add(pieces[2920], 10).add(pieces[1460], 400_000_000)
    assert response(exchanges(talk)[0]).end_s == talk.now_ns / 1e9


def test_other_protocols_are_left_alone() -> None:
    smtp = Talk().open().say("server", b"220 mail.crepes.fr\r\n").say("client", b"EHLO crepes.fr\r\n")
    binary = Talk(server=(SERVER, 81)).open().say("client", BODY[:500]).say("server", BODY)
    assert exchanges(smtp) == exchanges(binary) == ()
