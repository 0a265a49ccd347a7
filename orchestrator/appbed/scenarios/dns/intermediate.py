"""A TLD server may know only an intermediate server, which knows the authoritative one: ten messages (claim D7)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.cold import SHORT, SWEEP, Cold
from appbed.scenarios.dns_parts.hierarchy import FAR
from appbed.scenarios.dns_parts.walk import sound
from appbed.verdict import Verdict, judged

LOOKUP = Cold("gaia.cs.umass.edu", ("root", "edu", "umass.edu", "cs.umass.edu"), ("ns-cs",))
CAPTURED = ("client", "dns", "root-a", "root-b", "tld-edu", "ns-umass", "ns-umass-2", "ns-cs")


def predict(conditions: Conditions) -> dict[str, Any]:
    return LOOKUP.predict(conditions)


def run(lab: Lab, record: Recorder) -> None:
    LOOKUP.run(lab, record)


def check(evidence: Evidence) -> Verdict:
    return judged([*sound(evidence, ("client", "dns", "tld-edu", "ns-cs")), *LOOKUP.check(evidence, CAPTURED)])


SCENARIO = Scenario(
    about="Where the TLD server knows only an intermediate server, a name nobody remembers takes ten messages",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D7",),
    links=FAR,
    sweep=SWEEP,
    short=SHORT,
    capture=CAPTURED,
    roles=("client", "resolver", "root", "tld", "authoritative"),
)
