"""Reads a topology as Compose would: YAML, `include`, `extends`, `${VAR:-default}`, nothing more.

Needed because no `x-` key reaches a container and `docker compose config` forgets which file said what. A test holds the
result equal to `docker compose config` for every topology in compose/.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from appbed import places
from appbed.errors import TopologyError

_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?-)([^}$]*))?\}|([A-Za-z_][A-Za-z0-9_]*)|)")
_SECTIONS = ("services", "networks", "x-testbed")
_REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test")}  # Compose replaces these lists, others it joins
_KINDS = (
    "null",
    "bool",
    "int",
    "float",
    "str",
    "seq",
    "map",
    "merge",
)  # YAML's others (set, binary, ...) mean nothing to Compose
_DEEPEST = 64  # levels; a service's deepest setting is on the eighth
_MOST = 1_000_000  # values of one file; a swarm of ten thousand peers has a third of that


@dataclass
class Document:
    """One Compose model: `data` as `docker compose config` gives it (what appbed reads of it), and by path who wrote each key."""

    path: Path
    data: dict[str, Any]
    origins: dict[str, str] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """ "file: services.web.x-role" for "services.client.x-role", if that came from a role: the file to mend, and where in it."""
        written, rest = path, ""
        while written and written not in self.origins:
            written, dot, last = written.rpartition(".")
            rest = dot + last + rest
        return f"{self.origins[written]}{rest}" if written else f"{self.path}: {path}"

    def wrote(self, value: object, path: str, place: str) -> None:
        """Every key of `value` at `path` stands at `place`, unless a file laid over that one wrote it too."""
        self.origins.setdefault(path, place)
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self.wrote(inner, f"{path}.{key}", f"{place}.{key}")


class _Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Compose reads it: `on`, `off`, `yes`, `no` are words, 10:20 is no number."""


_Yaml.yaml_constructors = {
    tag: read
    for tag, read in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _KINDS
}
_Yaml.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Yaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))


def load(path: Path, environment: Mapping[str, str], *overrides: Path) -> Document:
    """The Compose model of `path` with `overrides` merged over it; TopologyError names file and place."""
    environment = {**environment, places.SHARE: environment.get(places.SHARE) or str(places.root())}
    document = _load(path, environment, ())
    for override in overrides:
        _override(document, _load(override, environment, ()))
    return document


def _load(path: Path, environment: Mapping[str, str], seen: tuple[Path, ...]) -> Document:
    data = _read(path)  # first, so that a path that leads nowhere is said to
    if path.resolve() in seen:
        raise TopologyError(str(path), "includes itself", remedy=f"remove one of {' -> '.join(map(str, seen))}")
    document = Document(path, _interpolated(data, environment, path))
    for section in ("services", "networks"):
        entries = _mapping(document.data.get(section), f"{path}: {section}")
        document.data[section] = {name: _mapping(entry, f"{path}: {section}.{name}") for name, entry in entries.items()}
    for section in _SECTIONS:
        for name, entry in _mapping(document.data.get(section), f"{path}: {section}").items():
            document.wrote(entry, f"{section}.{name}", f"{path}: {section}.{name}")
    for name, service in document.data["services"].items():
        document.data["services"][name] = _extended(service, path, (name,), environment, document)
    for entry in _list(document.data.pop("include", None), f"{path}: include"):
        _include(document, entry, environment, (*seen, path.resolve()))
    return document


def _include(document: Document, entry: object, environment: Mapping[str, str], seen: tuple[Path, ...]) -> None:
    paths = entry.get("path") if isinstance(entry, dict) else entry
    names = [paths] if isinstance(paths, str) else paths
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise TopologyError(
            f"{document.path}: include",
            f"{entry!r} names no file",
            remedy="write a path or {path: [base, override]}",
        )
    base = document.path.parent
    included = _load(base / names[0], environment, seen)
    for name in names[1:]:
        _override(included, _load(base / name, environment, seen))
    for section in ("services", "networks"):
        for name, value in included.data[section].items():
            mine = document.data[section].setdefault(name, value)
            if mine != value:
                raise TopologyError(
                    document.place(f"{section}.{name}"),
                    f"is also defined in {included.place(f'{section}.{name}').rpartition(': ')[0]}, differently",
                    remedy="change an included definition with include: {path: [base, override]}",
                )
    for key, place in included.origins.items():
        if not key.startswith("x-testbed"):  # what a part says of itself does not hold for what includes it
            document.origins.setdefault(key, place)


def _override(document: Document, override: Document) -> None:
    document.data = _merged(document.data, override.data, ())
    document.origins.update(override.origins)


def _extended(
    service: dict[str, Any], path: Path, chain: tuple[str, ...], environment: Mapping[str, str], document: Document
) -> dict[str, Any]:
    """`service` of `document` laid over what it extends, up the chain."""
    extends = service.pop("extends", None)
    if extends is None:
        return service
    place = f"{path}: services.{chain[-1].partition(' in ')[0]}.extends"
    file, base = (extends.get("file"), extends.get("service")) if isinstance(extends, dict) else (None, extends)
    if not isinstance(base, str) or not isinstance(file, str | None):
        raise TopologyError(place, f"{extends!r} names no service", remedy="write {file: PATH, service: NAME}")
    origin = path.parent / file if file else path
    services = _mapping(
        _interpolated(_read(origin, needed_by=place), environment, origin).get("services"), f"{origin}: services"
    )
    if base not in services:
        raise TopologyError(place, f"{origin} has no service {base!r}", choices=services)
    link = f"{base} in {origin.resolve()}"
    if link in chain or (not file and base == chain[-1]):
        raise TopologyError(
            place, f"{base!r} extends itself", remedy="end the chain with a service that extends nothing"
        )
    there = f"{origin}: services.{base}"
    extended = _mapping(services[base], there)
    document.wrote(extended, f"services.{chain[0]}", there)
    inherited = _extended(extended, origin, (*chain, link), environment, document)
    merged: dict[str, Any] = _merged(inherited, service, ())
    return merged


