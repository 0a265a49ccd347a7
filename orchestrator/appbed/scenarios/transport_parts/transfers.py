"""Files between a client and a web server over one TCP connection, and what the client's packets show of them."""

from __future__ import annotations

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, within
from appbed.lab import Lab
from appbed.scenarios.web_parts import digests
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding

SERVER, ACCESS = "www-1", "gateway@access"
NEAR = {ACCESS: {"delay": "10ms", "rate": "100mbit"}, "isp@core": {"delay": "0ms"}}
"""Links beside the one that is looked at: fast, and 20 ms there and back."""
PATH = "/big/1m.bin"
MIB = 1024 * 1024
_DEADLINE_S = 120


def digest(lab: Lab, path: str = PATH) -> dict[str, str]:
    """SHA-256 of the file as the server has it."""
    return digests.digests(lab, SERVER, {path: f"/srv/site{path}"})


def fetch(lab: Lab, client: str, path: str = PATH) -> None:
    """The whole file, as any user agent gets it."""
    there = f"{SITE}:80:{lab.topology.host(SERVER).address}"
    get = ("curl", "--silent", "--output", "/dev/null", "--max-time", str(_DEADLINE_S), "--resolve", there)
    lab.exec(client, *get, f"http://{SITE}{path}", timeout_s=_DEADLINE_S + 10)


def both_ways(lab: Lab, upload_bytes: int) -> None:
    """The file asked for and, before it came, another one sent: two requests on one connection."""
    get = f"GET {PATH} HTTP/1.1\r\nHost: {SITE}\r\n\r\n"
    put = f"PUT /dav/up.txt HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {upload_bytes}\r\nConnection: close\r\n\r\n"
    said = get + put + "u" * upload_bytes
    there = str(lab.topology.host(SERVER).address)
    lab.exec("client", "sh", "-c", f"/appbed/say {there} 80 30 | wc -c", stdin=said, timeout_s=_DEADLINE_S)


def exchanges(evidence: Evidence, client: str, step: str, path: str = PATH) -> list[HttpExchange]:
    """Requests for the file during a step, as the client saw them."""
    here = evidence.address(client)
    seen: list[HttpExchange] = within(evidence.capture.http(f"host:{client}"), evidence.window(step))
    return [each for each in seen if each.client.host == here and each.request.path == path]


def same(evidence: Evidence, client: str, step: str, what: str, path: str = PATH) -> Finding:
    """Everything fetched is the file of the origin."""
    return digests.same_bytes(what, evidence, exchanges(evidence, client, step, path))
