"""A cache at the institution: response time and the access link's load fall with the share of requests it answers (claim W12)."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from appbed import impairment, models
from appbed.analysis import HttpExchange
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.models import Exchange, Path
from appbed.scenario import Conditions, Links, Scenario, points
from appbed.scenarios.web_parts.digests import digests
from appbed.scenarios.web_parts.site import REPLICAS, SMALL
from appbed.verdict import Finding, Outcome, Verdict, finding, judged, timed

LAN, ACCESS, INTERNET = "client@campus", "gateway@access", "isp@core"
ORIGIN = REPLICAS[0]
REQUESTS, LOAD, RATE_BIT = 100, 0.7, 100e3
"""At each point; the load of the access link without a cache; the link's rate towards the institution."""
_BOOK = "the book's own"
HIT_RATES = {**{f"h {tenths / 10:g}": tenths / 10 for tenths in range(10)}, _BOOK: 0.4}
_SLOW: Links = {ACCESS: {"down": {"rate": "100kbit", "queue": "1000"}}}
SWEEP: dict[str, Links] = {
    **dict.fromkeys(HIT_RATES, _SLOW),
    _BOOK: {ACCESS: {"delay": "0ms", "rate": "100mbit"}, INTERNET: {"delay": "1000ms"}},
}
_CONNECTIONS = 24
"""Lie idle on both sides of the cache before the requests: more than are ever under way, so that hardly one waits for a handshake."""
_SHARE = 0.1
_BYTES_SHARE = 0.05
"""Heads of answers are a few bytes longer or shorter than predicted."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One request: when, for what, its sizes, and whether the cache shall have it."""

    at_s: float
    path: str
    exchange: Exchange
    hit: bool


def plan(seed: int, name: str) -> tuple[list[Wish], float]:
    """Requests at the moments of a Poisson process, and for how long: at every point the same, but for which of them are hits.

    The moments of a Poisson process whose number is given are independent and uniform. What the cache shall not have is asked for
    with a query never used before, which the origin ignores.
    """
    draw = random.Random(f"{seed} institution")
    known = [(path, exchange) for (path, _), exchange in zip(SMALL.objects, SMALL.first(10), strict=True)]
    chosen = [draw.choice(known) for _ in range(REQUESTS)]
    seconds = sum(_service_s(each, RATE_BIT) for _, each in chosen) / LOAD
    moments = sorted(draw.uniform(0, seconds) for _ in range(REQUESTS))
    hits = set(draw.sample(range(REQUESTS), REQUESTS)[: round(HIT_RATES[name] * REQUESTS)])
    return [
        Wish(at_s, path if number in hits else f"{path}?{_tag(name, number)}", exchange, number in hits)
        for number, (at_s, (path, exchange)) in enumerate(zip(moments, chosen, strict=True))
    ], seconds


def _tag(name: str, number: int) -> str:
    """A query that stands for nothing: what has it is a URL of its own."""
    return f"{name.replace(' ', '-')}-{number}"


def _service_s(exchange: Exchange, down_bit: float | None) -> float:
    """How long an answer occupies the access link."""
    return models.wire_time_s(models.wire_bytes(exchange.response_bytes), down_bit)


def paths(links: Mapping[str, Any]) -> tuple[Path, Path]:
    """From the client to the cache, and from the cache to the origin, as the links are set."""
    lan, access, internet = (impairment.resolve(at, links[at]) if at in links else impairment.Link() for at in _WAYS)
    far_s = sum(each.up.delay_ms + each.down.delay_ms for each in (access, internet)) / 1000
    return Path((lan.up.delay_ms + lan.down.delay_ms) / 1000), Path(far_s, access.up.rate_bit, access.down.rate_bit)


_WAYS = (LAN, ACCESS, INTERNET)


# ---- predicting


def predict(conditions: Conditions) -> dict[str, Any]:
    """At each point the mean response time over the planned arrivals, and the textbook's, D/(1 - rho), beside it."""
    at = {}
    for name, point in conditions["sweep"].items():
        lan, beyond = paths(point["links"])
        wishes, seconds = plan(conditions["seed"], name)
        missed = [wish for wish in wishes if not wish.hit]
        service_s = mean(_service_s(wish.exchange, beyond.down_bit) for wish in missed)
        hit_s = mean(models.answer_s(lan, wish.exchange) for wish in wishes)
        access_s = models.access_delay_s(service_s, len(missed) / seconds)
        at[name] = {
            "hits": len(wishes) - len(missed),
            "misses": len(missed),
            "load": service_s * len(missed) / seconds,
            "access_bytes": sum(models.wire_bytes(wish.exchange.response_bytes) for wish in missed),
            "response_s": mean(responses_s(wishes, lan, beyond)),
            "textbook_s": models.cached_response_s(HIT_RATES[name], hit_s, hit_s + beyond.round_trip_s + access_s),
        }
    return {"points": at}


