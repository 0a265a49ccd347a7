"""From what a failed command wrote to one error a person can act on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from appbed.engine.computer import Result
from appbed.errors import EngineError

# The first that matches wins. What a program says when the machine, not the command, is at fault.
_SYMPTOMS = (
    (r"no space left on device|not enough free space|disk quota exceeded",
     "the disk is full: free some space (`df -h`, `docker system df`), then run `appbed setup` again"),
    (r"could not get lock|is held by process",
     "another package manager is running: wait for it to end and run `appbed setup` again"),
    (r"temporary failure resolving|could not resolve|no such host|failed to fetch|could not connect|network is unreach",
     "check this machine's network, its proxy settings and its package sources"),
    (r"permission denied.*docker|docker.*permission denied",
     "add yourself to the group docker (`sudo usermod -aG docker $USER`, then log in again) or use sudo"),
    (r"certificate",
     "the network's certificate authority is unknown here: install it, or use a network without an intercepting proxy"),
)  # fmt: skip


def remedy_for(text: str, otherwise: str) -> str:
    """What to do about a known symptom in `text`, or `otherwise`."""
    return next((remedy for pattern, remedy in _SYMPTOMS if re.search(pattern, text, re.IGNORECASE)), otherwise)


def failed(what: str, result: Result, *, otherwise: str, lines: int = 0) -> EngineError:
    """`what` ended badly: the telling line of its output in the message, the last `lines` of it below the remedy."""
    said = result.tail(200)
    known = [line for line in said if remedy_for(line, "")]
    telling = known or [line for line in said if line.startswith(("E: ", "ERROR", "error", "Error"))] or said
    cause = f": {telling[-1].strip()}" if telling else ""
    return EngineError(
        f"{what}: exit status {result.status}{cause}",
        remedy=remedy_for(result.output, otherwise) + log_end(said[-lines:] if lines else []),
    )


def log_end(lines: Sequence[str]) -> str:
    return "".join(f"\n  | {line}" for line in lines)
