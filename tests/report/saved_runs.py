"""The saved runs that reports are tested with, and how to make one hostile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

SAVED = ("transport.elastic", "web.idle", "web.page", "dns.hit_rate")
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&\x07\u202e{{ 7*7 }}"

Change = Callable[[Path, Callable[[Any], Any]], None]
"""Rewrites a file of JSON."""


def poisoned(value: Any) -> Any:
    """Every text in it ends in something hostile, names too; numbers in texts stay what they are."""
    if isinstance(value, dict):
        return {key: poisoned(each) for key, each in value.items()} | {HOSTILE: HOSTILE}
    if isinstance(value, list):
        return [poisoned(each) for each in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) and value not in ("PASSED", "up", "down") else value


def poison_conditions(value: dict[str, Any]) -> dict[str, Any]:
    """Names that reach the drawing, beside whatever else is text."""
    links = [{**line, "attachment": f"{HOSTILE}@{HOSTILE}"} for line in value["links"][:2]]
    return {
        **value,
        **dict.fromkeys(("machine", "engine", "backend", "seed"), HOSTILE),
        "capture_warnings": [HOSTILE],
        "hosts": {**value["hosts"], HOSTILE: [HOSTILE]},
        "networks": {**value["networks"], HOSTILE: HOSTILE},
        "links": [*value["links"], *links],
    }
