"""The whole page over one connection, all objects asked for at once: 3 RTT + transmission (claim W5)."""

from __future__ import annotations

from appbed import models
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.loading import Mode
from appbed.scenarios.web_parts.site import SMALL

SCENARIO = loading.scenario(
    "One persistent connection, all requests at once: 3 RTT, and transmission",
    "W5",
    Mode(
        SMALL,
        arguments=("--mode", "pipelined"),
        page_s=models.pipelined_page_s,
        opens=lambda objects: 1,
    ),
)
