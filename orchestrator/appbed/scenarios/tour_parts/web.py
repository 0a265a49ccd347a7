"""The tour of names and the web (2.2, 2.4): a name from the root down, a page through the proxy cache, and a changed page.

Everything is read from packets: the local DNS server's for the walk, the proxy's for the cache, the client's for the bytes,
and those on both ends of the access link for the link itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from statistics import median
from typing import Any

from appbed import impairment, models
from appbed.analysis import HttpExchange, Passage
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenarios.dns_parts.hierarchy import ACCESS, REPLICAS, SITE, round_trip_s
from appbed.scenarios.dns_parts.walk import walk
from appbed.verdict import Finding, Outcome, finding, timed

CHANGED, CHANGED_AT = "/img/03.jpg", "Mon, 01 Jan 2024 00:00:00 GMT"
OBJECTS = 10
SERVERS = 3  # on the way from the root down
_REVALIDATE = ("-H", "Cache-Control: max-age=0")


def predict(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Counts are exact; the resolution takes the access link's round trip three times."""
    access_s = round_trip_s(conditions["links"][ACCESS])
    link = impairment.resolve("access", conditions["links"][ACCESS])
    return {
        "dns_messages": models.dns_messages(SERVERS),
        "dns_servers": ["root", "edu", "someschool.edu"],
        "dns_s": models.dns_time_s([access_s] * SERVERS),
        "replicas": len(REPLICAS),
        "requests": 1 + OBJECTS,
        "access_delay_ms": {"up": link.up.delay_ms, "down": link.down.delay_ms},
        "cold_at_origin": 1 + OBJECTS,
        "warm_at_origin": 0,
        "revalidated": {"304": OBJECTS, "200": 1},
    }


def run(lab: Lab, record: Recorder) -> None:
    record.step("resolve", site=SITE)
    lab.exec("client", "dig", "+tries=1", "+timeout=20", SITE, "A")
    paths = _load(lab, record, "cold")
    _load(lab, record, "warm")
    record.step("change", path=CHANGED)
    for host in REPLICAS:
        lab.exec(host, "/appbed/change", CHANGED, CHANGED_AT)
    _load(lab, record, "revalidate", *_REVALIDATE)
    record.step("origin", sha256=_digests(lab, paths))


def _load(lab: Lab, record: Recorder, step: str, *headers: str) -> list[str]:
    """The base HTML file, then what it refers to, through the proxy; the paths of all of them."""
    record.step(step)
    get = (
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "60",
        "--proxy",
        f"http://{lab.topology.host('proxy').address}:3128",
        *headers,
    )
    base = lab.exec("client", *get, f"http://{SITE}/")
    references = _References()
    references.feed(base.stdout)
    urls = [f"http://{SITE}{path}" for path in references.paths]
    lab.exec("client", *get, "--remote-name-all", "--output-dir", "/tmp", *urls)
    return ["/", *references.paths]


class _References(HTMLParser):
    """Paths of the images a page refers to, each once, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = dict(attrs).get("src")
        if tag == "img" and source and source not in self.paths:
            self.paths.append(source if source.startswith("/") else f"/{source}")


def _digests(lab: Lab, paths: list[str]) -> dict[str, str]:
    """SHA-256 of every object as the first replica holds it now."""
    files = ["/srv/site" + (path if path != "/" else "/index.html") for path in paths]
    lines = lab.exec(REPLICAS[0], "sha256sum", *files).stdout.splitlines()
    return {path: line.split()[0] for path, line in zip(paths, lines, strict=True)}


# ---- judging


def check(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    yield from _link(evidence, expected)
    yield from _resolution(evidence, expected)
    yield from _page(evidence, expected, "cold", evidence.window("cold"), expected["cold_at_origin"])
    yield from _page(evidence, expected, "warm", evidence.window("warm"), expected["warm_at_origin"])
    yield from _revalidation(evidence, expected, evidence.window("revalidate"))
    yield _same_bytes(evidence, evidence.window("revalidate"))


def _passages(evidence: Evidence) -> dict[str, tuple[Passage, ...]]:
    """Every packet's passage through the access cable, from captures on both of its ends."""
    capture = evidence.capture
    return {
        "up": capture.passages("host:gateway", "network:access"),
        "down": capture.passages("network:access", "host:gateway"),
    }


