"""Links changed behind the agent's back: what nobody who looks at the settings can know."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appbed.lab import Lab

_PIDFD_GETFD = 438


def only_by_relay(lab: Lab) -> None:
    if lab.agent.ask("status")["links"] != "relay":
        pytest.skip("the way behind the agent's back is the relay's; netem's is tc, by hand")


@contextmanager
def relay_of(lab: Lab) -> Iterator[socket.socket]:
    """The agent's own socket to its relay, taken by root: whoever has it can change cables without the agent's knowing."""
    container = f"{lab.name}-{lab.topology.agent}-1"
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
    )
    pid = int(shown.stdout)
    libc, process = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    found: list[socket.socket] = []
    try:
        for entry in sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda path: int(path.name)):
            if str(entry.readlink()).startswith("socket:"):
                fd = libc.syscall(_PIDFD_GETFD, process, int(entry.name), 0)
                assert fd >= 0, os.strerror(ctypes.get_errno())
                found.append(socket.socket(fileno=fd))
        # The door's was opened first, the relay's next, those of captures later.
        yield [sock for sock in found if (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)][1]
    finally:
        for sock in found:
            sock.close()
        os.close(process)


def hide(lab: Lab, attachment: str, settings: Mapping[str, Any]) -> None:
    name = next(
        line["attachment"] for line in lab.links() if line["attachment"] == attachment and line["cable"] == "relay"
    )
    number = [str(at) for at in lab.topology.attachments()].index(name)
    with relay_of(lab) as relay:  # no time-out: that would be one of the agent's own descriptor, too
        relay.send(json.dumps({"op": "counters"}).encode())
        device = next(port for port in json.loads(relay.recv(1 << 20)) if port.endswith(f"x{number:x}"))
        relay.send(json.dumps({"op": "set", "links": {device: settings}}).encode())
        assert json.loads(relay.recv(1 << 20)) == {}


@contextmanager
def hidden(lab: Lab, attachment: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """For the length of a block; afterwards it is again what the agent believes."""
    only_by_relay(lab)
    hide(lab, attachment, settings)
    try:
        yield
    finally:
        hide(lab, attachment, next(line["set"] for line in lab.links() if line["attachment"] == attachment))
