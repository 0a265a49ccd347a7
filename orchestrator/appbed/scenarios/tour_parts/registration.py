"""The tour of the registrar (2.4): networkutopia.com, unknown at first, is registered, and its page and its mail work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenarios.tour_parts import mail
from appbed.verdict import Finding, finding

NAME = "networkutopia.com"
SERVERS = {f"dns1.{NAME}": "ns-hosting", f"dns2.{NAME}": "ns-umass-2"}
WEB, USER = "www-1", "info"
_UPDATE = 5  # the opcode (RFC 2136)


def predict(conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "before": "NXDOMAIN",
        "registered": "NOERROR",
        "again": "YXDOMAIN",
        "address_of": WEB,
        "page": 200,
        "messages": 1,
    }


def run(lab: Lab, record: Recorder) -> None:
    ask = ("dig", "+tries=1", "+timeout=20", f"www.{NAME}", "A")
    record.step("before registration")
    lab.exec("client", *ask)
    record.step("registration")
    servers = [word for name, host in SERVERS.items() for word in ("--ns", f"{name}={lab.topology.host(host).address}")]
    register = ("/appbed/registrar", "register", NAME, *servers)
    lab.exec("registrar", *register)
    lab.exec("registrar", *register, check=False)  # the second buyer
    lab.reset("dns", "dns-hosting")  # they remember for a while that the name does not exist
    record.step("after registration")
    lab.exec("client", *ask)
    lab.exec(
        "client", "curl", "--silent", "--show-error", "--max-time", "20", "--output", "/dev/null", f"http://www.{NAME}/"
    )
    mail.send(lab, mail.message(mail.SENDER, f"{USER}@{NAME}"), "mail-crepes", "mail.crepes.fr")
    lab.until(lambda: bool(mail.mailbox(lab, "mail-networkutopia", USER)), f"the message is in {USER}@{NAME}'s mailbox")
    record.event("registered", mailbox=mail.mailbox(lab, "mail-networkutopia", USER))


# ---- judging


def check(evidence: Evidence, expected: dict[str, Any]) -> Iterator[Finding]:
    before = _answers(evidence, "before registration")
    yield finding(
        f"www.{NAME} before", expected["before"], ", ".join(before) or "no answer", before == [expected["before"]]
    )
    wanted = [expected["registered"], expected["again"]]
    seen = _updates(evidence)
    yield finding(
        "registered, and once more (answers of com's server)", ", ".join(wanted), ", ".join(seen), seen == wanted
    )
    address = evidence.address(expected["address_of"])
    after = _answers(evidence, "after registration")
    yield finding(f"www.{NAME} after", address, ", ".join(after) or "no answer", after == [address])
    pages = [
        each.response for each in within(evidence.capture.http("host:client"), evidence.window("after registration"))
        if each.response and each.server.host == address
    ]  # fmt: skip
    statuses = [page.status for page in pages]
    yield finding("its page", expected["page"], ", ".join(map(str, statuses)) or "none", statuses == [expected["page"]])
    digests = [hashlib.sha256(page.body).hexdigest() for page in pages]
    same = digests == [evidence.step("origin").data["sha256"]["/"]]
    yield finding("its page is the server's (SHA-256)", "equal", "equal" if same else "not equal", same)
    mailbox = evidence.of("registered")[0].data["mailbox"]
    yield finding(
        f"mail in {USER}@{NAME}'s mailbox", expected["messages"], len(mailbox), len(mailbox) == expected["messages"]
    )


def _answers(evidence: Evidence, step: str) -> list[str]:
    """To the client's questions for the name: the address, or why there is none."""
    asked = [
        each
        for each in within(evidence.capture.dns("host:client"), evidence.window(step))
        if each.name == f"www.{NAME}"
    ]
    said = []
    for each in asked:
        if each.response and each.type == "A":
            addresses = [record.value for record in each.response.answer if record.type == "A"]
            said.append(addresses[0] if addresses else each.rcode)
    return list(dict.fromkeys(said))


def _updates(evidence: Evidence) -> list[str]:
    """The answers to DNS UPDATE messages, in order."""
    seen = within(evidence.capture.dns("host:registrar"), evidence.window("registration"))
    return [each.rcode for each in seen if each.responses and (each.responses[0].wire[2] >> 3 & 0xF) == _UPDATE]
