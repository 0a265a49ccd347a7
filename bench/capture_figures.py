"""A line of the table that `make bench-capture` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`bar` is None for what is measured and not judged."""

    figure: str
    unit: str
    value: float | None
    bar: str | None
    met: bool | None

    def line(self) -> str:
        value = "-" if self.value is None else f"{self.value:,}"
        verdict = "" if self.met is None else "met" if self.met else "NOT MET"
        return f"{self.figure:<72} {value:>12} {self.unit:<10} {self.bar or '':<10} {verdict}".rstrip()
