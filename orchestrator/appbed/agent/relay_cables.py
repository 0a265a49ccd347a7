"""The agent's side of the relay process: requests over a socket pair, answered in order."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

from appbed.agent.cables import Port
from appbed.impairment import Link


class RelayCables:
    """The relay's back-end."""

    kind = "relay"
    unused: tuple[str, ...] = ()

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def plug(self, port: Port, link: Link) -> None:
        self._ask(
            op="plug",
            name=port.name,
            attachment=port.attachment,
            veth=port.veth,
            veth_name=port.veth_name,
            bridge=port.bridge,
            link=link.settings(),
        )

    def clean(self, port: Port) -> None:
        """Nothing: a TAP goes with its process."""

    def set(self, links: Mapping[str, Link]) -> None:
        self._ask(op="set", links={name: link.settings() for name, link in links.items()})

    def unplug(self, port: Port, *, gone: bool) -> None:
        self._ask(op="unplug", name=port.name, veth=0 if gone else port.veth, bridge=port.bridge)

    def leave(self) -> None:
        """Nothing: see `clean`."""

    def counters(self) -> Mapping[str, Any]:
        return self._ask(op="counters")

    def _ask(self, **request: object) -> dict[str, Any]:
        self._channel.send(json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(self._channel.recv(1 << 20))
        if "error" in answer:
            raise OSError(answer.get("errno") or 0, str(answer["error"]))
        return answer
