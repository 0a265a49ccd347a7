"""The chapter in one walk: names, the web and its cache, mail, a registrar, and a swarm; every claim read from packets."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import ACCESS
from appbed.scenarios.tour_parts import mail, registration, swarm, web
from appbed.verdict import Verdict, judged

PARTS = {"web": web, "mail": mail, "registration": registration, "swarm": swarm}


def predict(conditions: Conditions) -> dict[str, Any]:
    return {name: part.predict(conditions) for name, part in PARTS.items()}


def run(lab: Lab, record: Recorder) -> None:
    for part in PARTS.values():
        part.run(lab, record)


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    findings = [finding for name, part in PARTS.items() for finding in part.check(evidence, expected[name])]
    return judged(findings, web.figures(evidence))


SCENARIO = Scenario(
    about="names from the root down, a page through the cache, mail read three ways, a name registered, a file in a swarm",
    topology="internet",
    predict=predict,
    run=run,
    check=check,
    claims=("D6", "W1", "W11", "W13", "M1", "M6", "D14", "P4"),
    links={ACCESS: {"delay": "30ms", "loss": "1%", "rate": "10mbit"}},
    capture=(
        "client",
        "client-2",
        "dns",
        "proxy",
        "gateway@access",
        "access",
        "mail-crepes",
        "mail-hamburger",
        "registrar",
    ),
    roles=("client", "resolver", "proxy", "web", "mail", "webmail", "registrar", "tracker", "peer"),
)
