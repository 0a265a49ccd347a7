"""One meaning, two back-ends: what a cable does to frames, by the kernel's own time stamps at both of its ends.

Shares are held to five standard deviations of what was drawn: a faithful cable fails once in two million tests.
"""

from __future__ import annotations

import math
import socket
import statistics
from collections import Counter
from dataclasses import replace

import pytest
from through import QUIET_S, ROUNDING_MS, carried, delays_ms, in_time, ours, within
from wires import Wire

from appbed.impairment import Burst, Impairment

pytestmark = [pytest.mark.root, pytest.mark.thorough]


def handshake_ms(wire: Wire) -> float:
    """From SYN to SYN, ACK in the near host's own capture."""
    with wire.near.ear() as ear:
        with wire.far.inside():
            server = socket.create_server((wire.far.address, 8080))
        with wire.near.inside():
            client = socket.socket()
        with server, client:
            client.settimeout(5)
            client.connect((wire.far.address, 8080))
        tcp = [frame for frame in ear.listen(quiet_s=0.3) if frame.data[12:14] == b"\x08\x00" and frame.data[23] == 6]
    (syn,) = [frame for frame in tcp if frame.outgoing and frame.data[47] == 0x02]
    (answer,) = [frame for frame in tcp if not frame.outgoing and frame.data[47] == 0x12]
    return answer.time_ms - syn.time_ms


def test_both_directions_in_the_host_s_own_capture(wire: Wire) -> None:
    """Up 30 ms and down 20 ms: the handshake takes 50 ms where the application lives."""
    wire.near.plug(up=Impairment(delay_ms=30), down=Impairment(delay_ms=20))
    assert in_time(lambda: handshake_ms(wire), 50 - ROUNDING_MS, 55)


def test_frames_lost_on_the_way_down_are_on_the_wire_and_not_in_the_host(wire: Wire) -> None:
    wire.near.plug(down=Impairment(loss_pct=30))
    with wire.near.ear() as ear:
        wire.far.send(*range(400))
        wire.near.settled("down", 400)
        inside = len(ours(ear.listen(quiet_s=QUIET_S)))
    assert within(inside / 400, 0.7, 400)
    counted = wire.near.counted("down")
    assert (counted["frames_in"], counted["frames_out"], counted["lost"]) == (400, inside, 400 - inside)
    assert wire.near.counted("up")["frames_in"] == 0


@pytest.mark.parametrize("delay_ms", [1, 30, 200])
def test_a_delay_is_never_shorter_and_hardly_longer(wire: Wire, delay_ms: float) -> None:
    """How faithful it is in a thousand frames is the bench's figure."""
    wire.near.plug(up=Impairment(delay_ms=delay_ms))
    assert in_time(lambda: min(delays_ms(wire, 20)), delay_ms - ROUNDING_MS, delay_ms + 5)


@pytest.mark.parametrize(("distribution", "spread"), [("uniform", 1.0), ("normal", 2 * 0.67449)])
def test_jitter_is_spread_as_said(wire: Wire, distribution: str, spread: float) -> None:
    """Half of all frames lie within `spread` times the jitter, to 15 %: five standard deviations of that in 2000 frames."""
    # From the other one to the one that is measured: a table once given must not stay.
    it = Impairment(delay_ms=60, jitter_ms=10, distribution="normal")
    wire.near.plug(up=it)
    wire.near.set(up=it if distribution == "normal" else replace(it, distribution="uniform"))

    def half_ms() -> float:
        found = delays_ms(wire, 2000)
        quarter, median, three_quarters = statistics.quantiles(found, n=4)
        assert median > 58
        assert (min(found) >= 50 - ROUNDING_MS) is (distribution == "uniform")
        return three_quarters - quarter

    assert in_time(half_ms, 10 * spread * 0.85, 10 * spread * 1.15)


@pytest.mark.parametrize("loss_pct", [2, 25])
def test_loss_is_drawn_for_each_frame(wire: Wire, loss_pct: float) -> None:
    wire.near.plug(up=Impairment(loss_pct=loss_pct))
    arrived = len(carried(wire, 3000))
    assert within(1 - arrived / 3000, loss_pct / 100, 3000)
    assert wire.near.counted("up")["lost"] == 3000 - arrived


def test_bursts_have_the_share_and_the_length_of_gilbert_and_elliott(wire: Wire) -> None:
    burst = Burst(p_pct=5, r_pct=25)
    wire.near.plug(up=Impairment(burst=burst))
    arrived = {frame.number for frame in carried(wire, 6000)}
    lost = [number not in arrived for number in range(6000)]
    bursts = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    # Frames of one burst are lost together: the share varies as that of one draw for every (2 - p - r) / (p + r) frames.
    worth = 6000 * 0.30 / (2 - 0.30)
    assert within(sum(lost) / 6000, burst.mean_pct / 100, round(worth))
    # Lengths are geometric with mean 1/r = 4 and standard deviation sqrt(1 - r)/r.
    assert abs(sum(lost) / bursts - 4) <= 5 * math.sqrt(0.75) / 0.25 / math.sqrt(bursts)


def test_loss_in_the_good_and_the_bad_state(wire: Wire) -> None:
    burst = Burst(p_pct=50, r_pct=50, bad_loss_pct=80, good_loss_pct=10)
    wire.near.plug(up=Impairment(burst=burst))
    assert within(1 - len(carried(wire, 3000)) / 3000, 0.45, 3000)


def test_duplicates_are_whole_second_frames(wire: Wire) -> None:
    wire.near.plug(up=Impairment(duplicate_pct=20))
    arrived = carried(wire, 2000)
    times = Counter(frame.data for frame in arrived)
    assert len(times) == 2000
    assert set(times.values()) <= {1, 2}
    assert within(len(arrived) / 2000 - 1, 0.2, 2000)


def test_corruption_flips_one_bit(wire: Wire) -> None:
    wire.near.plug(up=Impairment(corrupt_pct=20))
    with wire.far.ear() as ear:
        wire.near.send(*range(2000))
        wire.near.settled("up", 2000)
        arrived = [frame.data for frame in ear.listen(quiet_s=QUIET_S)]
    flipped = [_bits(data, wire.near.frame(_said_most(data))) for data in arrived]
    assert set(flipped) == {0, 1}
    assert within(1 - flipped.count(0) / 2000, 0.2, 2000)


def test_reordered_frames_are_those_that_skip_the_delay(wire: Wire) -> None:
    wire.near.plug(up=Impairment(delay_ms=200, reorder_pct=20))
    found = delays_ms(wire, 1000)
    at_once = [delay for delay in found if delay < 190]
    assert within(len(at_once) / 1000, 0.2, 1000)
    assert statistics.median(at_once) < 100


def _said_most(data: bytes) -> int:
    """The number of a frame that may have been corrupted: it is in there eleven times."""
    words = Counter(data[start : start + 4] for start in range(14, 58, 4))
    return int.from_bytes(words.most_common(1)[0][0], "big")


def _bits(data: bytes, other: bytes) -> int:
    return sum((one ^ two).bit_count() for one, two in zip(data, other, strict=True))
