"""What a lab may leave on the engine's machine: seen before and after, and compared."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Counters, and what the kernel keeps about flows and machines: they move by themselves.
_MOVING = re.compile(r"conntrack_count|conntrack_buckets|/route/|/neigh/.*/(base_reachable|retrans)|stat|random|_key$")
_COUNTERS = re.compile(r"\[\d+:\d+\]|^#.*$", re.MULTILINE)
_EXPIRES = re.compile(r" expires \d+sec| linkdown")
_SETTLE_S, _MOMENT_S = 20.0, 0.5
Machine = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is there now and was not, or was and is not, of one kind."""

    kind: str
    more: tuple[str, ...]
    fewer: tuple[str, ...]

    def __str__(self) -> str:
        signed = [*(f"+ {line}" for line in self.more[:3]), *(f"- {line}" for line in self.fewer[:3])]
        return f"{self.kind}: {'; '.join(signed)}"


def seen() -> dict[str, tuple[str, ...]]:
    """Interfaces, queueing disciplines, routes, rules, firewall and the network's sysctls of this machine."""
    return {
        "interfaces": tuple(sorted(path.name for path in Path("/sys/class/net").iterdir())),
        "qdiscs": _lines("tc", "qdisc", "show"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "routes of IPv6": _lines("ip", "-6", "route", "show", "table", "all"),
        "rules": _lines("ip", "rule", "show"),
        "iptables": _lines("iptables-save"),
        "ip6tables": _lines("ip6tables-save"),
        "sysctls": tuple(sorted(_sysctls())),
    }


def settled() -> dict[str, tuple[str, ...]]:
    """The same, once it no longer changes: something else may just have been taken down."""
    deadline, before = time.monotonic() + _SETTLE_S, seen()
    while time.monotonic() < deadline:
        threading.Event().wait(_MOMENT_S)
        now = seen()
        if now == before:
            return now
        before = now
    raise RuntimeError(f"the machine's interfaces, routes or firewall change by themselves: {before.keys()}")


def differences(before: Machine, now: Machine) -> list[Difference]:
    found = []
    for kind, lines in before.items():
        more, fewer = set(now[kind]) - set(lines), set(lines) - set(now[kind])
        if more or fewer:
            found.append(Difference(kind, tuple(sorted(more)), tuple(sorted(fewer))))
    return found


def _lines(*argv: str) -> tuple[str, ...]:
    """A command's lines without what counts or expires; none where there is no such command."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ()
    said = _EXPIRES.sub("", _COUNTERS.sub("", done.stdout))
    return tuple(sorted(line.strip() for line in said.splitlines() if line.strip()))


def _sysctls() -> Iterator[str]:
    for path in Path("/proc/sys/net").rglob("*"):
        if _MOVING.search(str(path)) or not path.is_file():
            continue
        try:
            yield f"{path.relative_to('/proc/sys')} = {path.read_text(errors='replace').strip()}"
        except OSError:  # one that can only be written, or has gone with its interface
            continue
