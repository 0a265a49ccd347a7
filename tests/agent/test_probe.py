"""Readiness asked of real servers on the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from appbed.agent import probe
from appbed.impairment import Link
from appbed.topology import Attachment, Host, Role

Reply = Callable[[bytes], bytes | None]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback answers at once or not at all."""
    monkeypatch.setattr(probe, "_TIMEOUT_S", 0.1)


def host(tcp: int | None = None, name: str | None = None) -> Host:
    attachment = Attachment("server", "lan", IPv4Address("127.0.0.1"), Link())
    return Host("server", Role("server", ready_tcp=tcp, ready_dns=name), "", (attachment,))


class Sockets:
    """Opens sockets as the door does, and remembers them. What goes to port 53 goes to `dns_port`: only root may serve 53."""

    def __init__(self, dns_port: int = 0) -> None:
        self._dns_port = dns_port
        self.opened: list[socket.socket] = []

    def __call__(self, kind: str) -> socket.socket:
        dns_port = self._dns_port

        class Redirected(socket.socket):
            def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
                super().connect((address[0], dns_port if address[1] == 53 else address[1]))

        sock = Redirected(socket.AF_INET, {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind])
        self.opened.append(sock)
        return sock

    def all_closed(self) -> bool:
        return all(sock.fileno() == -1 for sock in self.opened)


@contextmanager
def listening(backlog: int | None = 5) -> Iterator[int]:
    """A TCP port; without a backlog nobody listens, and connections are refused."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if backlog is not None:
            server.listen(backlog)
        yield server.getsockname()[1]


def ask(question: Host, sockets: Sockets) -> bool:
    return asyncio.run(probe.ready(question, sockets))


def ask_dns(name: str, reply: Reply, question: Callable[[int], Host] | None = None) -> tuple[bool, list[bytes]]:
    """Asks a name server that answers what `reply` says, and what it was asked."""
    asked: list[bytes] = []

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            asked.append(data)
            if (answer := reply(data)) is not None:
                self.transport.sendto(answer, addr)

    async def both() -> bool:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
        sockets = Sockets(transport.get_extra_info("sockname")[1])
        try:
            asking: Awaitable[bool] = probe.ready(host(name=name), sockets)
            return await asking
        finally:
            transport.close()
            await asyncio.sleep(0)
            assert sockets.all_closed()

    return asyncio.run(both()), asked


def answered(rcode: dns.rcode.Rcode = dns.rcode.NOERROR, *, records: bool = True) -> Reply:
    def reply(data: bytes) -> bytes:
        message = dns.message.make_response(dns.message.from_wire(data))
        message.set_rcode(rcode)
        if records:
            message.answer.append(dns.rrset.from_text(message.question[0].name, 60, "IN", "NS", "ns.example."))
        return message.to_wire()

    return reply


def test_a_host_that_serves_nothing_is_ready() -> None:
    sockets = Sockets()
    assert ask(host(), sockets)
    assert sockets.opened == []


def test_a_port_that_takes_connections_is_ready() -> None:
    sockets = Sockets()
    with listening() as port:
        assert ask(host(tcp=port), sockets)
    assert len(sockets.opened) == 1
    assert sockets.all_closed()


def test_a_port_that_refuses_is_not_ready() -> None:
    sockets = Sockets()
    with listening(backlog=None) as port:
        assert not ask(host(tcp=port), sockets)
    assert sockets.all_closed()


def test_a_port_that_does_not_answer_is_not_ready() -> None:
    """A full queue of connections drops the next one, as a firewall would."""
    sockets = Sockets()
    with listening(backlog=0) as port, socket.create_connection(("127.0.0.1", port)):
        assert not ask(host(tcp=port), sockets)
    assert sockets.all_closed()


@pytest.mark.parametrize("question", [host(tcp=80), host(name="example.com")])
@pytest.mark.parametrize("problem", [LookupError("process 7 is no first process"), OSError("too many open files")])
def test_a_host_that_cannot_be_entered_right_now_is_not_ready(question: Host, problem: Exception) -> None:
    def closed(_: str) -> socket.socket:
        raise problem

    assert not asyncio.run(probe.ready(question, closed))


@pytest.mark.parametrize("name", ["example.com", "com", ".", "a-b.example.com."])
def test_a_name_server_that_knows_the_name_is_ready(name: str) -> None:
    ready, asked = ask_dns(name, answered())
    assert ready
    (query,) = [dns.message.from_wire(data) for data in asked]
    assert query.question[0].name.to_text() == name.rstrip(".") + "."
    assert query.question[0].rdtype == dns.rdatatype.NS
    assert query.flags == dns.flags.RD, "a resolver is asked recursively, so that its root is primed"


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, dns.rcode.REFUSED])
def test_a_name_server_that_reports_an_error_is_not_ready(rcode: dns.rcode.Rcode) -> None:
    assert not ask_dns("example.com", answered(rcode))[0]


def test_an_answer_without_records_is_not_ready() -> None:
    assert not ask_dns("example.com", answered(records=False))[0]


def test_an_answer_to_another_question_is_not_ready() -> None:
    good = answered()
    assert not ask_dns("example.com", lambda data: bytes([data[0] ^ 1]) + (good(data) or b"")[1:])[0]


def test_a_query_that_comes_back_is_not_ready() -> None:
    assert not ask_dns("example.com", lambda data: data)[0]


def test_silence_is_not_ready() -> None:
    assert not ask_dns("example.com", lambda data: None)[0]


@pytest.mark.parametrize("count", [2, 3])
def test_an_answer_that_is_too_short_is_not_ready(count: int) -> None:
    assert not ask_dns("example.com", lambda data: data[:count])[0]


def test_a_server_with_a_port_and_a_name_needs_both() -> None:
    with listening() as port:
        refused = Sockets(dns_port=1)
        assert not ask(host(tcp=port, name="example.com"), refused)
        assert len(refused.opened) == 2
        assert refused.all_closed()
    with listening(backlog=None) as port:
        first = Sockets()
        assert not ask(host(tcp=port, name="example.com"), first)
        assert len(first.opened) == 1, "the name is not asked before the port is there"
