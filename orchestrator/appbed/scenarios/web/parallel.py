"""Every object over a TCP connection of its own, three at a time: 2 RTT + 2 RTT*ceil(n/m) + transmission (claim W3)."""

from __future__ import annotations

from collections.abc import Sequence

from appbed import models
from appbed.models import Exchange, Path
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.loading import Mode
from appbed.scenarios.web_parts.site import HOME

AT_ONCE = 3


def page_s(path: Path, base: Exchange, objects: Sequence[Exchange]) -> float:
    return models.parallel_page_s(path, base, objects, AT_ONCE)


SCENARIO = loading.scenario(
    "Non-persistent connections, three at a time: 2 RTT, 2 RTT for each three objects, and transmission",
    "W3",
    Mode(
        HOME,
        arguments=("--mode", "parallel", "--connections", str(AT_ONCE), "--http", "1.0"),
        page_s=page_s,
        opens=lambda objects: 1 + objects,
        at_once=AT_ONCE,
        server_closes=True,
    ),
)
