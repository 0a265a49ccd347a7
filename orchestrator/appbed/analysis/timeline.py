"""Recognises one packet at several points of a capture: its journey, and so losses, copies and one-way delays."""

from __future__ import annotations

import struct
from array import array
from collections import defaultdict
from dataclasses import dataclass

from appbed.analysis.index import Index
from appbed.analysis.layers import TCP, UDP, network_header
from appbed.analysis.pcap import Point

HORIZON_NS = 30_000_000_000
"""Two sightings further apart are two packets."""

MAX_ALIKE = 64
"""So many journeys of packets that are all alike are compared; a flood of them must not take forever."""

_NO_JOURNEY = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Passage:
    """One packet on its way from a point to another; `packet` is its number at the first, as Wireshark counts.

    `received_s` is None when it never came; `copies` are the additional times it came.
    """

    packet: int
    sent_s: float
    received_s: float | None
    copies: int

    @property
    def lost(self) -> bool:
        return self.received_s is None

    @property
    def delay_s(self) -> float | None:
        """The one-way delay: both points read one clock."""
        return None if self.received_s is None else self.received_s - self.sent_s


class Timeline:
    """Which packets of an index are the same packet, seen at different points.

    Two sightings are one packet when everything a router leaves alone is equal: all but link header, TTL, traffic
    class and checksums. A damaged packet is another packet. A sighting joins the latest journey that has not come by
    its point yet; one that comes by a second time is a copy, unless the journey began here: then it was sent again.
    """

    def __init__(self, index: Index, points: tuple[Point, ...]) -> None:
        self._index = index
        self._links = [point.link_type for point in points]
        self.journeys = array("I", [_NO_JOURNEY]) * len(index)
        self._sightings: dict[int, list[int]] = defaultdict(list)
        self._passed: dict[int, set[int]] = defaultdict(set)
        self._join()
        self._passed.clear()

    def sightings(self, number: int) -> tuple[int, ...]:
        """The row numbers of all sightings of this packet, itself included, in order of time."""
        return tuple(self._sightings.get(self.journeys[number], (number,)))

    def passages(self, start: Point, end: Point) -> tuple[Passage, ...]:
        """The packets that went from one point to the other, or set out and were lost.

        Only senders and receivers whose packets are known to pass both points count as having set out: those of which
        one packet arrived, or whose receiver's address is that of the end.
        """
        index, came = self._index, self._arrivals(end.number)
        setting_out: list[tuple[int, list[int]]] = []
        pairs: set[tuple[int, int]] = set()
        seen: set[int] = set()
        for number in index.order:
            journey = self.journeys[number]
            if index.points[number] != start.number or journey == _NO_JOURNEY or journey in seen:
                continue
            seen.add(journey)
            arrived = came.get(journey, [])
            if arrived and index.times[arrived[0]] < index.times[number]:
                continue
            pair = (index.sources[number], index.destinations[number])
            if arrived or index.name(pair[1]) in end.addresses:
                pairs.add(pair)
            setting_out.append((number, arrived))
        return tuple(
            Passage(
                number + 1,
                index.time_s(number),
                index.time_s(arrived[0]) if arrived else None,
                max(len(arrived) - 1, 0),
            )
            for number, arrived in setting_out
            if (index.sources[number], index.destinations[number]) in pairs
        )

    def _arrivals(self, point: int) -> dict[int, list[int]]:
        came: dict[int, list[int]] = defaultdict(list)
        for number in self._index.order:
            if self._index.points[number] == point and self.journeys[number] != _NO_JOURNEY:
                came[self.journeys[number]].append(number)
        return came

    def _join(self) -> None:
        index = self._index
        underway: dict[int, list[int]] = defaultdict(list)
        begun = 0
        for number in index.order:
            identity = self._identity(number)
            if identity is None:
                continue
            candidates = underway[identity]
            journey = self._journey_for(number, candidates)
            if journey is None:
                journey, begun = begun, begun + 1
                candidates.append(journey)
            self.journeys[number] = journey
            self._passed[journey].add(index.points[number])
            self._sightings[journey].append(number)

    def _journey_for(self, number: int, candidates: list[int]) -> int | None:
        index, point = self._index, self._index.points[number]
        copied = None
        for journey in candidates[: -MAX_ALIKE - 1 : -1]:
            sightings = self._sightings[journey]
            if index.times[number] - index.times[sightings[-1]] > HORIZON_NS:
                break
            if point not in self._passed[journey]:
                return journey
            if copied is None and index.points[sightings[0]] != point:
                copied = journey
        return copied

    def _identity(self, number: int) -> int | None:
        """A number equal for sightings of one packet; None for what has no IP header."""
        index = self._index
        frame = index.frame(number)
        version, at = network_header(frame, self._links[index.points[number]])
        if version == 4 and len(frame) >= at + 20:
            length, ident, fragment = struct.unpack_from(">HHH", frame, at + 2)
            head = (length, ident, fragment, frame[at + 9], frame[at + 12 : at + 20])
            rest, end = at + (frame[at] & 15) * 4, at + (length or len(frame))
        elif version == 6 and len(frame) >= at + 40:
            length = int.from_bytes(frame[at + 4 : at + 6], "big")
            head = (length, 0, 0, frame[at + 6], frame[at + 8 : at + 40])
            rest, end = at + 40, at + 40 + (length or len(frame))
        else:
            return None
        payload = frame[rest:end]
        if index.transports[number] == rest:
            field = {TCP: 16, UDP: 6}.get(index.kinds[number])
            if field is not None:  # a checksum an offloading card has yet to finish differs from the finished one
                payload = payload[:field] + payload[field + 2 :]
        return hash((head, payload))
