"""Of requests at random moments a cache answers lT/(1 + lT) itself, l being their rate and T the time to live (claim D9)."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from appbed import models
from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import SITE
from appbed.scenarios.dns_parts.walk import ask, equal, sound, walk
from appbed.verdict import Finding, Outcome, Verdict, judged

TTL_S, SECONDS = 10, 30
DOMAIN = "brief.someschool.edu"
LOADS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Requests for one name within its time to live, on the average."""
_ASKED_PER_TTL = 80
"""Of each load so many names that all of them together make the same number of requests."""
_WHOLE_S = 1
"""A resolver counts in whole seconds: an answer it was given for T seconds lives between T and T + 1."""
_SIGMAS = 3.9  # 99.99 %


def names(load: float) -> int:
    return round(_ASKED_PER_TTL / load)


def predict(conditions: Conditions) -> dict[str, Any]:
    """For each load: the share, and the same if every answer lived a second longer."""
    return {
        str(number): {
            "load": load,
            "share": models.ttl_hit_rate(load / TTL_S, TTL_S),
            "share_at_most": models.ttl_hit_rate(load / TTL_S, TTL_S + _WHOLE_S),
        }
        for number, load in enumerate(LOADS)
    }


def run(lab: Lab, record: Recorder) -> None:
    seed = str(Evidence(record.folder).prediction["under"]["seed"])
    groups = [word for load in LOADS for word in (str(names(load)), f"{load / TTL_S:g}")]
    ask(lab, record, "warm", SITE)  # so that the requests meet a local server that knows whom to ask
    record.step("requests")
    lab.exec("client", "/appbed/wonder", seed, str(SECONDS), DOMAIN, *groups)
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    window = evidence.window("requests")
    seen: list[DnsTransaction] = within(evidence.capture.dns("host:dns"), window)
    local, client = evidence.address("dns"), evidence.address("client")
    requests = _moments(each for each in seen if each.client.host == client)
    server = evidence.address("ns-school")
    onward = [each for each in seen if each.client.host == local]
    misses = _moments(_once(onward))
    at_server: list[DnsTransaction] = within(evidence.capture.dns("host:ns-school"), window)
    answered = sum(bool(each.responses) for each in at_server)
    found = list(sound(evidence, ("dns", "ns-school")))
    found.append(equal("questions that reached the authoritative server", len(onward), answered))
    warm = walk(evidence, "warm")
    found.append(equal("before: messages of the first name", models.dns_messages(3), warm.messages))
    found.append(equal("who is asked", {server}, {each.server.host for each in onward}))
    unanswered = sum(not each.responses for each in seen)
    found.append(equal("requests without an answer", 0, unanswered))
    addresses = {
        record.value for each in seen if each.response and each.client.host == client for record in each.response.answer
    }
    found.append(equal("answers", {evidence.address("www-1")}, addresses))
    for number, expected in evidence.prediction["expected"].items():
        found.append(_share(expected, _cycles(number, requests, misses)))
    return judged(found)


def _once(onward: Sequence[DnsTransaction]) -> Iterator[DnsTransaction]:
    """Without questions sent again because the answer was late: those that began before the one before was answered."""
    open_until: dict[str, float] = {}
    for each in onward:
        if each.start_s > open_until.get(each.name, 0.0):
            yield each
        open_until[each.name] = max(each.end_s, open_until.get(each.name, 0.0))


def _moments(seen: Iterable[DnsTransaction]) -> dict[str, list[float]]:
    """When each name was asked for."""
    moments: dict[str, list[float]] = {}
    for each in seen:
        if each.name.endswith(DOMAIN):
            moments.setdefault(each.name, []).append(each.start_s)
    return moments


def _cycles(
    number: str, requests: Mapping[str, Sequence[float]], misses: Mapping[str, Sequence[float]]
) -> tuple[int, int]:
    """Misses after which the whole time to live was watched, and the hits that followed each until the next miss."""
    end_s = max((at for moments in requests.values() for at in moments), default=0.0)
    hits = whole = 0
    for name, moments in requests.items():
        if name.split(".")[1] != f"g{number}":
            continue
        starts = misses.get(name, ())
        for at, start in enumerate(starts):
            if start + TTL_S + _WHOLE_S <= end_s:
                until = bisect_right(moments, starts[at + 1]) - 1 if at + 1 < len(starts) else len(moments)
                whole, hits = whole + 1, hits + until - bisect_right(moments, start)
    return whole, hits


def _share(expected: Mapping[str, Any], counted: tuple[int, int]) -> Finding:
    """Within chance of the prediction: the hits after so many misses are Poisson, so are their bounds."""
    whole, hits = counted
    least, most = (
        whole * load + sign * _SIGMAS * math.sqrt(whole * load)
        for sign, load in ((-1, expected["load"]), (1, expected["load"] * (TTL_S + _WHOLE_S) / TTL_S))
    )
    share = hits / (hits + whole) if whole else 0.0
    agrees = whole > 0 and least <= hits <= most
    chance = [hits / (hits + whole or 1) for hits in (max(0.0, least), most)]
    told = f"{expected['share']:.2f} to {expected['share_at_most']:.2f} ({chance[0]:.2f} to {chance[1]:.2f} by chance)"
    what = f"{expected['load']:g} requests within the TTL: share answered from memory"
    outcome = Outcome.PASSED if agrees else Outcome.FAILED
    seen = f"{share:.2f} ({whole} misses, {hits} hits)"
    return Finding(what, told, seen, outcome, "", expected["share"], share, (chance[0], chance[1]))


SCENARIO = Scenario(
    about="Of requests at random moments for many names, the local server answers the share lT/(1 + lT) from its memory",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D9",),
    capture=("dns", "ns-school"),
    roles=("client", "resolver", "authoritative"),
)
