"""The whole page over one connection, one request after the other: 2 RTT + n RTT + transmission (claim W4)."""

from __future__ import annotations

from appbed import models
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.loading import Mode
from appbed.scenarios.web_parts.site import HOME

SCENARIO = loading.scenario(
    "The whole page over one persistent connection: 2 RTT, 1 RTT for each object, and transmission",
    "W4",
    Mode(
        HOME,
        arguments=("--mode", "persistent"),
        page_s=models.persistent_page_s,
        opens=lambda objects: 1,
    ),
)
