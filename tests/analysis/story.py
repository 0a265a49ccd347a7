"""A small story for tests: a name is looked up, a page fetched, a letter sent, as five points of a lab saw it."""

from __future__ import annotations

import dns.message
import dns.rrset
from traffic import START_NS, Spot, Talk, pcapng, udp

HOSTS = {
    "client": "10.77.1.10",
    "resolver": "10.77.1.53",
    "root": "10.77.3.1",
    "tld": "10.77.3.2",
    "auth": "10.77.4.53",
    "web": "10.77.4.80",
    "mail1": "10.77.1.25",
    "mail2": "10.77.4.25",
}
ONE_WAY_NS = {"resolver": 1_000_000, "root": 20_000_000, "tld": 15_000_000, "auth": 10_000_000, "web": 10_000_000}
NAME = "www.umass.edu"

Sent = tuple[str, str, int, bytes]
"""Sender, receiver, when sent, frame."""


def walk() -> list[Sent]:
    """The iterative DNS walk: eight messages."""
    sent: list[Sent] = []
    now = START_NS

    def send(source: str, destination: str, message: dns.message.Message) -> None:
        nonlocal now
        ports = (5000 + message.id, 53) if message.flags & 0x8000 == 0 else (53, 5000 + message.id)
        frame = udp(HOSTS[source], ports[0], HOSTS[destination], ports[1], message.to_wire(), ident=len(sent) + 1)
        sent.append((source, destination, now, frame))
        now += (
            ONE_WAY_NS[source if source in ONE_WAY_NS and source != "resolver" else destination]
            if ("client" not in (source, destination))
            else ONE_WAY_NS["resolver"]
        )

    asked = dns.message.make_query(NAME, "A", id=1)
    send("client", "resolver", asked)
    for number, (server, zone, referral) in enumerate((("root", "edu.", "tld"), ("tld", "umass.edu.", "auth")), 2):
        query = dns.message.make_query(NAME, "A", id=number)
        send("resolver", server, query)
        response = dns.message.make_response(query)
        response.authority = [dns.rrset.from_text(zone, 300, "IN", "NS", f"ns.{zone}")]
        response.additional = [dns.rrset.from_text(f"ns.{zone}", 300, "IN", "A", HOSTS[referral])]
        send(server, "resolver", response)
    query = dns.message.make_query(NAME, "A", id=4)
    send("resolver", "auth", query)
    answer = dns.message.make_response(query)
    answer.answer = [dns.rrset.from_text(f"{NAME}.", 60, "IN", "A", HOSTS["web"])]
    send("auth", "resolver", answer)
    final = dns.message.make_response(asked)
    final.answer = answer.answer
    send("resolver", "client", final)
    return sent


def talked(client: str, server: str, talk: Talk) -> list[Sent]:
    """A conversation as sent: what the client's capture shows from the server left half a round trip before."""
    sent = []
    for time_ns, frame in talk.frames:
        from_client = frame[26:30] == bytes(map(int, HOSTS[client].split(".")))
        ends = (client, server) if from_client else (server, client)
        sent.append((*ends, time_ns if from_client else time_ns - talk.rtt_ns // 2, frame))
    return sent


def page(start_ns: int) -> list[Sent]:
    talk = Talk((HOSTS["client"], 40_000), (HOSTS["web"], 80), now_ns=start_ns).open()
    talk.say("client", b"GET /index.html HTTP/1.1\r\nHost: www.umass.edu\r\n\r\n")
    talk.say("server", b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000).close("server")
    return talked("client", "web", talk)


def letter(start_ns: int) -> list[Sent]:
    talk = Talk((HOSTS["mail1"], 41_000), (HOSTS["mail2"], 25), now_ns=start_ns).open()
    for who, data in (
        ("server", b"220 hamburger.edu\r\n"),
        ("client", b"HELO crepes.fr\r\n"),
        ("server", b"250 Hello crepes.fr\r\n"),
        ("client", b"MAIL FROM:<alice@crepes.fr>\r\n"),
        ("server", b"250 Sender ok\r\n"),
        ("client", b"RCPT TO:<bob@hamburger.edu>\r\n"),
        ("server", b"250 Recipient ok\r\n"),
        ("client", b"DATA\r\n"),
        ("server", b"354 Enter mail\r\n"),
        ("client", b"Subject: ketchup\r\n\r\nDo you like it?\r\n.\r\n"),
        ("server", b"250 Message accepted\r\n"),
        ("client", b"QUIT\r\n"),
        ("server", b"221 closing\r\n"),
    ):
        talk.say(who, data)
    return talked("mail1", "mail2", talk)


def captured(points: tuple[str, ...] = tuple(HOSTS), drops: int = 0) -> bytes:
    """The capture of all of it on the hosts named (those not named were not captured at)."""
    sent = [*walk(), *page(START_NS + 200_000_000), *letter(START_NS + 900_000_000)]
    spots = [Spot(f"host:{host}:eth0", HOSTS[host], drops=drops) for host in points]
    seen = []
    for source, destination, time_ns, frame in sent:
        delay_ns = next((ONE_WAY_NS[host] for host in ("root", "tld", "auth") if host in (source, destination)), None)
        if delay_ns is None:
            delay_ns = ONE_WAY_NS["resolver"] if "resolver" in (source, destination) else 10_000_000
        for host, at in ((source, time_ns), (destination, time_ns + delay_ns)):
            if host in points:
                seen.append((points.index(host), at, frame))
    return pcapng(spots, sorted(seen, key=lambda each: each[1]))
