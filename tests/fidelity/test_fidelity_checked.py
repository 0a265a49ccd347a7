"""A run's conditions: what was measured is kept, read back, and judged."""

from __future__ import annotations

import io
import json
from dataclasses import replace
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


def after(later: Checked, earlier: Checked) -> Checked:
    return later.after(earlier, bounds.each(2), QUICK)


def test_a_delay_once_as_set_is_as_set_and_both_measurements_are_kept() -> None:
    late, sound = checked(sample(30.1), it()), checked(sample(0.1), it())
    again = after(sound, late)
    assert (again.outcome, len(again.samples)) == (Outcome.PASSED, 2)
    assert fidelity.unsound(conditions(again), capture) == ""
    assert after(late, sound).outcome is Outcome.PASSED
    assert after(late, late).outcome is Outcome.FAILED


def test_frames_that_were_lost_stay_lost_however_often_it_is_measured() -> None:
    """A busy machine is late, and loses nothing: late and whole, then in time and with a loss, is a link that loses."""
    late, losing, sound = checked(sample(30.1), it()), checked(sample(0.1, lost=1), it()), checked(sample(0.1), it())
    for found in (after(losing, late), after(late, losing), after(sound, losing), after(after(sound, sound), losing)):
        assert {reading.what for reading in found.readings if reading.outcome is Outcome.FAILED} == {"loss"}
    assert fidelity.unsound(conditions(after(sound, losing)), capture) == (
        "client@campus up was not as set after the run: loss 0% (0), measured 1 of 40"
    )


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_link_that_was_not_measured_is_named(moment: str) -> None:
    kept = conditions(checked(sample(0.1), it()))
    kept["measured"][moment]["absent"] = {"server@access": "its host is not running"}
    assert fidelity.unsound(kept, capture) == (
        f"server@access was not measured {moment} the run: its host is not running"
    )


def test_a_delay_that_could_not_be_measured_is_a_reason_unless_so_much_loss_is_set() -> None:
    unsure = replace(sample(0.1), delays_ms=())
    assert fidelity.unsound(conditions(checked(unsure, it())), capture) == (
        "the delay of client@campus up could not be measured after the run: the machine was too busy to send"
    )
    half = replace(sample(0.1, lost=10), delays_ms=(0.1, 0.1))
    assert "could not be measured after the run: 10 of 20 frames were lost" in fidelity.unsound(
        conditions(checked(half, it(loss="50%"))), capture
    )
    all_lost = replace(sample(0.1, lost=20), delays_ms=())
    assert fidelity.unsound(conditions(checked(all_lost, it(loss="100%"))), capture) == ""


def test_what_was_kept_is_judged_as_it_was() -> None:
    links = (
        checked(sample(30.1), it(delay="30ms", loss="1%")),
        after(checked(sample(5.0), it()), checked(sample(9), it())),
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
