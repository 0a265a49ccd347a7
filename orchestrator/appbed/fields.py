"""Values read out of a Compose document; what is wrong with one is said with its place."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from appbed.errors import TopologyError


def ipam(network: Mapping[str, Any], place: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The first IPAM configuration and its auxiliary addresses."""
    configs = mapping(network.get("ipam"), place).get("config") or [{}]
    if not isinstance(configs, list):
        raise TopologyError(f"{place}.config", f"{configs!r} is not a list", remedy="write [{subnet: 10.77.1.0/24}]")
    config = mapping(configs[0], f"{place}.config")
    return config, mapping(config.get("aux_addresses"), f"{place}.config.aux_addresses")


def mapping(value: object, place: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise TopologyError(place, f"{value!r} is not a mapping", remedy="write `key: value` lines below it")
    return value or {}


def only(mapping: Any, place: str, *keys: str) -> None:
    if not isinstance(mapping, Mapping):
        raise TopologyError(place, f"{mapping!r} is not a mapping")
    for key in mapping:
        if str(key).startswith("x-") and key not in keys:
            raise TopologyError(f"{place}.{key}", "unknown key", choices=keys)


def address(kind: type[Any], text: object, place: str, example: str) -> Any:
    if text is None:
        raise TopologyError(place, "is missing", remedy=f"every address is fixed: write one, for example {example}")
    try:
        return kind(str(text))
    except (ipaddress.AddressValueError, ipaddress.NetmaskValueError, ValueError):
        raise TopologyError(
            place,
            f"{text!r} is not an IPv4 {'network' if kind is IPv4Network else 'address'}",
            remedy=f"write for example {example}",
        ) from None


def inside(text: object, subnet: IPv4Network, place: str) -> IPv4Address:
    example = str(subnet[10]) if subnet.num_addresses > 10 else str(subnet[0])
    found: IPv4Address = address(IPv4Address, text, place, example)
    if found not in subnet:
        first, last = (subnet[1], subnet[-2]) if subnet.num_addresses > 3 else (subnet[0], subnet[-1])
        raise TopologyError(place, f"{found} is outside {subnet}", remedy=f"choose one from {first} to {last}")
    return found