def responses_s(wishes: Sequence[Wish], lan: Path, beyond: Path) -> list[float]:
    """Of each request: a hit takes the LAN's time; a miss waits besides for those before it (Lindley), and for its own answer."""
    missed = [wish for wish in wishes if not wish.hit]
    services_s = [_service_s(wish.exchange, beyond.down_bit) for wish in missed]
    waits_s = models.lindley_waits_s([wish.at_s for wish in missed], services_s)
    fetched_s = {
        id(wish): wait_s + models.answer_s(beyond, wish.exchange) for wish, wait_s in zip(missed, waits_s, strict=True)
    }
    return [models.answer_s(lan, wish.exchange) + fetched_s.get(id(wish), 0.0) for wish in wishes]


# ---- acting


def run(lab: Lab, record: Recorder) -> None:
    files = {path: f"/srv/site{path}" for path, _ in SMALL.objects}
    record.event("origin", sha256=digests(lab, ORIGIN, files))
    record.step("copies")
    _browse(lab, record, [(0.0, path) for path in files])
    record.event("copies", urls=lab.exec("proxy", "/appbed/remembers").stdout.splitlines())
    seed = int(Evidence(record.folder).prediction["under"]["seed"])
    for name in points(lab, record):
        _browse(lab, record, [(0.0, f"/health?{_tag(name, number)}") for number in range(_CONNECTIONS)])
        wishes, _ = plan(seed, name)
        record.step(f"{name}: requests")
        _browse(lab, record, [(wish.at_s, wish.path) for wish in wishes])
    record.step("after")


def _browse(lab: Lab, record: Recorder, asked: Sequence[tuple[float, str]]) -> None:
    """Everything through the cache, each at its moment. The origin is named by its address: names are not what this is about."""
    proxy, origin = (str(lab.topology.host(host).address) for host in ("proxy", ORIGIN))
    lines = "".join(f"{at_s:.6f} http://{origin}{path}\n" for at_s, path in asked)
    argv = ("/appbed/browse", f"{proxy}:3128", "--connections", str(min(len(asked), _CONNECTIONS)))
    done = lab.exec("client", *argv, stdin=lines, timeout_s=asked[-1][0] + 90)
    record.event("browsed", report=json.loads(done.stdout))


# ---- judging


def check(evidence: Evidence) -> Verdict:
    found: list[Finding] = list(_prepared(evidence))
    figures: dict[str, float] = {}
    for name, expected in evidence.prediction["expected"]["points"].items():
        seen, fetched = (_answered(evidence, f"{name}: requests", point) for point in ("client", "gateway"))
        found += _counted(name, expected, seen, fetched)
        found.append(_same(f"{name}: objects equal to the origin's", evidence, [*seen, *fetched]))
        if name != _BOOK:  # it neglects the access link, over which TCP sends again much that is 2 s late
            found.append(_bytes(name, expected, evidence))
        if len(seen) == REQUESTS and len(fetched) == expected["misses"]:
            found.append(_time(name, seen, fetched, evidence))
            figures |= _figures(name, expected, seen)
    return judged(found, figures)


def _answered(evidence: Evidence, step: str, point: str) -> list[HttpExchange]:
    """Whole answers with what was asked for: to the client from the cache, at the gateway to the cache from the origin."""
    asker, answerer = ("client", "proxy") if point == "client" else ("proxy", ORIGIN)
    ends = evidence.address(asker), evidence.address(answerer)
    seen: list[HttpExchange] = within(evidence.capture.http(f"host:{point}"), evidence.window(step))
    return [
        each
        for each in seen
        if (each.client.host, each.server.host) == ends and each.response and each.response.complete
    ]


def _prepared(evidence: Evidence) -> Iterator[Finding]:
    """Before the requests the cache has a copy of everything, each fetched once; and connections lie ready."""
    paths_known = [path for path, _ in SMALL.objects]
    origin = evidence.address(ORIGIN)
    kept = sorted(url.removeprefix(f"http://{origin}") for url in evidence.of("copies")[0].data["urls"])
    yield finding("copies in the cache", len(paths_known), len(kept), kept == paths_known)
    for point in ("client", "gateway"):
        seen = sorted(each.request.path for each in _answered(evidence, "copies", point))
        yield finding(f"copies: answers at the {point}", len(paths_known), len(seen), seen == paths_known)
    for name in evidence.prediction["expected"]["points"]:
        for point in ("client", "gateway"):
            lines = {each.connection.number for each in _answered(evidence, name, point)}
            yield _ready(f"{name}: connections ready at the {point}", len(lines))


