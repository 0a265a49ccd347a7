"""The top-level domain's side: DNS messages to its primary server (RFC 2136 updates, RFC 8945 signatures).

Nothing is kept here but keys. Every decision, uniqueness first of all, is the server's: each change is one message whose
prerequisites the server checks and whose records it enters as one.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
from domains import NameServer, WrongInput
from settings import Office

_TIMEOUT_S = 5.0
_MEANING = {
    "YXDOMAIN": "the name is taken",
    "NXDOMAIN": "the name is not registered",
    "NXRRSET": "its name servers were changed by somebody else meanwhile",
    "REFUSED": "this server does not let the registrar do that",
    "NOTAUTH": "this server does not know the key, or does not take updates",
}


@dataclass(frozen=True)
class Server:
    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


class Refused(Exception):
    """The server's own answer, other than NOERROR."""

    def __init__(self, subject: str, server: Server, answer: str) -> None:
        self.server, self.answer = server, answer
        meaning = _MEANING.get(answer.partition(" ")[0])
        super().__init__(f"{subject}: {server} answers {answer}" + (f": {meaning}" if meaning else ""))


class Unanswered(Exception):
    """No usable answer within the time: what the server did is not known."""


class Registry:
    def __init__(self, office: Office) -> None:
        self._office = office

    def server_of(self, name: str) -> Server:
        """The primary server of the name's top-level domain, found from the root as anybody would."""
        top = name.rpartition(".")[2]
        asked = ""
        for address in self._office.roots:
            root = Server("a root server", address)
            try:
                reply = _ask(root, top, "NS")
            except Unanswered as error:
                asked = str(error)
                continue
            if reply.rcode() == dns.rcode.NXDOMAIN:
                raise WrongInput(f"{name}: there is no top-level domain {top!r} ({root} answers NXDOMAIN)")
            if reply.rcode() != dns.rcode.NOERROR:
                raise Refused(top, root, dns.rcode.to_text(reply.rcode()))
            servers = [Server(at.name, at.address) for at in _delegation(reply, top) if at.address]
            if not servers:
                raise WrongInput(f"{name}: {root} names no server of the top-level domain {top!r}")
            return _primary(top, servers)
        raise Unanswered(f"{name}: {asked or 'ROOT_SERVERS names none'}")

    def show(self, name: str) -> tuple[Server, tuple[NameServer, ...]]:
        """Its name servers as the top-level domain tells them."""
        server = self.server_of(name)
        return server, self._servers(name, server)

    def register(self, name: str, servers: Sequence[NameServer], *, signed: bool = True) -> Server:
        server = self.server_of(name)
        update = _update(name)
        update.absent(f"{name}.")
        self._enter(update, name, servers)
        self._send(update, name, server, signed=signed)
        return server

    def change(self, name: str, servers: Sequence[NameServer], *, signed: bool = True) -> Server:
        server = self.server_of(name)
        update = _update(name)
        self._withdraw(update, name, self._servers(name, server))
        self._enter(update, name, servers)
        self._send(update, name, server, signed=signed)
        return server

    def remove(self, name: str, *, signed: bool = True) -> Server:
        server = self.server_of(name)
        update = _update(name)
        self._withdraw(update, name, self._servers(name, server))
        self._send(update, name, server, signed=signed)
        return server

    def _servers(self, name: str, server: Server) -> tuple[NameServer, ...]:
        reply = _ask(server, name, "NS")
        if reply.rcode() != dns.rcode.NOERROR:
            raise Refused(name, server, dns.rcode.to_text(reply.rcode()))
        found = _delegation(reply, name)
        if not found:
            raise Refused(name, server, "NOERROR without name servers")
        return found

    def _enter(self, update: dns.update.UpdateMessage, name: str, servers: Sequence[NameServer]) -> None:
        for at in servers:
            update.add(f"{name}.", self._office.ttl_s, "NS", f"{at.name}.")
            update.add(f"{at.name}.", self._office.ttl_s, "A", at.address)

    def _withdraw(self, update: dns.update.UpdateMessage, name: str, servers: Sequence[NameServer]) -> None:
        """Takes out what was read a moment ago, provided that it still is exactly that."""
        update.present(f"{name}.", "NS", *(f"{at.name}." for at in servers))
        update.delete(f"{name}.", "NS")
        for at in servers:
            if at.name.endswith(f".{name}"):
                update.delete(f"{at.name}.", "A")

    def _send(self, update: dns.update.UpdateMessage, name: str, server: Server, *, signed: bool) -> None:
        """Over TCP: a repeated datagram would find its own first copy there, and be told YXDOMAIN."""
        if not signed:
            return _judge(name, server, _exchange(update, server))
        had = (self._office.keys / server.address).exists()
        try:
            answer = self._signed(update, name, server)
        except dns.tsig.PeerError as error:
            if not had:
                raise Refused(name, server, f"NOTAUTH ({error})") from None
            # A server that was started again has made itself new keys.
            (self._office.keys / server.address).unlink(missing_ok=True)
            try:
                answer = self._signed(update, name, server)
            except dns.tsig.PeerError as again:
                raise Refused(name, server, f"NOTAUTH ({again})") from None
        _judge(name, server, answer)

    def _signed(self, update: dns.update.UpdateMessage, name: str, server: Server) -> dns.message.Message:
        ring = dns.tsigkeyring.from_text({self._office.key: self._secret(name, server)})
        update.use_tsig(ring, keyname=self._office.key, algorithm=dns.tsig.HMAC_SHA256)
        return _exchange(update, server)

    def _secret(self, name: str, server: Server) -> str:
        """The key this server made for this registrar's address, asked for once, over TLS."""
        file = self._office.keys / server.address
        if file.exists():
            return file.read_text()
        question = dns.message.make_query(f"{self._office.key}.invalid.", "TXT", flags=0)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it made its certificate when it started
        with _answered(server):
            reply = dns.query.tls(question, server.address, timeout=_TIMEOUT_S, ssl_context=context)
        if reply.rcode() != dns.rcode.NOERROR or not reply.answer:
            answer = dns.rcode.to_text(reply.rcode())
            raise Refused(f"{name}: the key {self._office.key}", server, answer)
        _, secret = (part.decode() for part in reply.answer[0][0].strings)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(secret)
        partial.replace(file)
        return secret


