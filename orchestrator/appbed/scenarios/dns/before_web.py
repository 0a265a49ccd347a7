"""The browser takes the name from the URL, asks DNS, gets the address, then opens TCP to port 80 (claim D1)."""

from __future__ import annotations

import hashlib
from typing import Any

from appbed.analysis import Connection, HttpExchange
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.dns_parts.hierarchy import REPLICAS, SITE
from appbed.scenarios.dns_parts.walk import equal, sound
from appbed.verdict import Finding, Verdict, finding, judged

PATH = "/somedir/page.html"


def predict(conditions: Conditions) -> dict[str, Any]:
    return {"name": SITE, "port": 80, "path": PATH, "order": ["DNS query", "DNS reply", "SYN", "HTTP request"]}


def run(lab: Lab, record: Recorder) -> None:
    file = lab.exec("www-1", "sha256sum", f"/srv/site{PATH}").stdout.split()[0]
    record.step("page", sha256=file)
    lab.exec(
        "client", "curl", "--ipv4", "--silent", "--max-time", "20", "--output", "/dev/null", f"http://{SITE}{PATH}"
    )
    record.step("after")


def check(evidence: Evidence) -> Verdict:
    expected, window = evidence.prediction["expected"], evidence.window("page")
    client, local = evidence.address("client"), evidence.address("dns")
    asked = [each for each in within(evidence.capture.dns("host:client"), window) if each.response]
    opened: list[Connection] = within(evidence.capture.connections("host:client"), window)
    fetched: list[HttpExchange] = within(evidence.capture.http("host:client"), window)
    found = list(sound(evidence, ("client",)))
    found.append(equal("names asked for", [expected["name"]], [each.name for each in asked]))
    found.append(
        equal(
            "asked by the client of its local server",
            [(client, local)],
            [(e.client.host, e.server.host) for e in asked],
        )
    )
    found.append(equal("connections to port", [expected["port"]], [each.server.port for each in opened]))
    found.append(equal("requests for", [f"http://{SITE}{PATH}"], [each.request.url for each in fetched]))
    if not (len(asked) == len(opened) == len(fetched) == 1):
        return judged(found)
    answer = asked[0].responses[0].answer
    addresses = sorted(record.value for record in answer if record.type == "A")
    found.append(equal("addresses in the answer", sorted(map(evidence.address, REPLICAS)), addresses))
    used = opened[0].server.host
    found.append(
        finding("the connection goes to", "one of them", used, used in addresses and opened[0].client.host == client)
    )
    moments = {
        "DNS query": asked[0].start_s,
        "DNS reply": asked[0].end_s,
        "SYN": opened[0].start_s,
        "HTTP request": fetched[0].request.start_s,
    }
    order = sorted(moments, key=lambda name: moments[name])
    found.append(finding("order", ", ".join(expected["order"]), ", ".join(order), order == expected["order"]))
    return judged([*found, *_page(evidence, fetched[0])])


def _page(evidence: Evidence, fetched: HttpExchange) -> list[Finding]:
    body = fetched.response.body if fetched.response else b""
    wanted = evidence.step("page").data["sha256"]
    return [equal("the page is the origin's (SHA-256)", wanted[:16], hashlib.sha256(body).hexdigest()[:16])]


SCENARIO = Scenario(
    about="A browser takes the name from the URL, asks DNS, gets addresses, and opens TCP to port 80 of one of them",
    topology="dns",
    predict=predict,
    run=run,
    check=check,
    claims=("D1",),
    capture=("client",),
    roles=("client", "resolver", "web"),
    indifferent={"times stretched": "the order of events is the same at half the speed"},
)