def _mapping(value: object, place: str) -> dict[str, Any]:
    """A mapping with text for keys; nothing at all is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TopologyError(place, f"{value!r} is not a mapping", remedy="write `key: value` lines below it")
    return {str(key): item for key, item in value.items()}


def _list(value: object, place: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TopologyError(place, f"{value!r} is not a list", remedy="write `- item` lines below it, or [item, item]")
    return value


def _merged(base: Any, over: Any, path: tuple[str, ...]) -> Any:
    if path and path[-1] in ("environment", "labels"):
        base, over = _as_mapping(base), _as_mapping(over)
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        joined = dict(base)
        for key, value in over.items():
            joined[key] = _merged(joined[key], value, (*path, str(key))) if key in joined else value
        return joined
    if path and path[-1] == "networks" and isinstance(base, list | dict) and isinstance(over, list | dict):
        return _merged(_as_networks(base), _as_networks(over), path)
    replaced = any(path[-len(tail) :] == tail for tail in _REPLACED)
    if isinstance(base, list) and isinstance(over, list) and not replaced:
        return [*base, *(item for item in over if item not in base)]
    return base if over is None else over


def _as_mapping(entries: Any) -> Any:
    if isinstance(entries, list):
        return dict(str(entry).partition("=")[::2] for entry in entries)
    return entries


def _as_networks(entries: Any) -> Any:
    return {str(name): {} for name in entries} if isinstance(entries, list) else entries


def _read(path: Path, needed_by: str = "") -> dict[str, Any]:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe is read once, and by Compose
            raise TopologyError(str(path), "is no file", remedy="write it into one")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: no text, or no name a file can have
        reason = error.strerror if isinstance(error, OSError) else str(error)
        reason = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else reason
        raise TopologyError(
            str(path), f"cannot be read: {reason}" + (f" (needed by {needed_by})" if needed_by else "")
        ) from None
    try:
        data = _parsed(text)
        if stray := _stray(text):
            raise TopologyError(
                f"{path}: {stray}", "unknown key", choices=["x-testbed", "x-… that holds an anchor (&name)"]
            )
    except (yaml.YAMLError, RecursionError, ValueError, LookupError) as error:  # LookupError: `!!bool maybe`
        said = " ".join(str(error).split())
        raise TopologyError(str(path), f"is not YAML: {said}") from None
    if not isinstance(data, dict):
        raise TopologyError(str(path), "is not a Compose file", remedy="it needs `services:` or `include:` at the top")
    return {str(key): value for key, value in data.items()}


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """The raw data; nobody may change it, `_interpolated` makes the copy that is worked on. Parts are included many times."""
    data = yaml.load(text, Loader=_Yaml)
    _weighed(data, {}, 0)
    return data


def _weighed(value: object, known: dict[int, tuple[int, int]], depth: int) -> tuple[int, int]:
    """How many values it is, and how deep, once its aliases are written out; ValueError for what nobody could write out."""
    if not isinstance(value, dict | list):
        return 1, 0
    if depth > _DEEPEST:
        raise ValueError(f"it is more than {_DEEPEST} levels deep, or an alias (*name) is inside what it stands for")
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        weights = [_weighed(each, known, depth + 1) for each in inner]
        count, height = 1 + sum(weight for weight, _ in weights), 1 + max((high for _, high in weights), default=0)
        if height > _DEEPEST or count > _MOST:
            raise ValueError(f"its aliases stand for more than {_MOST} values, or {_DEEPEST} levels")
        known[id(value)] = count, height
    return known[id(value)]


@functools.lru_cache(maxsize=64)
def _stray(text: str) -> str:
    """The first top-level `x-` key that is neither `x-testbed` nor the home of an anchor: a slip of the pen."""
    depth, key, at_key = 0, "", True
    for event in yaml.parse(text, Loader=_Yaml):
        if depth == 1 and isinstance(event, yaml.NodeEvent):
            if at_key and isinstance(event, yaml.ScalarEvent):
                key = event.value
            elif key.startswith("x-") and key != "x-testbed" and not event.anchor:
                return key
            at_key = not at_key
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
    return ""


def _interpolated(value: Any, environment: Mapping[str, str], path: Path) -> Any:
    if isinstance(value, dict):
        return {str(key): _interpolated(item, environment, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(item, environment, path) for item in value]
    return _substitute(value, environment, path) if isinstance(value, str) else value


def _substitute(text: str, environment: Mapping[str, str], path: Path) -> str:
    def replacement(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        if found[0] == "$":
            raise TopologyError(
                f"{path}: {text!r}",
                "a substitution that is not read here",
                choices=("$VAR", "${VAR}", "${VAR:-default}", "$$"),
            )
        name, operator, default = found[2] or found[5], found[3], found[4] or ""
        value = environment.get(name)
        if operator and (value is None or (operator == ":-" and not value)):
            return default
        return value or ""

    return _VARIABLE.sub(replacement, text)
