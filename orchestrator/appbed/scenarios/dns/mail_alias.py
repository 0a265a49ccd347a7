"""Web and mail of a company share one name: its A and its MX lead to different hosts; a CNAME beside them is refused (claim D3)."""

from __future__ import annotations

from typing import Any

from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import at_core
from appbed.scenarios.dns_parts.walk import ask, at_client, equal, records, sound
from appbed.verdict import Verdict, finding, judged

NAME, MAIL = "hamburger.edu", "mail.hamburger.edu"
WEB_AT, MAIL_AT, HOSTING_AT = 53, 52, 40
"""Where images/nameserver has its web, its mail and its name server, in the network of servers."""
ASKED = {"web": (NAME, "A"), "mail": (NAME, "MX"), "mail's address": (MAIL, "A"), "after the CNAME": (NAME, "MX")}
_ZONE = f"/run/named/zones/{NAME}.zone"
_RELOAD = ("rndc", "-k", "/run/named/rndc.key", "reload", NAME)


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"web": WEB_AT, "mail": MAIL_AT, "refusal": "CNAME and other data"}


def run(lab: Lab, record: Recorder) -> None:
    local = f"@{lab.topology.host('dns').address}"
    for step, (name, kind) in ASKED.items():
        if step.startswith("after"):
            _cname(lab, record)
            local = f"@{lab.topology.host('ns-hosting').address}"
        ask(lab, record, step, name, kind, local)
    record.step("reset")
    lab.reset("ns-hosting")


def _cname(lab: Lab, record: Recorder) -> None:
    """A CNAME is written beside the other records, and the server told to read them again."""
    record.step("CNAME")
    lab.exec("ns-hosting", "tee", "-a", _ZONE, stdin=f"@ IN CNAME {MAIL}.\n")
    before = len(_refusals(lab))
    lab.exec("ns-hosting", *_RELOAD)
    lab.until(lambda: len(_refusals(lab)) > before, "the server says whether it takes the zone", timeout_s=10)
    record.event("reload", log=_refusals(lab)[before:])


def _refusals(lab: Lab) -> list[str]:
    """What the server logged about loading the zone."""
    said = lab.logs("ns-hosting").splitlines()
    return [line for line in said if f"zone {NAME}/IN:" in line and ("loading" in line or "loaded" in line)]


def check(evidence: Evidence) -> Verdict:
    expected = evidence.prediction["expected"]
    found = list(sound(evidence, ("client",)))
    web, mail = at_core(evidence, expected["web"]), at_core(evidence, expected["mail"])
    exchange = (NAME, "MX", f"10 {MAIL}")
    wanted = {
        "web": [(NAME, "A", web)],
        "mail": [exchange],
        "mail's address": [(MAIL, "A", mail)],
        "after the CNAME": [exchange],
    }
    for step, answer in wanted.items():
        server = "ns-hosting" if step.startswith("after") else "dns"
        got = [records(each.response.answer) for each in at_client(evidence, step, server) if each.response]
        found.append(equal(f"{step}: answer", [answer], got))
    more = [
        records((*each.response.authority, *each.response.additional))
        for each in at_client(evidence, "after the CNAME", "ns-hosting")
        if each.response
    ]
    server = at_core(evidence, HOSTING_AT)
    zone = [("ns1." + NAME, "A", server), (MAIL, "A", mail), (NAME, "NS", "ns1." + NAME)]
    found.append(equal("after the CNAME: further records", [sorted(zone)], more))
    log = "; ".join(evidence.of("reload")[0].data["log"])
    refused = expected["refusal"] in log
    found.append(finding("a CNAME beside them", f"refused: {expected['refusal']}", log[-80:] or "no word", refused))
    return judged(found)


SCENARIO = Scenario(
    about="One name for web and mail: A and MX lead to different hosts, and the name server refuses a CNAME beside them",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D3",),
    capture=("client",),
    roles=("client", "resolver", "authoritative"),
)
