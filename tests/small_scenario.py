"""A scenario on the small lab: it slows the access link down and looks whether it is slow."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Scenario
from appbed.verdict import Verdict, finding, judged

ACCESS = "gateway@access"


def predict(conditions: Any) -> dict[str, Any]:
    return {"delay": conditions["links"][ACCESS]["up"]["delay"]}


def run(lab: Lab, record: Recorder) -> None:
    record.step("look")
    record.event("seen", link=lab.link(ACCESS).show()["set"])
    lab.exec("client", "look")


def check(found: Evidence) -> Verdict:
    (seen,) = found.of("seen")
    expected, delay = found.prediction["expected"]["delay"], seen.data["link"]["up"]["delay"]
    return judged([finding("delay", expected, delay, delay == expected)], {"events": float(len(found.events))})


SMALL_ONE = Scenario(
    about="looks at its link",
    topology="small",
    predict=predict,
    run=run,
    check=check,
    claims=("X1",),
    links={ACCESS: {"delay": "50ms"}},
    capture=("client", "access"),
)
