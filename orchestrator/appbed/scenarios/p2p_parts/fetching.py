"""The same file from one web server, at one moment, by several hosts that could be peers: what a swarm is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, within
from appbed.lab import Lab
from appbed.scenarios.web_parts.site import SITE

SERVER, LINK = "www-1", "www-1@someschool"
MIB = 1024 * 1024
PATH, FILE_BYTES = "/big/1m.bin", MIB
LARGE, LARGE_BYTES = "/big/4m.bin", 4 * MIB
_PATIENCE_S = 120.0


def fetch(lab: Lab, clients: Sequence[str], path: str = PATH) -> None:
    """All at once; returns when the last one has it."""
    there = str(lab.topology.host(SERVER).address)
    argv = ("/appbed/fetch", f"http://{SITE}{path}", there)
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(lambda client: lab.exec(client, *argv, timeout_s=_PATIENCE_S), clients))


def exchanges(evidence: Evidence, clients: Sequence[str], step: str, path: str = PATH) -> list[HttpExchange]:
    """Each client's requests for a file in a step, as its own interface saw them."""
    window, found = evidence.window(step), list[HttpExchange]()
    for client in clients:
        here = evidence.address(client)
        seen: list[HttpExchange] = within(evidence.capture.http(f"host:{client}"), window)
        found += [each for each in seen if each.client.host == here and each.request.path == path]
    return found


def seconds(fetched: Sequence[HttpExchange]) -> float:
    """From the first SYN of all to the last byte that reached anybody."""
    return max(each.end_s for each in fetched) - min(each.connection.start_s for each in fetched)