def _ready(what: str, lines: int) -> Finding:
    """Fewer than wanted: the machine was too slow to ask for all of them at once, which is nobody's claim."""
    outcome = Outcome.PASSED if lines == _CONNECTIONS else Outcome.INCONCLUSIVE
    return Finding(what, str(_CONNECTIONS), str(lines), outcome)


def _counted(
    name: str, expected: Mapping[str, Any], seen: Sequence[HttpExchange], fetched: Sequence[HttpExchange]
) -> Iterator[Finding]:
    yield finding(f"{name}: requests answered", REQUESTS, len(seen), len(seen) == REQUESTS)
    hits = [
        each.request.path
        for each in seen
        if each.response and (each.response.header("X-Cache") or "").startswith("HIT ")
    ]
    as_planned = len(hits) == expected["hits"] and not any("?" in path for path in hits)
    yield finding(f"{name}: answered from copies", expected["hits"], len(hits), as_planned)
    wanted = sorted(each.request.path for each in seen if "?" in each.request.path)
    came = wanted == sorted(each.request.path for each in fetched)
    yield finding(f"{name}: fetched over the access link", expected["misses"], len(fetched), came)


def _same(what: str, evidence: Evidence, seen: Sequence[HttpExchange]) -> Finding:
    digest = evidence.of("origin")[0].data["sha256"]
    same = sum(
        hashlib.sha256(each.response.body).hexdigest() == digest.get(each.request.path.partition("?")[0])
        for each in seen
        if each.response
    )
    return finding(what, len(seen), same, bool(seen) and same == len(seen))


def _bytes(name: str, expected: Mapping[str, Any], evidence: Evidence) -> Finding:
    """What the access link carried towards the institution while the requests went on: the misses' share of everything.

    Segments with data are counted, once each: what TCP sent again because it was late is the queue's doing, not the cache's.
    """
    cache = evidence.address("proxy")
    frames = within(evidence.capture.packets("host:gateway"), evidence.window(f"{name}: requests"))
    once = {
        (each.source, each.destination, each.seq): each.length
        for each in frames
        if each.destination.host == cache and each.payload_bytes
    }
    carried, wanted = sum(once.values()), expected["access_bytes"]
    outcome = Outcome.PASSED if abs(carried - wanted) <= _BYTES_SHARE * wanted else Outcome.FAILED
    return Finding(f"{name}: bytes on the access link", str(wanted), str(carried), outcome, "", wanted, carried)


def _time(name: str, seen: Sequence[HttpExchange], fetched: Sequence[HttpExchange], evidence: Evidence) -> Finding:
    """The mean response time, by Lindley's recursion over the arrivals as they were."""
    links = evidence.prediction["under"]["sweep"][name]["links"]
    sizes = {each.request.path: Exchange(each.request.size, each.response.size) for each in fetched if each.response}
    came = [
        Wish(
            each.start_s,
            each.request.path,
            sizes.get(each.request.path, Exchange(0, 0)),
            each.request.path not in sizes,
        )
        for each in seen
    ]
    predicted_s = mean(responses_s(came, *paths(links)))
    measured_s = mean(each.duration_s for each in seen)
    busy = evidence.conditions["processor_busy"]
    return timed(f"{name}: mean response time", predicted_s, measured_s, _SHARE * predicted_s, busy)


def _figures(name: str, expected: Mapping[str, Any], seen: Sequence[HttpExchange]) -> dict[str, float]:
    """The curve, and the textbook's beside it."""
    return {
        f"{name}: response_s": mean(each.duration_s for each in seen),
        f"{name}: planned_response_s": expected["response_s"],
        f"{name}: textbook_response_s": expected["textbook_s"],
        f"{name}: load": expected["load"],
    }


SCENARIO = Scenario(
    about="With a cache, response time and the access link's load fall as the share of requests it answers itself rises",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W12",),
    links={LAN: {"delay": "5ms"}, ACCESS: {"delay": "10ms"}, INTERNET: {"delay": "100ms"}},
    sweep=SWEEP,
    short=("h 0", "h 0.4", "h 0.9"),
    capture=("client", ACCESS),
    roles=("client", "proxy", "web"),
)
