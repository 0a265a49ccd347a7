"""The registrar's settings, read from the environment."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True)
class Office:
    net: IPv4Network  # where the lab's hosts are: name servers may be nowhere else
    roots: tuple[str, ...]
    key: str
    ttl_s: int
    keys: Path = Path("/run/registrar")


def read(environment: Mapping[str, str]) -> Office:
    given = {name: environment.get(name) or default for name, default in DEFAULTS.items()}
    try:
        net = IPv4Network(f"{given['APPBED_NET']}.0.0/16")
    except (AddressValueError, NetmaskValueError, ValueError):
        _wrong("APPBED_NET", given["APPBED_NET"], "two octets such as 10.77")
    roots = given["ROOT_SERVERS"].replace("NET", given["APPBED_NET"]).split()
    for root in roots:
        try:
            IPv4Address(root)
        except AddressValueError:
            _wrong("ROOT_SERVERS", root, f"addresses such as {net[779]}")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", given["KEY"]):
        _wrong("KEY", given["KEY"], "a name of UPDATE_KEYS of the top-level domain's server, such as registrar")
    if not re.fullmatch(r"[0-9]{1,9}", given["DELEGATION_TTL"]):
        _wrong("DELEGATION_TTL", given["DELEGATION_TTL"], "a whole number of seconds from 0 to 999999999")
    return Office(net, tuple(roots), f"update-{given['KEY']}", int(given["DELEGATION_TTL"]))


DEFAULTS = {"APPBED_NET": "10.77", "ROOT_SERVERS": "NET.3.11 NET.3.12", "KEY": "registrar", "DELEGATION_TTL": "86400"}


def _wrong(name: str, value: str, choices: str) -> NoReturn:
    print(f"registrar: {name}='{value}' is not possible; choose {choices}", file=sys.stderr)
    sys.exit(64)
