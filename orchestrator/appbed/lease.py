"""Addresses for an instance: a /16 that no route of the machine overlaps."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

from appbed.errors import EngineError, InputError

CHOICES = tuple(f"10.{second}" for second in range(77, 127))


def free(taken: Iterable[IPv4Network]) -> list[str]:
    """Values for APPBED_NET that overlap none of `taken`, in order."""
    routes = list(taken)
    return [net for net in CHOICES if not any(IPv4Network(f"{net}.0.0/16").overlaps(route) for route in routes)]


def choose(taken: Iterable[IPv4Network], wanted: str | None = None) -> str:
    """The first free net, or `wanted` if that is free: a masqueraded bridge with the same addresses breaks even bridged traffic."""
    routes = list(taken)
    if wanted is not None:
        checked(wanted)
        clash = next((route for route in routes if IPv4Network(f"{wanted}.0.0/16").overlaps(route)), None)
        if clash:
            others = ", ".join(free(routes)[:3])
            raise EngineError(
                f"APPBED_NET={wanted}: this machine has a route to {clash}", remedy=f"free are {others}, ..."
            )
        return wanted
    nets = free(routes)
    if not nets:
        raise EngineError(
            f"every net from {CHOICES[0]} to {CHOICES[-1]} is taken",
            remedy="take an instance down (`appbed ps`), or set APPBED_NET",
        )
    return nets[0]


def checked(wanted: str) -> str:
    """`wanted` if it can be a net."""
    try:
        IPv4Network(f"{wanted}.0.0/16")
    except ValueError:
        raise InputError(
            f"APPBED_NET={wanted[:40]!r} is no net", remedy="write the first two octets, for example 10.77"
        ) from None
    return wanted


@contextlib.contextmanager
def held() -> Iterator[None]:
    """One process of this user at a time between looking at the routes and having the networks."""
    path = Path(tempfile.gettempdir()) / f"appbed-lease-{os.getuid()}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
