"""Is a server ready? Asked from inside its own network namespace, through sockets the door opens there."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable

from appbed.topology import Host

_TIMEOUT_S = 1.0


async def ready(host: Host, open_socket: Callable[[str], socket.socket]) -> bool:
    """One attempt. `open_socket` gives a "tcp" or "udp" socket in the host's namespace; LookupError when it cannot right now."""
    try:
        if host.role.ready_tcp and not await _connects(open_socket("tcp"), host, host.role.ready_tcp):
            return False
        return not host.role.ready_dns or await _answers(open_socket("udp"), host, host.role.ready_dns)
    except (OSError, TimeoutError, LookupError):
        return False


async def _connects(sock: socket.socket, host: Host, port: int) -> bool:
    with sock:
        sock.setblocking(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, (str(host.address), port)), _TIMEOUT_S)
    return True


async def _answers(sock: socket.socket, host: Host, name: str) -> bool:
    """NS of `name`, recursion desired (RFC 1035 section 4.1): NOERROR with an answer."""
    identifier = os.urandom(2)
    labels = [label.encode() for label in name.split(".") if label]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack("!HH", 2, 1)
    query = identifier + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + question
    loop = asyncio.get_running_loop()
    with sock:
        sock.setblocking(False)
        sock.connect((str(host.address), 53))
        await loop.sock_sendall(sock, query)
        reply = await asyncio.wait_for(loop.sock_recv(sock, 4096), _TIMEOUT_S)
    return len(reply) >= 12 and reply[:2] == identifier and reply[3] & 0x0F == 0 and reply[6:8] != b"\0\0"
