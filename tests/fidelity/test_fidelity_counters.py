"""Captures and counters beside each other."""

from __future__ import annotations

import io
from typing import Any

import pytest

from appbed.agent.pcapng import Point, Writer
from appbed.analysis import Capture
from appbed.fidelity.counters import reconcile

ME, ROUTER, OTHER, ALL = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", b"\2\0\0\0\0\3", b"\xff" * 6
LINE = {
    "attachment": "client@campus",
    "address": "10.77.1.10",
    "mac": ME.hex(":"),
    "cable": "relay",
    "set": {"up": {}, "down": {}},
}
Frames = list[tuple[bytes, bytes]]
"""Source and destination of each."""


def captured(host: Frames, wire: Frames) -> Capture:
    file = io.BytesIO()
    writer = Writer(file, "test")
    writer.point(Point("host:client:eth0", "10.77.1.10"), 0)
    writer.point(Point("network:campus", "10.77.1.0/24"), 0)
    for point, frames in enumerate((host, wire)):
        for number, (source, destination) in enumerate(frames):
            data = destination + source + b"\x08\x06" + bytes(46)
            writer.frame(point, 1_700_000_000_000_000_000 + number, data, len(data))
    writer.close()
    return Capture.open(file.getvalue())


def counters(up_in: int, up_out: int, down_in: int, down_out: int) -> dict[str, Any]:
    up, down = {"frames_in": up_in, "frames_out": up_out}, {"frames_in": down_in, "frames_out": down_out}
    return {"client@campus": {"up": up, "down": down}}


HOST = [(ME, ROUTER)] * 5 + [(ROUTER, ME)] * 3 + [(OTHER, ALL)]
WIRE = [(ME, ROUTER)] * 4 + [(ROUTER, ME)] * 6 + [(OTHER, ALL)] * 2 + [(OTHER, ROUTER)] * 7
BEFORE, AFTER = counters(100, 90, 50, 40), counters(105, 94, 58, 44)


def told(
    after: dict[str, Any] = AFTER, *, before: dict[str, Any] = BEFORE, line: dict[str, Any] = LINE, host: Frames = HOST
) -> list[str]:
    return reconcile(captured(host, WIRE), [line], [before, before, after, after])


def test_what_was_lost_on_the_way_is_what_the_cable_says() -> None:
    assert told() == []


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (counters(106, 94, 58, 44), "client@campus up: 5 frames left the host, its cable says 6"),
        (counters(105, 95, 58, 44), "client@campus up: 4 frames came onto the wire, its cable says 5"),
        (counters(105, 94, 59, 44), "client@campus down: 8 frames were sent to it on the wire, its cable says 9"),
        (counters(105, 94, 58, 45), "client@campus down: 4 frames reached the host, its cable says 5"),
    ],
)
def test_one_frame_that_nobody_accounts_for_is_named(after: dict[str, Any], said: str) -> None:
    assert told(after) == [said]


def test_a_frame_missing_in_the_capture_is_noticed() -> None:
    assert told(host=HOST[1:]) == ["client@campus up: 4 frames left the host, its cable says 5"]


def test_frames_that_passed_between_two_looks_may_have_been_captured_or_not() -> None:
    moments = [counters(95, 85, 45, 35), BEFORE, AFTER, counters(109, 98, 62, 48)]
    assert reconcile(captured(HOST, WIRE), [LINE], moments) == []
    assert reconcile(captured(HOST * 4, WIRE), [LINE], moments) != []


def test_frames_sent_everywhere_for_want_of_a_known_target_reach_the_host_too() -> None:
    flooded = [*HOST, (OTHER, ROUTER)]
    assert told(counters(105, 94, 59, 45), host=flooded) == []


def test_a_cable_plugged_in_anew_is_left_out() -> None:
    assert told(counters(3, 3, 3, 3)) == []
    assert told(before={}) == []
    assert told(line={**LINE, "mac": None}) == []


def test_what_netem_counts_otherwise_is_not_held_against_it() -> None:
    netem = {**LINE, "cable": "netem", "set": {"up": {"duplicate": "5%"}, "down": {}}}
    assert told(counters(107, 94, 58, 44), line=netem) == []
    assert told(counters(107, 95, 58, 44), line=netem) != []
    damaging = {**netem, "set": {"up": {}, "down": {"corrupt": "5%"}}}
    assert told(counters(200, 200, 200, 200), line=damaging) == []
