"""One central server would not do: what fails with it, how much it is asked, how far away it is, beside the hierarchy (claim D5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from appbed import models
from appbed.analysis import DnsTransaction
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import ACCESS, REPLICAS, SITE, round_trip_s
from appbed.scenarios.dns_parts.walk import ask, at_client, dig, equal, sound, told, walk
from appbed.scenarios.dns_parts.zones import below, questions
from appbed.verdict import Finding, Verdict, finding, judged, timed

NAMES = (
    SITE,
    "tracker.someschool.edu",
    "one.brief.someschool.edu",
    "gaia.cs.umass.edu",
    "hamburger.edu",
    "mail.hamburger.edu",
    "webmail.hamburger.edu",
    "www.shop.com",
    "www.registrar.com",
    "mail.crepes.fr",
)
LOCALS = {"hierarchy": "dns", "central server": "dns-central"}
"""Two local DNS servers beside each other: one begins at the root, the other hands every question to the central server."""
SILENT, SILENT_ZONE = "ns-cs", "cs.umass.edu"
"""The one server of the hierarchy that fails, and what it serves."""
ROOTS = ("root-a", "root-b")
NEW = tuple(f"new{number}.brief.someschool.edu" for number in range(10))
"""Names nobody has asked for, of a school that has its name server close by."""
_FAR = {"delay": "75ms"}
LINKS = {ACCESS: {"delay": "75ms"}, **{f"{host}@core": _FAR for host in ("central", "tld-edu", *ROOTS)}}
IMPATIENT = ("INFRA_CACHE_MAX_RTT=1000", "INFRA_HOST_TTL=5")
"""A local server that waits 2 s and not 29 s for servers that are silent (images/resolver)."""
_TIME = 0.05
"""Of the round trips: what servers and machine need besides is some milliseconds of 150 and more."""


def predict(conditions: Conditions) -> dict[str, Any]:
    links = conditions["links"]
    near_s = round_trip_s(links[ACCESS])
    far_s = near_s + round_trip_s(links["central@core"])
    tops_s = [near_s + round_trip_s(links[f"{host}@core"]) for host in (ROOTS[0], "tld-edu")]
    asked = questions(NAMES)
    return {
        "questions": {"hierarchy": asked, "central server": {"central server": len(NAMES)}},
        "lost": {"hierarchy": below(SILENT_ZONE, NAMES), "central server": sorted(NAMES)},
        "time_s": {"hierarchy": models.dns_time_s([near_s]), "central server": models.dns_time_s([far_s])},
        "cold": {"messages": models.dns_messages(3), "time_s": models.dns_time_s([*tops_s, near_s])},
        "zones": ["root", "edu", "someschool.edu"],
        "hosts": list(REPLICAS),
    }


def run(lab: Lab, record: Recorder) -> None:
    ask(lab, record, "both roots", SITE)
    for variant, local in LOCALS.items():
        _batch(lab, record, f"far away: {variant}", local, NEW)
    record.step("forget")
    lab.reset(*LOCALS.values())
    for variant, local in LOCALS.items():
        _batch(lab, record, f"all names: {variant}", local, NAMES)
    for variant, silent in (("hierarchy", SILENT), ("central server", "central")):
        record.step(f"{silent}: forget")
        lab.exec(LOCALS[variant], "/appbed/set", *IMPATIENT)
        with lab.faults.pause(silent):
            _at_once(lab, record, f"one server silent: {variant}", LOCALS[variant])
            record.step(f"{silent}: back")
    for root in ROOTS:
        record.step(f"{root}: forget")
        lab.reset("dns")
        with lab.faults.pause(root):
            ask(lab, record, f"without {root}", SITE)
            record.step(f"{root}: back")
    record.step("reset")
    lab.reset(*LOCALS.values())


def _batch(lab: Lab, record: Recorder, step: str, local: str, names: Sequence[str]) -> None:
    """One name after the other."""
    record.step(step)
    server = lab.topology.host(local).address
    lines = "".join(f"@{server} {name} A +noedns +tries=1 +timeout=10 +noall\n" for name in names)
    lab.exec("client", "dig", "-f", "/dev/stdin", stdin=lines)


def _at_once(lab: Lab, record: Recorder, step: str, local: str) -> None:
    """All names side by side, so that they wait together for a server that is silent."""
    record.step(step)
    server = f"@{lab.topology.host(local).address}"
    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(lambda name: dig(lab, name, "A", server), NAMES))


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = [*sound(evidence, ("client", "dns", "dns-central", "central"))]
    for variant in LOCALS:
        found += _distance(evidence, variant, expected["time_s"][variant])
        found += _traffic(evidence, variant, expected["questions"][variant])
        found += _failure(evidence, variant, expected["lost"][variant])
    given = [_answers(evidence, f"all names: {variant}", local) for variant, local in LOCALS.items()]
    found.append(finding("both tell the same of every name", True, given[0] == given[1], given[0] == given[1]))
    for step in ("both roots", *(f"without {root}" for root in ROOTS)):
        found += _roots(evidence, step, expected)
    return judged(found)


def _distance(evidence: Evidence, variant: str, predicted_s: float) -> Iterator[Finding]:
    """How long the local server takes for a name nobody remembers, of a zone whose server is close to it."""
    step, local = f"far away: {variant}", LOCALS[variant]
    seen = [each for each in _asked(evidence, step, local) if each.name in NEW]
    yield equal(f"{variant}: answers to new names", len(NEW), len({each.name for each in seen}))
    times = [each.duration_s for each in seen if each.duration_s is not None]
    busy = evidence.conditions["processor_busy"]
    measured_s = median(times) if times else 0.0
    yield timed(f"{variant}: time of a new name, median", predicted_s, measured_s, _TIME * predicted_s, busy)


def _traffic(evidence: Evidence, variant: str, expected: dict[str, int]) -> Iterator[Finding]:
    """How often each server is asked while the local server looks up all the names; what is sent again counts once."""
    step = f"all names: {variant}"
    if variant == "hierarchy":
        counts = Counter(walk(evidence, step).zones)
    else:
        seen: list[DnsTransaction] = within(evidence.capture.dns("host:central"), evidence.window(step))
        local = evidence.address(LOCALS[variant])
        answered = {(each.name, each.type) for each in seen if each.client.host == local and each.responses}
        counts = Counter({variant: len(answered)})
    yield equal(f"{variant}: questions for {len(NAMES)} names", _listed(expected), _listed(counts))
    most, wanted = max(counts.values(), default=0), max(expected.values())
    yield equal(f"{variant}: questions at the one asked most", wanted, most)


def _failure(evidence: Evidence, variant: str, lost: list[str]) -> Iterator[Finding]:
    """Which names nobody can learn any more while one server is silent."""
    right = _answers(evidence, f"all names: {variant}", LOCALS[variant])
    step = f"one server silent: {variant}"
    given = _answers(evidence, step, LOCALS[variant])
    seen = sorted(set(NAMES) - {name for name in given if given[name]})
    yield equal(f"{variant}: names lost with one server", ", ".join(lost), ", ".join(seen))
    asked = {each.name for each in within(evidence.capture.dns("host:client"), evidence.window(step)) if each.queries}
    yield equal(f"{variant}: names asked for meanwhile", len(NAMES), len(asked))
    others = all(given[name] == right[name] for name in NAMES if name not in lost)
    yield finding(f"{variant}: the others are told as before", True, others, others)


def _roots(evidence: Evidence, step: str, expected: dict[str, Any]) -> Iterator[Finding]:
    """Losing one of two root servers changes nothing but the time."""
    seen = walk(evidence, step)
    yield equal(f"{step}: messages, each question once", expected["cold"]["messages"], seen.messages)
    yield equal(f"{step}: asked", expected["zones"], list(seen.zones))
    addresses = {evidence.address(host) for host in expected["hosts"]}
    yield equal(f"{step}: addresses", addresses, told(evidence, step, SITE))
    least_s, took_s = expected["cold"]["time_s"], seen.duration_s or 0.0
    enough = took_s >= (1 - _TIME) * least_s
    yield finding(f"{step}: time", f"{least_s * 1000:.0f} ms or more", f"{took_s * 1000:.0f} ms", enough)


def _asked(evidence: Evidence, step: str, local: str) -> list[DnsTransaction]:
    """What the client asked a local server in a step and had answered, at the local server's own interface."""
    seen: list[DnsTransaction] = within(evidence.capture.dns(f"host:{local}"), evidence.window(step))
    return [each for each in seen if each.client.host == evidence.address("client") and each.responses]


def _answers(evidence: Evidence, step: str, local: str) -> dict[str, set[str]]:
    """By name, the addresses that reached the client in a step."""
    given: dict[str, set[str]] = {name: set() for name in NAMES}
    for each in at_client(evidence, step, local):
        given.setdefault(each.name, set()).update(
            record.value for record in each.responses[0].answer if record.type == "A"
        )
    return given


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{zone} {count}" for zone, count in sorted(counts.items())) or "nobody"


SCENARIO = Scenario(
    about="One central server: all names fail with it, it is asked everything, and is far away; in the hierarchy one zone fails",
    topology="dns-central",
    predict=predict,
    run=run,
    check=check,
    claims=("D5",),
    links=LINKS,
    capture=("client", "dns", "dns-central", "central"),
    roles=("client", "resolver", "root", "tld", "authoritative"),
)
