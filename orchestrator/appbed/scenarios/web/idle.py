"""The server closes a persistent connection that has been idle for its time-out (claim W6)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.scenarios.web_parts.loading import Loaded
from appbed.scenarios.web_parts.site import REPLICAS, SITE
from appbed.verdict import Verdict, finding, judged, timed

PAGE, FILE = "/somedir/page.html", "/srv/site/somedir/page.html"
IDLE_S = 15.0
"""KEEPALIVE_TIMEOUT of images/web where nothing else is set."""
_TOLERANCE_S = 0.25
"""nginx looks at its timers when it has nothing else to do; a missing or doubled time-out is a matter of seconds."""


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"connections": 1, "closed_by": "server", "closed_how": "fin", "idle_s": IDLE_S}


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, REPLICAS[0], {PAGE: FILE}))
    record.step("page")
    loading.load(lab, record, f"http://{SITE}{PAGE}", "--stay", f"{IDLE_S + 10:g}", "--deadline", "40")


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    loaded = Loaded(evidence, evidence.of("load")[0])
    lines = loaded.connections
    found = [
        finding("connections", expected["connections"], len(lines), len(lines) == expected["connections"]),
        same_bytes("object equal to the origin's", evidence, loaded.answers),
    ]
    for line in lines:
        for key in ("closed_by", "closed_how"):
            seen = getattr(line, key) or "nobody"
            found.append(finding(key.replace("_", " "), expected[key], seen, seen == expected[key]))
        idle_s = (line.closed_s or line.end_s) - max((each.end_s for each in loaded.answers), default=line.start_s)
        busy = evidence.conditions["processor_busy"]
        found.append(timed("idle until the FIN", expected["idle_s"], idle_s, _TOLERANCE_S, busy))
    return judged(found)


SCENARIO = Scenario(
    about="The server closes a persistent connection after it was idle for 15 s",
    topology="web",
    predict=predict,
    run=run,
    check=check,
    claims=("W6",),
    capture=("client",),
    roles=("client", "web"),
)
