"""Transport can add security: who listens reads a password of HTTP and none of HTTPS, whose server shows who it is (claim A6)."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appbed.analysis import Connection, TlsHandshake, certificate
from appbed.evidence import Evidence, Recorder, within
from appbed.lab import Lab
from appbed.scenario import Conditions, Scenario
from appbed.scenarios.transport_parts import transfers
from appbed.scenarios.web_parts.asking import exchanges, statuses
from appbed.scenarios.web_parts.digests import digests, same_bytes
from appbed.scenarios.web_parts.site import SITE
from appbed.verdict import Finding, Verdict, finding, judged

SERVER, PAGE = transfers.SERVER, "/members/"
MEMBER = "alice:down-the-rabbit-hole"
"""MEMBER of images/web where nothing else is set."""
ALIAS = "web.someschool.edu"
"""An alias of the same servers, which their certificates do not name."""
POINTS = {"host:client": "at the client", "network:access": "on the access link"}
_TRUSTED = "/home/client/authority.pem"
_REFUSED = 60  # CURLE_PEER_FAILED_VERIFICATION of libcurl-errors(3)
_SERVED = re.compile(rf'([\d.]+) (\S+) .*"GET {PAGE} HTTP/1\.1" 200 ')


@dataclass(frozen=True, slots=True)
class Asking:
    """The same page with the same password: over what, at which name, and whose certificates the user agent trusts."""

    version: str
    name: str = SITE
    trusting: bool = True
    refused: str = ""

    @property
    def port(self) -> int:
        return 443 if self.version else 80

    @property
    def url(self) -> str:
        return f"{'https' if self.version else 'http'}://{self.name}{PAGE}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Up to TLS 1.2 a certificate, and what becomes of it, is sent in the clear."""
        highest = ("--tls-max", "1.2") if self.version == "TLS 1.2" else ()
        return (*highest, *(("--cacert", _TRUSTED) if self.trusting else ()))


STEPS = {
    "HTTP": Asking(""),
    "HTTPS": Asking("TLS 1.2"),
    "HTTPS, TLS 1.3": Asking("TLS 1.3"),
    "another name": Asking("TLS 1.2", name=ALIAS, refused="the name"),
    "unknown authority": Asking("TLS 1.2", trusting=False, refused="the authority"),
}


def predict(conditions: Conditions) -> dict[str, Any]:
    """By step: pages served, what curl says, whether the password can be read on the way, who is named."""
    return {
        step: {
            "served": int(not asking.refused),
            "curl": _REFUSED if asking.refused else 0,
            "password": "unreadable" if asking.version else "readable",
            "version": asking.version,
            "asked_for": asking.name,
            "certificate": [SITE] if asking.version == "TLS 1.2" else None,
            "refused": asking.refused,
        }
        for step, asking in STEPS.items()
    }


def run(lab: Lab, record: Recorder) -> None:
    record.event("origin", sha256=digests(lab, SERVER, {PAGE: f"/srv/site{PAGE}index.html"}))
    authority = lab.exec(SERVER, "/appbed/authority").stdout
    record.event("authority", pem=authority)
    lab.exec("client", "tee", _TRUSTED, stdin=authority)
    for step, asking in STEPS.items():
        record.step(step)
        there = f"{asking.name}:{asking.port}:{lab.topology.host(SERVER).address}"
        get = ("curl", "--silent", "--max-time", "20", "--output", "/dev/null", "--resolve", there, "--user", MEMBER)
        done = lab.exec("client", *get, *asking.arguments, asking.url, check=False)
        record.event("curl", step=step, status=done.status)
    record.step("after")
    record.event("log", lines=lab.logs(SERVER, tail=20).splitlines())


def check(evidence: Evidence) -> Verdict:
    found: list[Finding] = []
    for step, expected in evidence.prediction["expected"].items():
        lines = _connections(evidence, step, "host:client")
        found.append(finding(f"{step}: connections", 1, len(lines), len(lines) == 1))
        found += _outcome(step, expected, evidence)
        for point, where in POINTS.items():
            seen = _readable(_connections(evidence, step, point))
            what = f"{step}: the password, {where}"
            found.append(finding(what, expected["password"], seen, seen == expected["password"]))
        if expected["version"]:
            found += _shown(step, expected, evidence)
        else:
            pages = exchanges(evidence, step)
            found.append(statuses(f"{step}: answers", [200], pages))
            found.append(same_bytes(f"{step}: pages equal to the origin's", evidence, pages))
    return judged(found)


