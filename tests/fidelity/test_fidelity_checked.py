"""A run's conditions: what was measured is kept, read back, and judged."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from appbed import fidelity, impairment
from appbed.agent.pcapng import Point, Writer
from appbed.analysis import Capture
from appbed.errors import CaptureError
from appbed.fidelity import Checked, Measured, Sample, Train, bounds, judge
from appbed.fidelity.judge import QUICK
from appbed.impairment import Impairment
from appbed.verdict import Outcome


def it(**settings: Any) -> Impairment:
    return impairment.parse(settings, "test")


def sample(delay_ms: float, lost: int = 0) -> Sample:
    return Sample(60, 20, 10, (delay_ms,) * 10, lost=lost, train=Train(10, 10, 1514, 0.01, 0.0, 0.1))


def checked(found: Sample, set_as: Impairment) -> Checked:
    return Checked("client@campus", "up", "relay", set_as, (found,), judge(set_as, found, bounds.each(2), QUICK))


def conditions(*links: Checked, **others: Any) -> dict[str, Any]:
    kept = {"measured": {"before": Measured((), {}).plain(), "after": Measured(links, {}).plain()}, **others}
    return dict(json.loads(json.dumps(kept)))


def capture(size: int = 60) -> Capture:
    file = io.BytesIO()
    writer = Writer(file, "test")
    writer.point(Point("host:client:eth0", "10.77.1.10"), 0)
    writer.frame(0, 1_700_000_000_000_000_000, bytes(size), size)
    writer.close()
    return Capture.open(file.getvalue())


def test_a_link_that_is_not_as_set_is_named_with_both_figures() -> None:
    late = checked(sample(30.1), it())
    assert fidelity.unsound(conditions(late), capture) == (
        "client@campus up was not as set after the run: delay 0.00 ms (± 1.50 ms), measured 30.10 ms"
    )


def test_links_as_set_are_no_reason() -> None:
    assert fidelity.unsound(conditions(checked(sample(30.1), it(delay="30ms"))), capture) == ""


def test_a_link_once_as_set_is_as_set_and_both_measurements_are_kept() -> None:
    late, sound = checked(sample(30.1), it()), checked(sample(0.1), it())
    again = sound.after(late)
    assert (again.outcome, len(again.samples)) == (Outcome.PASSED, 2)
    assert fidelity.unsound(conditions(again), capture) == ""
    assert late.after(sound).outcome is Outcome.PASSED
    assert late.after(late).outcome is Outcome.FAILED


def test_each_reading_has_to_be_as_set_once() -> None:
    """Late and whole, then in time and with losses: each thing was seen right once."""
    one, two = checked(sample(30.1), it()), checked(sample(0.1, lost=5), it())
    assert two.after(one).outcome is Outcome.PASSED
    assert one.after(checked(sample(30.1, lost=5), it())).outcome is Outcome.FAILED


def test_what_was_kept_is_judged_as_it_was() -> None:
    links = (
        checked(sample(30.1), it(delay="30ms", loss="1%")),
        checked(sample(5.0), it()).after(checked(sample(9), it())),
    )
    kept = json.loads(json.dumps(Measured(links, {}).plain()))
    assert [(one.samples, one.set, one.outcome) for one in fidelity.judged(kept)] == [
        (one.samples, one.set, one.outcome) for one in links
    ]


def test_older_evidence_has_no_measurement_and_is_not_judged_by_one() -> None:
    def never() -> Capture:
        raise AssertionError

    assert fidelity.unsound({"links": []}, never) == ""


@pytest.mark.parametrize(("size", "because"), [(1514, ""), (1515, "a frame of 1515 bytes was captured where 1514 fit")])
def test_a_frame_larger_than_the_mtu_says_that_an_offload_is_on(size: int, because: str) -> None:
    found = conditions(counters=[{}] * 4, links=[{"attachment": "a@b", "mac": None, "mtu": 1500}])
    assert fidelity.unsound(found, lambda: capture(size)).startswith(because)
    assert bool(fidelity.unsound(found, lambda: capture(size))) is bool(because)


def test_a_capture_that_cannot_be_read_is_left_to_who_needs_it() -> None:
    def unreadable() -> Capture:
        raise CaptureError("run/capture.pcapng: is no capture")

    assert fidelity.unsound(conditions(counters=[{}] * 4, links=[]), unreadable) == ""
