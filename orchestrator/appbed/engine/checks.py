"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """`name` was `found`; at "warn" and "fail" `fix` says what a person can do. `dataclasses.asdict` is its JSON."""

    name: str
    state: State
    found: str
    fix: str = ""
