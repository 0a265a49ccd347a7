"""`browse HOST:PORT`: asks a proxy for URLs at given moments, whoever still waits for an answer; one line of JSON."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn
from urllib.parse import urlsplit

from loader.connection import Connection, Trouble, now_s

_PATIENCE_S = 60.0
"""So long after the last moment the last answer may come."""
_MOST = 10_000
_AT_ONCE = 100  # of the 128 processes and threads a client may have


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(64, f"browse: {message}\n")


class Users:
    """Many users' connections to one proxy: who asks takes one that lies idle, or opens one."""

    def __init__(self, proxy: tuple[str, int], deadline_s: float) -> None:
        self._proxy, self._deadline_s = proxy, deadline_s
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self.opened = 0

    def prepare(self, count: int) -> None:
        """Opens connections before anybody needs them; the proxy that cannot be reached is known by the first."""
        self._idle += [self._open() for _ in range(count)]

    def ask(self, url: str) -> str:
        """What went wrong; "" for an answer, whatever it says."""
        try:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            line = line or self._open()
            line.ask(_request(url))
            if line.answer().persistent:
                with self._lock:
                    self._idle.append(line)
        except Trouble as trouble:
            return f"{url}: {trouble}"
        return ""

    def close(self) -> None:
        for line in self._idle:
            line.close()

    def _open(self) -> Connection:
        with self._lock:
            self.opened += 1
            line = Connection(self.opened, self._proxy, self._deadline_s)
        line.connect()
        return line


def _request(url: str) -> bytes:
    return f"GET {url} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nUser-Agent: appbed-loader\r\n\r\n".encode()


def browse(users: Users, wishes: list[tuple[float, str]]) -> list[str]:
    """Asks for every URL at its moment (seconds from now), each in a thread of its own; what went wrong."""
    begun_s, asked = now_s(), []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for at_s, url in sorted(wishes):
            time.sleep(max(0.0, begun_s + at_s - now_s()))
            asked.append(pool.submit(users.ask, url))
        return [trouble for each in asked if (trouble := each.result())]


def wishes(text: str) -> list[tuple[float, str]]:
    """Lines of SECONDS and URL; ValueError for anything else."""
    found = []
    for line in text.splitlines():
        at, _, url = line.partition(" ")
        if urlsplit(url).scheme != "http" or not 0 <= float(at) < _MOST:
            raise ValueError(line)
        found.append((float(at), url))
    return found


def main(argv: list[str]) -> int:
    parser = _Arguments(
        prog="browse", description="Lines of SECONDS and URL on stdin; nobody waits for who asked before."
    )
    parser.add_argument("proxy", metavar="HOST:PORT")
    parser.add_argument("--connections", type=int, default=1, metavar="N", help="opened before the first request")
    given = parser.parse_args(argv)
    host, _, port = given.proxy.rpartition(":")
    if not (host and port.isdigit()):
        parser.error(f"{given.proxy!r} is no HOST:PORT")
    try:
        planned = wishes(sys.stdin.read())
    except ValueError as error:
        parser.error(f"{str(error)!r} is no line of SECONDS and an http URL")
    if not 0 < len(planned) <= _MOST:
        parser.error(f"{len(planned)} requests; give 1 to {_MOST}, one a line")
    users = Users((host, int(port)), now_s() + max(planned)[0] + _PATIENCE_S)
    try:
        users.prepare(given.connections)
    except Trouble as trouble:
        parser.exit(1, f"browse: {given.proxy}: {trouble}\n")
    troubles = browse(users, planned)
    users.close()
    json.dump({"asked": len(planned), "answered": len(planned) - len(troubles), "troubles": troubles[:10]}, sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
