"""Which frames are sent through one direction of a cable to measure it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appbed.impairment import Impairment

SMALL = 60  # layer-2 bytes of a probe: Ethernet's smallest frame
_QUICK_TRAIN_MS, _FULL_TRAIN_MS = 30.0, 100.0  # so long, the wake-ups of a busy machine are outweighed
_SHORTEST_TRAIN, _LONGEST_TRAIN = 10, 100
_TRAIN_MOST_MS = 300.0
_SETTLE_US = 300_000  # a frame later than the link and this makes it is lost
_SHARE_SENT = 220.0  # a band of 99.9999 % is then within a third of the share that is set
_FEWEST, _FOR_JITTER, _MOST = 1_000, 5_000, 20_000
_LONGEST_US = 10_000_000


@dataclass(frozen=True, slots=True)
class Series:
    """Frames sent one after another: how many, of how many layer-2 bytes, how far apart at least (0 is back to back).

    Before the first one nothing is sent for `pause_us`; `wait_us` after the last one whatever has not arrived is lost.
    """

    kind: Literal["probes", "train", "queue"]
    count: int
    size: int
    interval_us: int
    pause_us: int
    wait_us: int

    @property
    def longest_s(self) -> float:
        """When at the latest nothing more of it is waited for."""
        return (self.pause_us + self.count * self.interval_us + self.wait_us) / 1e6


def quick(it: Impairment, mtu: int, turn: int = 0, *, probes: int = 10) -> tuple[Series, ...]:
    """Probes and one train. `turn` sets the trains of several links apart, so that they are not all carried at once."""
    apart = max(10_000, round(2e6 * _seconds(it, SMALL)))
    series = Series("probes", probes, SMALL, apart, 0, _wait_us(it))
    if it.state == "down":
        return (series,)
    return series, _train(it, mtu, 3_000 * turn + apart, _QUICK_TRAIN_MS)


def full(it: Impairment, mtu: int) -> tuple[Series, ...]:
    """As many probes as the smallest share that is set needs, the train, and one that is longer than the queue."""
    size = (
        mtu // 3 if it.corrupt_pct else SMALL
    )  # the larger, the fewer are damaged where nobody can see whose they were
    apart = max(200, round(5e6 * _seconds(it, size)))
    most = min(_MOST, max(50, _LONGEST_US // apart))
    probes = Series("probes", min(most, _wanted(it)), size, apart, 0, _wait_us(it))
    if it.state == "down":
        return (Series("probes", 100, SMALL, 1_000, 0, _wait_us(it)),)
    train = _train(it, mtu, 50_000 + _wait_us(it) - _SETTLE_US, _FULL_TRAIN_MS)
    series = [probes, train]
    held = held_frames(it, mtu + 14)
    if it.rate_bit and held is not None and held <= 1_000:
        count = held + held // 2 + 10
        drain = round(1e6 * _seconds(it, mtu + 14) * (held + 2))
        pause = 50_000 + train.wait_us - _SETTLE_US  # until the last frame of the train is through
        series.append(Series("queue", count, mtu + 14, 0, pause, _wait_us(it) + drain))
    return tuple(series)


def held_frames(it: Impairment, size: int) -> int | None:
    """How many frames of `size` wait at most before the one being sent; None without a rate."""
    if it.rate_bit is None:
        return None
    if it.queue.packets is not None:
        return it.queue.packets
    return int((it.queue.ms or 0.0) * it.rate_bit / 8000 / size)


def _wanted(it: Impairment) -> int:
    mean = it.burst.mean_pct if it.burst else it.loss_pct
    shares = [share for share in (mean, it.duplicate_pct, it.reorder_pct, it.corrupt_pct) if 0 < share < 100]
    wanted = max((_SHARE_SENT * (100 - share) / share for share in shares), default=0.0)
    if it.burst:  # frames lost together say less than frames lost alone
        together = 1 - (it.burst.p_pct + it.burst.r_pct) / 100
        wanted *= max(1.0, (1 + together) / (1 - together)) if together < 1 else 1.0
    return round(min(_MOST, max(_FEWEST, _FOR_JITTER if it.jitter_ms else 0, wanted)))


def _train(it: Impairment, mtu: int, pause_us: int, least_ms: float) -> Series:
    """Long enough for its spacing to be measured, short enough for the queue and for whoever waits."""
    if it.rate_bit is None:
        return Series("train", _SHORTEST_TRAIN, mtu + 14, 0, pause_us, _wait_us(it))
    per_ms = it.rate_bit / 8000
    size = max(SMALL, min(mtu + 14, int(per_ms * _TRAIN_MOST_MS / _SHORTEST_TRAIN)))
    count = max(_SHORTEST_TRAIN, min(_LONGEST_TRAIN, round(per_ms * least_ms / size)))
    held = held_frames(it, size)
    if held is not None:
        count = max(2, min(count, held))
    return Series("train", count, size, 0, pause_us, _wait_us(it) + round(1e6 * _seconds(it, size) * count))


def _seconds(it: Impairment, size: int) -> float:
    return size * 8 / it.rate_bit if it.rate_bit else 0.0


def _wait_us(it: Impairment) -> int:
    return round(1000 * (it.delay_ms + 5 * it.jitter_ms) + 1e6 * _seconds(it, SMALL)) + _SETTLE_US
