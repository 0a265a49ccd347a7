"""What an agent that was killed left at a clean port, found in what tc shows and among the interfaces."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from appbed.agent.cables import Port
from appbed.agent.netem import NetemCables

PORT = Port("client@campus", "ab123456x0", 11, "veth1", 1)
NETEM = {"kind": "netem", "handle": "ab:", "dev": "veth1"}
INGRESS = {"kind": "clsact", "handle": "ffff:", "dev": "veth1"}
PLAIN = {"kind": "noqueue", "handle": "0:", "dev": "veth1"}


@pytest.mark.parametrize(
    ("qdiscs", "device", "unplugged"),
    [
        ([PLAIN], "eth0", False),
        ([NETEM], "eth0", True),
        ([INGRESS], "eth0", True),
        ([NETEM | {"dev": "veth2"}], "ab123456x1", False),
        ([PLAIN], "ab123456x0", True),
    ],
)
def test_a_port_is_unplugged_when_something_is_left(
    monkeypatch: pytest.MonkeyPatch, qdiscs: list[dict[str, Any]], device: str, unplugged: bool
) -> None:
    taken: list[tuple[Port, bool]] = []
    cables = NetemCables()
    monkeypatch.setattr(cables._tc, "say", lambda: qdiscs)
    monkeypatch.setattr(cables, "unplug", lambda port, *, gone: taken.append((port, gone)))
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, device)])
    cables.clean(PORT)
    assert taken == ([(PORT, False)] if unplugged else [])
