"""Every object over a TCP connection of its own, one after the other: 2 RTT (n + 1) + transmission (claim W2)."""

from __future__ import annotations

from appbed import models
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.loading import Mode
from appbed.scenarios.web_parts.site import HOME

SCENARIO = loading.scenario(
    "Non-persistent connections, one after the other: 2 RTT for each file, and transmission",
    "W2",
    Mode(
        HOME,
        arguments=("--mode", "serial", "--http", "1.0"),
        page_s=models.serial_page_s,
        opens=lambda objects: 1 + objects,
        server_closes=True,
    ),
)