def _update(name: str) -> dns.update.UpdateMessage:
    return dns.update.UpdateMessage(f"{name.rpartition('.')[2]}.")


def _judge(name: str, server: Server, answer: dns.message.Message) -> None:
    if answer.rcode() != dns.rcode.NOERROR:
        raise Refused(name, server, dns.rcode.to_text(answer.rcode()))


def _exchange(update: dns.update.UpdateMessage, server: Server) -> dns.message.Message:
    with _answered(server):
        return dns.query.tcp(update, server.address, timeout=_TIMEOUT_S)


def _ask(server: Server, name: str, kind: str) -> dns.message.Message:
    """One question without recursion, over TCP if the answer does not fit into a datagram."""
    question = dns.message.make_query(f"{name}.", kind, flags=0)
    with _answered(server):
        reply, _ = dns.query.udp_with_fallback(question, server.address, timeout=_TIMEOUT_S)
    return reply


@contextmanager
def _answered(server: Server) -> Iterator[None]:
    try:
        yield
    except dns.tsig.PeerError:
        raise
    except (dns.exception.DNSException, OSError, EOFError) as error:
        said = str(error) if not isinstance(error, dns.exception.Timeout) else f"not within {_TIMEOUT_S:.0f} s"
        raise Unanswered(f"no answer from {server}: {said or type(error).__name__}") from None


def _delegation(reply: dns.message.Message, name: str) -> tuple[NameServer, ...]:
    """The name servers of `name` in an answer or a referral; a server without address there has an empty one."""
    addresses = {
        str(rrset.name).rstrip(".").lower(): str(rrset[0])
        for rrset in [*reply.answer, *reply.additional]
        if rrset.rdtype == dns.rdatatype.A
    }
    names = [
        str(data.target).rstrip(".").lower()
        for rrset in [*reply.answer, *reply.authority]
        if rrset.rdtype == dns.rdatatype.NS and rrset.name == dns.name.from_text(name)
        for data in rrset
    ]
    return tuple(NameServer(each, addresses.get(each, "")) for each in sorted(names))


def _primary(zone: str, servers: Sequence[Server]) -> Server:
    """Updates go to the server that the SOA record names (RFC 2136, section 4.3)."""
    reply = _ask(servers[0], zone, "SOA")
    primaries = {str(rrset[0].mname).rstrip(".").lower() for rrset in reply.answer if rrset.rdtype == dns.rdatatype.SOA}
    return next((server for server in servers if server.name in primaries), servers[0])