def _link(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    """Is the link as set? If not, nothing that follows can be judged."""
    for direction, passages in _passages(evidence).items():
        set_ms = expected["access_delay_ms"][direction]
        delays = [passage.delay_s * 1000 for passage in passages if passage.delay_s is not None]
        lost = sum(passage.lost for passage in passages)
        quickest = min(delays, default=0.0)
        agrees = bool(delays) and -0.2 <= quickest - set_ms <= 1.5
        yield Finding(
            f"access link, {direction}",
            f"{set_ms:g} ms",
            f"{quickest:.2f} ms ({lost} of {len(passages)} frames lost)",
            Outcome.PASSED if agrees else Outcome.INCONCLUSIVE,
            "" if agrees else f"the link was set to {set_ms:g} ms and was {quickest:.2f} ms",
        )


def _resolution(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    seen = walk(evidence, "resolve")
    again = f" (and {seen.again} sent again)" if seen.again else ""
    wanted = expected["dns_messages"]
    yield finding(f"{SITE}: messages", wanted, f"{seen.messages}{again}", seen.messages == wanted)
    servers = expected["dns_servers"]
    yield finding("asked by the local server", ", ".join(servers), ", ".join(seen.zones), list(seen.zones) == servers)
    addresses = seen.addresses()
    replicas = {evidence.address(host) for host in REPLICAS}
    yield finding("addresses in the answer", expected["replicas"], len(addresses), addresses == replicas)
    if seen.duration_s is not None:
        yield _resolution_time(expected["dns_s"], seen.duration_s, seen.again, evidence.conditions["processor_busy"])


def _resolution_time(predicted_s: float, measured_s: float, repeated: int, busy: float) -> Finding:
    """Three round trips and not two or four: within a third of one. With a query lost on the way only at least three."""
    what = "time of the resolution"
    if repeated:
        seen, least = f"{measured_s * 1000:.0f} ms", f"at least {predicted_s * 1000:.0f} ms"
        return finding(what, least, seen, measured_s >= predicted_s, "a query was lost and sent again")
    return timed(what, predicted_s, measured_s, predicted_s / SERVERS / 3, busy)


def _exchanges(evidence: Evidence, window: tuple[float, float]) -> tuple[list[HttpExchange], list[HttpExchange]]:
    """At the proxy: with the client, and with the origin."""
    proxy, client = evidence.address("proxy"), evidence.address("client")
    seen: list[HttpExchange] = within(evidence.capture.http("host:proxy"), window)
    return [each for each in seen if each.client.host == client], [each for each in seen if each.client.host == proxy]


def _page(
    evidence: Evidence, expected: dict[str, Any], step: str, window: tuple[float, float], at_origin: int
) -> Iterator[Finding]:
    asked, fetched = _exchanges(evidence, window)
    good = [each for each in asked if each.response and each.response.status == 200 and each.response.complete]
    yield finding(
        f"page {step}: answers to the client",
        f"{expected['requests']} x 200",
        f"{len(good)} x 200",
        len(good) == len(asked) == expected["requests"],
    )
    yield finding(f"page {step}: requests to the origin", at_origin, len(fetched), len(fetched) == at_origin)


def _revalidation(evidence: Evidence, expected: dict[str, Any], window: tuple[float, float]) -> Iterator[Finding]:
    asked, fetched = _exchanges(evidence, window)
    conditional = [each for each in fetched if each.request.header("If-Modified-Since")]
    statuses = [str(each.response.status) for each in conditional if each.response]
    seen = {status: statuses.count(status) for status in sorted(set(statuses), reverse=True)}
    wanted = expected["revalidated"]
    yield finding(
        "changed page: conditional GETs",
        _counts(wanted),
        _counts(seen),
        seen == wanted and len(conditional) == len(fetched),
    )
    bodies = [len(each.response.body) for each in conditional if each.response and each.response.status == 304]
    yield finding("changed page: bytes in 304 bodies", 0, sum(bodies), not any(bodies))
    good = [each for each in asked if each.response and each.response.status == 200]
    yield finding(
        "changed page: answers to the client",
        f"{expected['requests']} x 200",
        f"{len(good)} x 200",
        len(good) == expected["requests"],
    )


def _counts(by_status: dict[str, int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(by_status.items(), reverse=True)) or "none"


def _same_bytes(evidence: Evidence, window: tuple[float, float]) -> Finding:
    """What the client got, byte for byte, is what the origin holds: over two TCP connections and a lossy link."""
    wanted = evidence.step("origin").data["sha256"]
    client = evidence.address("client")
    got = {}
    for each in within(evidence.capture.http("host:client"), window):
        if each.client.host == client and each.response:
            path = each.request.url.removeprefix(f"http://{SITE}")
            got[path] = hashlib.sha256(each.response.body).hexdigest()
    same = [path for path, digest in wanted.items() if got.get(path) == digest]
    return finding("objects equal to the origin's (SHA-256)", len(wanted), len(same), len(same) == len(wanted))


def figures(evidence: Evidence) -> dict[str, float]:
    found = {}
    for step in ("cold", "warm", "revalidate"):
        asked, _ = _exchanges(evidence, evidence.window(step))
        if asked:
            found[f"{step}_response_median_s"] = median(each.end_s - each.start_s for each in asked)
    return found
