"""How a command reaches the peer: one line of JSON there, one back, over a socket in the peer's own file system."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

SOCKET = "/data/control"
_TIMEOUT_S = 30.0
EX_USAGE = 64
EX_FAILED = 1


class Refused(Exception):
    """What was asked is not possible; the message is the one line for the user."""


def request(command: str, *arguments: str) -> dict[str, object] | None:
    """What the peer answers; the command ends here, in one line, where it refuses or is not there."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_TIMEOUT_S)
            sock.connect(SOCKET)
            sock.sendall(json.dumps([command, *arguments]).encode() + b"\n")
            answer = json.loads(_line(sock))
    except (OSError, ValueError) as error:
        sys.exit(f"{command}: the peer does not answer: {error or type(error).__name__}")
    if "refused" in answer:
        print(f"{command}: {answer['refused']}", file=sys.stderr)
        sys.exit(answer["status"])
    result: dict[str, object] | None = answer["result"]
    return result


def ask(command: str, *arguments: str) -> None:
    """What most commands beside the driver do: prints the answer and ends with its status."""
    result = request(command, *arguments)
    if result is not None:
        print(json.dumps(result))


def listen() -> socket.socket:
    Path(SOCKET).unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(SOCKET)
    server.listen(16)
    return server


def answer(server: socket.socket, act: Callable[[list[str]], dict[str, object]]) -> None:
    """Serves one command; one that does not speak or listen cannot hold the peer for long."""
    connection, _ = server.accept()
    with connection:
        connection.settimeout(1.0)
        try:
            connection.sendall(json.dumps(act(json.loads(_line(connection)))).encode() + b"\n")
        except (OSError, ValueError) as error:
            print(f"peer: a command went away: {error}", file=sys.stderr)


def _line(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
        if part.endswith(b"\n"):
            break
    return b"".join(parts)