def _connections(evidence: Evidence, step: str, point: str) -> list[Connection]:
    """Those of a step between the client and the server, as seen at a point."""
    ends = evidence.address("client"), (evidence.address(SERVER), STEPS[step].port)
    seen: list[Connection] = within(evidence.capture.connections(point), evidence.window(step))
    return [each for each in seen if (each.client.host, each.server) == ends]


def _readable(lines: list[Connection]) -> str:
    """Whether a password can be read in what two processes said: as it is, or as HTTP writes it (RFC 7617)."""
    if not lines:
        return "not sent"
    said = b"".join(side.data for each in lines for side in (each.from_client, each.from_server))
    forms = (MEMBER.partition(":")[2].encode(), base64.b64encode(MEMBER.encode()))
    return "readable" if any(form in said for form in forms) else "unreadable"


def _outcome(step: str, expected: Mapping[str, Any], evidence: Evidence) -> Iterator[Finding]:
    """What the server's log says it served, and what the user agent said of it."""
    begin_s, end_s = evidence.window(step)
    told = (_SERVED.match(line) for line in evidence.of("log")[0].data["lines"])
    of_client = [float(each[1]) for each in told if each and each[2] == evidence.address("client")]
    served = sum(begin_s <= at_s < end_s for at_s in of_client)
    yield finding(f"{step}: pages served", expected["served"], served, served == expected["served"])
    (status,) = [each.data["status"] for each in evidence.of("curl") if each.data["step"] == step]
    yield finding(f"{step}: curl's exit status", expected["curl"], status, status == expected["curl"])


def _shown(step: str, expected: Mapping[str, Any], evidence: Evidence) -> Iterator[Finding]:
    """What the handshake showed to everybody, and what came of it."""
    numbers = {each.number for each in _connections(evidence, step, "host:client")}
    seen = [each for each in evidence.capture.tls("host:client") if each.connection.number in numbers]
    if len(seen) != 1:
        yield finding(f"{step}: handshakes of TLS", 1, len(seen), False)
        return
    (shown,) = seen
    wanted = f"{expected['version']} with {expected['asked_for']}"
    told = f"{shown.version} with {shown.server_name}"
    yield finding(f"{step}: handshake", wanted, told, told == wanted)
    if expected["certificate"]:
        yield from _vouched(step, expected, shown, evidence)
    yield from _refusal(step, expected, shown)


def _vouched(step: str, expected: Mapping[str, Any], shown: TlsHandshake, evidence: Evidence) -> Iterator[Finding]:
    """Whom the server's certificate names, and that the lab's own authority issued it."""
    names, wanted = list(shown.certificate.names if shown.certificate else ()), expected["certificate"]
    yield finding(f"{step}: names in the certificate", ", ".join(wanted), ", ".join(names), names == wanted)
    authority = certificate(ssl.PEM_cert_to_DER_cert(evidence.of("authority")[0].data["pem"]))
    ours = bool(authority and shown.certificate and shown.certificate.issuer == authority.subject)
    yield finding(f"{step}: issued by", "the lab's authority", "the lab's authority" if ours else "another", ours)


def _refusal(step: str, expected: Mapping[str, Any], shown: TlsHandshake) -> Iterator[Finding]:
    """Who refuses closes before the process above has said a word; an authority it does not know it names in an alert.

    (curl compares names itself, when the handshake is over, so that its alert is encrypted.)
    """
    words, refused = shown.application_bytes, expected["refused"]
    yield finding(
        f"{step}: bytes of HTTP, encrypted", "none" if refused else "some", words, (words == 0) == bool(refused)
    )
    if refused:
        closed = shown.connection.closed_by
        yield finding(f"{step}: closed by", "client", closed or "nobody", closed == "client")
    alerts = ", ".join(f"{each.sender}: {each.name}" for each in shown.alerts) or "none"
    wanted = "client: unknown_ca" if refused == "the authority" else "none"
    yield finding(f"{step}: alerts in the clear", wanted, alerts, alerts == wanted)


SCENARIO = Scenario(
    about="A password can be read on the way over HTTP and not over HTTPS; who cannot show that it is the one asked for is refused",
    topology="access-link",
    predict=predict,
    run=run,
    check=check,
    claims=("A6",),
    links=transfers.NEAR,
    capture=("client", "access"),
    roles=("client", "web"),
)
