"""Links measured: what was set, what was seen each time, what follows; written into a run's conditions and read back from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from appbed import impairment
from appbed.analysis import Capture
from appbed.errors import CaptureError
from appbed.fidelity.bounds import each
from appbed.fidelity.counters import reconcile
from appbed.fidelity.judge import QUICK, TESTS, Allowance, Reading
from appbed.fidelity.repeated import judge_all
from appbed.fidelity.sample import Sample
from appbed.impairment import Impairment
from appbed.verdict import BUSY, Outcome

_ETHERNET = 14  # bytes of a header, which the MTU does not count


@dataclass(frozen=True, slots=True)
class Checked:
    """One direction of one attachment."""

    attachment: str
    direction: str
    cable: str
    set: Impairment
    samples: tuple[Sample, ...]
    readings: tuple[Reading, ...]

    @property
    def outcome(self) -> Outcome:
        outcomes = {reading.outcome for reading in self.readings}
        return next((each for each in (Outcome.FAILED, Outcome.INCONCLUSIVE) if each in outcomes), Outcome.PASSED)

    def after(self, other: Checked, error: float, allowed: Allowance) -> Checked:
        """With earlier measurements of the same link, judged together."""
        samples = (*other.samples, *self.samples)
        return replace(self, samples=samples, readings=judge_all(self.set, samples, error, allowed))

    def plain(self) -> dict[str, Any]:
        """`judged` reads it back."""
        return {
            "attachment": self.attachment,
            "direction": self.direction,
            "cable": self.cable,
            "set": self.set.settings(),
            "samples": [each.plain() for each in self.samples],
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in one go; `absent` attachments could not be, and why."""

    checked: tuple[Checked, ...]
    absent: Mapping[str, str]

    def plain(self) -> dict[str, Any]:
        return {"links": [one.plain() for one in self.checked], "absent": dict(self.absent)}


def judged(kept: Mapping[str, Any]) -> list[Checked]:
    """What `Measured.plain` kept of a quick measurement, judged again."""
    error = each(TESTS * len(kept["links"]))
    found = []
    for one in kept["links"]:
        it = impairment.parse(one["set"], f"conditions.measured: {one['attachment']}")
        samples = tuple(map(Sample.read, one["samples"]))
        readings = judge_all(it, samples, error, QUICK)
        found.append(Checked(one["attachment"], one["direction"], one["cable"], it, samples, readings))
    return found


def unsound(conditions: Mapping[str, Any], capture: Callable[[], Capture]) -> str:
    """Why a run's network was not what it should have been: links before and after it, frames too large, counters; "" if it was.

    Runs of before there were measurements have none in their conditions, and are not judged by them.
    """
    for moment, kept in conditions.get("measured", {}).items():
        if wrong := _wrong(moment, kept):
            busy = float(conditions.get("processor_busy", 0))
            return wrong + (f"; the machine's processors were {busy:.0%} busy" if busy > BUSY else "")
    if "counters" not in conditions:
        return ""
    try:
        found = capture()
    except (CaptureError, OSError):  # whoever needs it says so
        return ""
    largest = max(int(line["mtu"]) for line in conditions["links"] if line["mtu"]) + _ETHERNET
    longest = max(found.index.lengths, default=0)
    if longest > largest:
        return (
            f"a frame of {longest} bytes was captured where {largest} fit: the offloads of a network card are not off"
        )
    disagreeing = reconcile(found, conditions["links"], conditions["counters"])
    return f"captures and counters do not agree: {disagreeing[0]}" if disagreeing else ""


def _wrong(moment: str, kept: Mapping[str, Any]) -> str:
    """The first link that was not as set, else the first of which nobody can say so; "" if there is none."""
    readings = [(f"{one.attachment} {one.direction}", reading) for one in judged(kept) for reading in one.readings]
    for link, reading in readings:
        if reading.outcome is Outcome.FAILED:
            allowed = f" ({reading.allowed})" if reading.allowed else ""
            return (
                f"{link} was not as set {moment} the run: "
                f"{reading.what} {reading.set}{allowed}, measured {reading.measured}"
            )
    for at, why in kept.get("absent", {}).items():
        return f"{at} was not measured {moment} the run: {why}"
    for link, reading in readings:
        # With `again` another measurement might have told it; without, so much loss is set that none could.
        if reading.what == "delay" and reading.outcome is Outcome.INCONCLUSIVE and reading.again:
            return f"the delay of {link} could not be measured {moment} the run: {reading.because}"
    return ""
