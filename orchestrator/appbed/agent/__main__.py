"""Starts the agent: the door first, then fewer capabilities, then the back-end, then control."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from appbed.agent import door, netem, relay
from appbed.agent.cables import Cables
from appbed.agent.relay_cables import RelayCables
from appbed.errors import AppbedError

_SYS_PTRACE, _SYS_ADMIN, _NET_ADMIN, _NET_RAW = 19, 21, 12, 13
_GIVEN = Path("/appbed/topology.json")  # from the orchestrator, resolved; works with a remote engine and any folder
_MOUNTED = Path("/appbed/compose")  # for plain `docker compose up`
_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """APPBED_INSTANCE, APPBED_TOPOLOGY (files, ":" between them) and APPBED_LINKS (auto, netem, relay) say what to do."""
    instance = os.environ["APPBED_INSTANCE"]
    ours = _child(lambda channel: door.serve(channel, instance))
    cables = _cables(os.environ.get("APPBED_LINKS") or "auto")
    _keep_only(_NET_ADMIN, _NET_RAW)
    from appbed.agent import control  # with all it imports, after the door has been forked off and the powers are gone
    from appbed.loader import Document
    from appbed.topology import load, resolve

    try:
        if _GIVEN.exists():
            topology = resolve(Document(_GIVEN, json.loads(_GIVEN.read_text(encoding="utf-8"))))
        else:
            files = [_MOUNTED / name for name in os.environ["APPBED_TOPOLOGY"].split(":")]
            topology = load(files[0], os.environ, *files[1:])
    except AppbedError as error:
        sys.exit(f"agent: {error}")
    control.run(topology, instance, door.Door(ours), cables)


def _cables(wanted: str) -> Cables:
    if wanted not in ("auto", "netem", "relay"):
        sys.exit(f"agent: APPBED_LINKS is {wanted!r}; known: auto, netem, relay")
    if wanted == "netem" or (wanted == "auto" and netem.available()):
        if not netem.available():
            sys.exit("agent: APPBED_LINKS is netem, and this kernel has no netem; load sch_netem or choose relay")
        return netem.NetemCables()
    return RelayCables(_child(relay.serve, keep=(_NET_ADMIN, _NET_RAW)))


def _child(work: Callable[[socket.socket], None], keep: tuple[int, ...] = ()) -> socket.socket:
    """A process that ends with this one, and takes this one with it; the other end of its socket pair."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (mine, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    parent = os.getpid()
    if os.fork() == 0:
        mine.close()
        _LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
        if keep:
            _keep_only(*keep)
        try:
            work(theirs)
        finally:
            os.kill(parent, signal.SIGKILL)
            os._exit(1)
    theirs.close()
    return mine


def _keep_only(*kept: int) -> None:
    """Permitted, effective and inheritable become `kept` (capset(2)); there is no way back."""
    mask = sum(1 << capability for capability in kept)
    header = struct.pack("=Ii", 0x20080522, 0)
    data = struct.pack("=IIIIII", mask, mask, 0, 0, 0, 0)
    if _LIBC.capset(header, data):
        sys.exit(f"agent: cannot drop capabilities: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
