"""What may be registered: the name and its name servers, checked before any server is asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MOST = 13  # servers of one domain: more would not fit into a referral of 512 bytes


class WrongInput(ValueError):
    """What the customer wrote cannot be registered, whoever is asked."""


@dataclass(frozen=True)
class NameServer:
    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} {self.address}"


def domain(text: str) -> str:
    """A domain directly below a top-level domain, in small letters without a final dot."""
    name = _name(text)
    if name.count(".") != 1:
        raise WrongInput(
            f"{name}: a registrar sells names directly below a top-level domain, such as networkutopia.com"
        )
    return name


def name_servers(name: str, given: Sequence[tuple[str, str]], net: IPv4Network) -> tuple[NameServer, ...]:
    """At least two, of different names inside `name` and at different addresses inside `net`."""
    servers = tuple(NameServer(_name(server), _address(server, address, net)) for server, address in given)
    for server in servers:
        if not server.name.endswith(f".{name}"):
            raise WrongInput(
                f"{server.name}: lies outside {name}, so its address could not be told beside it;"
                f" choose a name such as dns1.{name}"
            )
    for what in ("name", "address"):
        values = [getattr(server, what) for server in servers]
        for value in values:
            if values.count(value) > 1:
                raise WrongInput(f"{name}: two name servers have the {what} {value}; they would fail together")
    if not 2 <= len(servers) <= _MOST:
        raise WrongInput(
            f"{name}: has {len(servers)} name server{'s'[: len(servers) != 1]}, needs 2 to {_MOST}: a primary and a secondary"
        )
    return servers


def _name(text: str) -> str:
    name = text.strip().lower().removesuffix(".")
    shown = repr(text[:80] + "..." if len(text) > 80 else text)
    if not name.isascii():
        raise WrongInput(f"{shown}: letters outside a-z have to be written as xn--... (RFC 5890)")
    for label in name.split("."):
        if len(label) > 63:
            raise WrongInput(f"{shown}: a label has {len(label)} characters, at most 63 are possible (RFC 1035)")
        if not _LABEL.fullmatch(label):
            raise WrongInput(
                f"{shown}: the label {label[:63]!r} is not made of letters, digits and, inside, hyphens (RFC 1035)"
            )
    if len(name) > 253:
        raise WrongInput(f"{shown}: {len(name)} characters, at most 253 are possible (RFC 1035)")
    return name


def _address(server: str, text: str, net: IPv4Network) -> str:
    try:
        address = IPv4Address(text.strip())
    except AddressValueError:
        raise WrongInput(f"{server}: {text!r} is not an IPv4 address such as {net[808]}") from None
    if address not in net:
        raise WrongInput(f"{server}: {address} is outside the lab, whose addresses are {net}")
    return str(address)
