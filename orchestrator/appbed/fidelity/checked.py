"""Links measured: what was set, what was seen each time, what follows; written into a run's conditions and read back from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from appbed import impairment
from appbed.analysis import Capture
from appbed.errors import CaptureError
from appbed.fidelity.bounds import each
from appbed.fidelity.counters import reconcile
from appbed.fidelity.judge import QUICK, TESTS, Reading, judge
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

    def after(self, other: Checked) -> Checked:
        """With another measurement of the same link: what was as set once is as set, for what disturbed the other was not the link."""
        before = {reading.what: reading for reading in other.readings if reading.outcome is Outcome.PASSED}
        readings = tuple(before.get(reading.what, reading) for reading in self.readings)
        return replace(self, samples=(*other.samples, *self.samples), readings=readings)

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
        attempts = [
            Checked(one["attachment"], one["direction"], one["cable"], it, (read,), judge(it, read, error, QUICK))
            for read in map(Sample.read, one["samples"])
        ]
        found.append(functools.reduce(lambda before, after: after.after(before), attempts))
    return found


def unsound(conditions: Mapping[str, Any], capture: Callable[[], Capture]) -> str:
    """Why a run's network was not what it should have been: links before and after it, frames too large, counters; "" if it was.

    Runs of before there were measurements have none in their conditions, and are not judged by them.
    """
    for moment, kept in conditions.get("measured", {}).items():
        for one in judged(kept):
            for reading in one.readings:
                if reading.outcome is Outcome.FAILED:
                    allowed = f" ({reading.allowed})" if reading.allowed else ""
                    busy = float(conditions.get("processor_busy", 0))
                    return (
                        f"{one.attachment} {one.direction} was not as set {moment} the run: "
                        f"{reading.what} {reading.set}{allowed}, measured {reading.measured}"
                        + (f"; the machine's processors were {busy:.0%} busy" if busy > BUSY else "")
                    )
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
    wrong = reconcile(found, conditions["links"], conditions["counters"])
    return f"captures and counters do not agree: {wrong[0]}" if wrong else ""
