"""The shape of the three extension keys, and the JSON schema made from it.

The agent runs on Debian's packages alone, where pydantic is 1.10; the models use what 1.10 and 2 share, and leave the
meaning of values (units, combinations) to `impairment` and `topology`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from appbed.errors import TopologyError

Text = str | int | float


class _Block(BaseModel, extra="forbid"):
    pass


class DirectionBlock(_Block):
    """What one direction of a link does to frames."""

    delay: Text | None = Field(None, description="added one-way delay: 20ms")
    jitter: Text | None = Field(
        None, description="half width (uniform) or standard deviation (normal) of the delay: 2ms"
    )
    distribution: str | None = Field(None, description="of the jitter: uniform or normal")
    loss: Text | None = Field(None, description="share of frames lost: 1%, or gemodel P R [1-H [1-K]] for bursts")
    duplicate: Text | None = Field(None, description="share of frames sent twice: 1%")
    reorder: Text | None = Field(None, description="share of frames that skip the delay: 5%")
    corrupt: Text | None = Field(None, description="share of frames with one bit flipped: 1%")
    rate: Text | None = Field(None, description="layer-2 bytes: 10mbit")
    queue: Text | None = Field(None, description="what waits for the rate: 100 packets, or 50ms")
    state: str | None = Field(None, description="up or down")
    seed: int | None = Field(None, description="of the random numbers; the same seed loses the same frames")


class LinkBlock(DirectionBlock):
    """`x-link` of a network or of one attachment; keys beside up and down hold for both directions."""

    up: DirectionBlock | None = Field(None, description="from the host into the network")
    down: DirectionBlock | None = Field(None, description="from the network to the host")


class ReadyBlock(_Block):
    """What the agent asks inside the role's namespace until the answer is good."""

    tcp: int | None = Field(None, description="this port accepts a connection", ge=1, le=65535)
    dns: str | None = Field(None, description="the name server answers NS of this name without error")


class RoleBlock(_Block):
    """`x-role` of a service."""

    name: str = Field(..., description="the role, for example proxy")
    ready: ReadyBlock | None = None
    router: bool = Field(False, description="forwards; the agent gives it gateway addresses and routes")
    unsupported: list[str] = Field([], description="scenarios this image says no to")


class TestbedBlock(_Block):
    """`x-testbed` of a topology."""

    about: str = Field(..., description="one sentence")
    needs: list[str] = Field([], description="what the engine must have, for example netem")


Block = TypeVar("Block", bound=_Block)


def read(block: type[Block], data: object, place: str) -> Block:
    """`data` as a `block`; a wrong key or type is an error that names place, value and choices."""
    if not isinstance(data, Mapping):
        raise TopologyError(place, f"{data!r} is not a mapping", choices=fields(block))
    try:
        return block(**{str(key): value for key, value in data.items()})
    except ValidationError as error:
        errors = error.errors()
    # A misspelt key that is needed gives two errors; the one that names the slip is the one to show.
    first = next((each for each in errors if "extra" in each["type"]), errors[0])
    path = _keys(data, [str(part) for part in first["loc"]])
    parent = _descend(block, path[:-1])
    if "extra" in first["type"]:
        raise TopologyError(".".join([place, *path]), "unknown key", choices=fields(parent))
    value = _value(data, path)
    said = f"{value!r}: " if value is not None else ""
    raise TopologyError(".".join([place, *path]), f"{said}{first['msg'].lower()}")


def settings(block: DirectionBlock) -> dict[str, object]:
    """The keys a person wrote, nested blocks as mappings; defaults left out."""
    said: dict[str, object] = {}
    for key in fields(type(block)):
        value = getattr(block, key)
        if isinstance(value, DirectionBlock):
            said[key] = settings(value)
        elif value is not None:
            said[key] = value
    return said


def fields(block: type[BaseModel]) -> list[str]:
    """Names of a block's keys (pydantic 1.10 and 2 keep annotations alike)."""
    names: list[str] = []
    for base in reversed(block.__mro__):
        names += [name for name in vars(base).get("__annotations__", {}) if issubclass(base, _Block)]
    return names


def json_schema() -> dict[str, Any]:
    """JSON schema of a Compose file's three keys, for editors; needs pydantic 2. What is Compose's own it leaves to Compose."""
    from pydantic.json_schema import models_json_schema

    models: list[Any] = [(block, "validation") for block in (TestbedBlock, RoleBlock, LinkBlock)]
    _, found = models_json_schema(models, ref_template="#/definitions/{model}")
    definitions: dict[str, Any] = _untitled(found["$defs"])
    for block in ("TestbedBlock", "RoleBlock"):
        definitions[block].pop("required", None)  # what is missing stands in the file that is extended, or laid under

    def each(**keys: object) -> dict[str, Any]:
        return {"additionalProperties": {"properties": keys}}

    testbed, role, link = ({"$ref": f"#/definitions/{block}"} for block in ("TestbedBlock", "RoleBlock", "LinkBlock"))
    services = each(**{"x-role": role, "networks": each(**{"x-link": link})})
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",  # what editors read
        "title": "appbed's keys in a Compose file",
        "type": "object",
        "properties": {"x-testbed": testbed, "services": services, "networks": each(**{"x-link": link})},
        "definitions": definitions,
    }


def _untitled(value: Any) -> Any:
    """Without the titles that say each key's name once more; no key here is called title."""
    if isinstance(value, dict):
        return {key: _untitled(inner) for key, inner in value.items() if key != "title"}
    return [_untitled(inner) for inner in value] if isinstance(value, list) else value


def _descend(block: type[BaseModel], path: list[str]) -> type[BaseModel]:
    inner: dict[str, type[BaseModel]] = {"up": DirectionBlock, "down": DirectionBlock, "ready": ReadyBlock}
    return inner.get(path[-1], block) if path else block


def _keys(data: Mapping[str, object], path: list[str]) -> list[str]:
    """The part of pydantic's location that is keys of the file: after a plain value come names of types it tried."""
    kept: list[str] = []
    value: object = data
    for part in path:
        if kept and not isinstance(value, Mapping):
            break
        kept.append(part)
        value = value.get(part) if isinstance(value, Mapping) else None
    return kept


def _value(data: Mapping[str, object], path: list[str]) -> object:
    value: object = data
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
