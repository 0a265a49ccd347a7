"""The four outcomes, and what a judgement consists of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """From best to worst for a claim; the worst finding is the verdict."""

    PASSED = "PASSED"
    UNSUPPORTED = "UNSUPPORTED"  # a role said it cannot do this
    INCONCLUSIVE = "INCONCLUSIVE"  # the network was not as set, a frame was not captured, or the check itself crashed
    FAILED = "FAILED"


_ORDER = (Outcome.PASSED, Outcome.UNSUPPORTED, Outcome.FAILED, Outcome.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: what was looked at, what was predicted, what was seen; as numbers too where both are quantities.

    `allowed` is from where to where the measured number agrees, `spread` the lowest and highest of measurements repeated.
    """

    what: str
    expected: str
    seen: str
    outcome: Outcome
    because: str = ""
    predicted: float | None = None
    measured: float | None = None
    allowed: tuple[float, float] | None = None
    spread: tuple[float, float] | None = None

    def plain(self) -> dict[str, Any]:
        """Numbers only where there are any."""
        told = {**asdict(self), "outcome": self.outcome.value}
        return {key: value for key, value in told.items() if value is not None}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Finding:
        """What `plain` made. Raises KeyError, TypeError or ValueError for anything else."""
        what, expected, seen = (str(plain[key]) for key in ("what", "expected", "seen"))
        predicted, measured = (
            None if plain.get(key) is None else float(plain[key]) for key in ("predicted", "measured")
        )
        allowed, spread = (_pair(plain.get(key)) for key in ("allowed", "spread"))
        outcome, because = Outcome(plain["outcome"]), str(plain.get("because", ""))
        return cls(what, expected, seen, outcome, because, predicted, measured, allowed, spread)

    @property
    def error(self) -> float | None:
        """Measured over predicted, less one."""
        return self.measured / self.predicted - 1 if self.predicted and self.measured is not None else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`figures` are numbers worth keeping, units in their names."""

    outcome: Outcome
    because: str
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, float] | None = None

    @property
    def headline(self) -> Finding | None:
        """The finding that tells most: the worst, and of these the one furthest from its prediction."""
        return max(
            self.findings,
            key=lambda line: (_ORDER.index(line.outcome), line.error is not None, abs(line.error or 0.0)),
            default=None,
        )

    def plain(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "outcome": self.outcome.value,
            "findings": [finding.plain() for finding in self.findings],
        }

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Verdict:
        """What `plain` made. Raises KeyError, TypeError or ValueError for anything else."""
        figures = plain.get("figures")
        return cls(
            Outcome(plain["outcome"]),
            str(plain["because"]),
            tuple(map(Finding.read, plain["findings"])),
            None if figures is None else {str(name): float(value) for name, value in dict(figures).items()},
        )


def _pair(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    low, high = value
    return float(low), float(high)


def finding(what: str, expected: object, seen: object, agrees: bool, because: str = "") -> Finding:
    return Finding(what, str(expected), str(seen), Outcome.PASSED if agrees else Outcome.FAILED, because)


BUSY = 0.8
"""Share of the processors from which on a time that disagrees says nothing about the servers."""


def timed(
    what: str,
    predicted_s: float,
    measured_s: float,
    tolerance_s: float,
    processor_busy: float,
    repeated_s: Sequence[float] = (),
) -> Finding:
    """A time judged: one that disagrees on an overloaded machine is INCONCLUSIVE. `repeated_s` are all measurements of it."""
    expected, seen = f"{predicted_s * 1000:.0f} ms", f"{measured_s * 1000:.0f} ms"
    agrees = abs(measured_s - predicted_s) <= tolerance_s
    outcome, because = Outcome.PASSED if agrees else Outcome.FAILED, ""
    if not agrees and processor_busy > BUSY:
        because = f"expected {expected}, saw {seen}, and the machine's processors were {processor_busy:.0%} busy"
        outcome = Outcome.INCONCLUSIVE
    allowed_s = (predicted_s - tolerance_s, predicted_s + tolerance_s)
    spread_s = (min(repeated_s), max(repeated_s)) if len(repeated_s) > 1 else None
    return Finding(what, expected, seen, outcome, because, predicted_s, measured_s, allowed_s, spread_s)


def judged(findings: Iterable[Finding], figures: Mapping[str, float] | None = None) -> Verdict:
    """The worst of the findings. A network that was not as set makes everything INCONCLUSIVE, a failed claim included."""
    lines = tuple(findings)
    if not lines:
        return Verdict(Outcome.INCONCLUSIVE, "nothing was found to judge", lines, figures)
    worst = max(lines, key=lambda line: _ORDER.index(line.outcome))
    because = (
        "as predicted"
        if worst.outcome is Outcome.PASSED
        else f"{worst.what}: {worst.because or f'expected {worst.expected}, saw {worst.seen}'}"
    )
    return Verdict(worst.outcome, because, lines, figures)
