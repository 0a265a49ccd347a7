"""What the origin holds against what the wire carried, by SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from appbed.analysis import HttpExchange
from appbed.evidence import Evidence
from appbed.lab import Lab
from appbed.verdict import Finding, finding


def digests(lab: Lab, host: str, files: Mapping[str, str]) -> dict[str, str]:
    """By path in a URL, SHA-256 of the file a server has for it."""
    lines = lab.exec(host, "sha256sum", *files.values()).stdout.splitlines()
    return {path: line.split()[0] for path, line in zip(files, lines, strict=True)}


def same_bytes(what: str, evidence: Evidence, exchanges: Iterable[HttpExchange]) -> Finding:
    """Every body is the file that the origin said it holds (event "origin")."""
    wanted = evidence.of("origin")[0].data["sha256"]
    seen = [(each.request.path, each.response.body) for each in exchanges if each.response]
    same = [path for path, body in seen if hashlib.sha256(body).hexdigest() == wanted.get(path)]
    return finding(what, len(seen), len(same), bool(seen) and len(same) == len(seen))
