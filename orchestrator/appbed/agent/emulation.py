"""What one direction of a relay cable does to each frame: the meaning of an Impairment, without sockets or clocks.

The model is a serialising link and then a wire: a frame waits for the frames before it (queue, rate), is sent at the rate, and
arrives after delay and jitter. Loss, duplication, corruption and reordering are drawn per frame before it enters the queue, as netem
does (net/sched/sch_netem.c), with one difference: corruption spares the addresses, or a bridge would learn nonsense.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from appbed.impairment import Burst, Impairment


@dataclass(slots=True)
class Counters:
    """Frames and bytes since the cable was plugged in; everything that went in is carried, dropped for a reason, or still inside."""

    frames_in: int = 0
    bytes_in: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    lost: int = 0
    overflowed: int = 0
    down: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    refused: int = 0


class Direction:
    """The state of one direction. Times are integers in ns of one monotonic clock.

    `stream` names the direction: with one seed for a whole lab, every direction of every cable has random numbers of its own.
    """

    def __init__(self, impairment: Impairment, stream: str = "") -> None:
        self._stream = stream
        self.counters = Counters()
        self._departures: deque[int] = deque()
        self._busy_until = 0
        self._bad = False
        self.set(impairment)

    def set(self, impairment: Impairment) -> None:
        """New settings from the next frame on; frames inside keep their times. A seed starts its sequence again."""
        self._it = impairment
        seed = impairment.seed
        self._random = random.Random(None if seed is None else f"{seed} {self._stream}")
        self._bad = self._bad and impairment.seed is None
        self._delay_ns = round(impairment.delay_ms * 1e6)
        self._jitter_ns = round(impairment.jitter_ms * 1e6)
        self._ns_per_byte = 8e9 / impairment.rate_bit if impairment.rate_bit else 0.0
        self._limit = impairment.queue.packets
        self._limit_ns = round(impairment.queue.ms * 1e6) if impairment.queue.ms is not None else None
        self._random_free = not (
            impairment.loss_pct
            or impairment.burst
            or impairment.duplicate_pct
            or impairment.corrupt_pct
            or impairment.reorder_pct
        )

    def admit(self, now_ns: int, frame: bytes) -> list[tuple[int, bytes]]:
        """When, and as what, the frame comes out: nothing if it is lost, two entries if it is duplicated."""
        counters = self.counters
        counters.frames_in += 1
        counters.bytes_in += len(frame)
        if self._it.state == "down":
            counters.down += 1
            return []
        if self._random_free:
            return self._timed(now_ns, frame)
        return self._drawn(now_ns, frame)

    def _drawn(self, now_ns: int, frame: bytes) -> list[tuple[int, bytes]]:
        """Draws in netem's order; a copy is made of what came in and drawn for again, except that it is not copied once more."""
        copied = self._happens(self._it.duplicate_pct)
        self.counters.duplicated += copied
        if self._is_lost():
            self.counters.lost += 1
            return self._altered(now_ns, frame) if copied else []
        if copied and self._is_lost():
            self.counters.lost += 1
            copied = False
        copy = self._altered(now_ns, frame) if copied else []
        return copy + self._altered(now_ns, frame)

    def _altered(self, now_ns: int, frame: bytes) -> list[tuple[int, bytes]]:
        if self._happens(self._it.corrupt_pct):
            frame = self._flipped(frame)
            self.counters.corrupted += 1
        if self._happens(self._it.reorder_pct):
            self.counters.reordered += 1
            return self._timed(now_ns, frame, hurried=True)
        return self._timed(now_ns, frame)

    def _timed(self, now_ns: int, frame: bytes, *, hurried: bool = False) -> list[tuple[int, bytes]]:
        """Behind the frames before it if there is a rate; then the delay, which a `hurried` frame skips."""
        when = now_ns
        if self._ns_per_byte:
            start = max(now_ns, self._busy_until)
            if self._overflows(now_ns, start):
                self.counters.overflowed += 1
                return []
            when = self._busy_until = start + round(len(frame) * self._ns_per_byte)
            self._departures.append(when)
        if hurried:
            return [(when, frame)]
        delay = self._delay_ns
        if self._jitter_ns:
            spread = self._random.uniform(-1, 1) if self._it.distribution == "uniform" else self._random.gauss(0, 1)
            delay = max(0, delay + round(spread * self._jitter_ns))
        return [(when + delay, frame)]

    def _overflows(self, now_ns: int, start_ns: int) -> bool:
        departures = self._departures
        while departures and departures[0] <= now_ns:
            departures.popleft()
        if self._limit_ns is not None:
            return start_ns - now_ns > self._limit_ns
        # The frame being sent has left the queue, so `limit` frames wait behind it.
        return self._limit is not None and len(departures) > self._limit

    def _is_lost(self) -> bool:
        burst = self._it.burst
        return self._burst_lost(burst) if burst else self._happens(self._it.loss_pct)

    def _burst_lost(self, burst: Burst) -> bool:
        """Gilbert-Elliott as tc-netem's gemodel: the frame is drawn in the state it finds, which then moves for the next one."""
        bad = self._bad
        if self._happens(burst.r_pct if bad else burst.p_pct):
            self._bad = not bad
        return self._happens(burst.bad_loss_pct if bad else burst.good_loss_pct)

    def _happens(self, pct: float) -> bool:
        return pct > 0 and self._random.random() * 100 < pct

    def _flipped(self, frame: bytes) -> bytes:
        """One bit behind the addresses flipped."""
        bit = self._random.randrange(14 * 8, len(frame) * 8) if len(frame) > 14 else 0
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        return bytes(flipped)
