"""Constant flows of UDP datagrams between the two clients, and what the packets at both of them show."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from appbed.analysis import Capture, Passage
from appbed.evidence import Evidence
from appbed.lab import Lab

SENDER, RECEIVER = "client", "client-2"
LINK = "client-2@campus"
_HEADERS_BYTES, _NUMBER_BYTES = 42, 8
_LINGER_S = 3.0
"""The receiver listens for so much longer than the sender sends: longer than any queue here holds a datagram."""


@dataclass(frozen=True, slots=True)
class Flow:
    """`rate_bit` and `frame_bytes` are those of layer 2; the ports tell flows apart."""

    port: int
    rate_bit: float
    seconds: float
    frame_bytes: int = 1000

    @property
    def source(self) -> int:
        """The sender's port."""
        return self.port - 1000

    @property
    def datagrams(self) -> int:
        return round(self.seconds * self.rate_bit / (8 * self.frame_bytes))


def send(lab: Lab, flows: Sequence[Flow]) -> None:
    """All flows at once, each to a process that takes it."""
    there = str(lab.topology.host(RECEIVER).address)
    for flow in flows:
        lab.exec(RECEIVER, "/appbed/flow", "receive", str(flow.port), "--seconds", str(flow.seconds + _LINGER_S))
    with ThreadPoolExecutor(len(flows)) as pool:
        list(pool.map(lambda flow: lab.exec(SENDER, *_command(flow, there)), flows))


def _command(flow: Flow, there: str) -> tuple[str, ...]:
    how = ("--rate", f"{flow.rate_bit:.0f}", "--size", str(flow.frame_bytes), "--seconds", f"{flow.seconds:g}")
    return ("/appbed/flow", "send", there, str(flow.port), "--from", str(flow.source), *how)


class Flown:
    """One flow as captured at its sender and at its receiver."""

    def __init__(self, evidence: Evidence, flow: Flow) -> None:
        self._capture: Capture = evidence.capture
        self._flow, self._ends = flow, (evidence.address(SENDER), evidence.address(RECEIVER))

    @cached_property
    def passages(self) -> list[Passage]:
        """Every datagram's way from process to process, in the order they were sent."""
        whole = bytes(self._flow.frame_bytes - _HEADERS_BYTES - _NUMBER_BYTES)
        sent = {
            packet.number
            for packet in self._capture.packets(f"host:{SENDER}")
            if packet.protocol == "udp"
            and (packet.source, packet.destination) == self._sockets
            and packet.payload[_NUMBER_BYTES:] == whole
        }
        every = self._capture.passages(f"host:{SENDER}", f"host:{RECEIVER}")
        return [each for each in every if each.packet in sent]

    @property
    def _sockets(self) -> tuple[tuple[str, int], tuple[str, int]]:
        return (self._ends[0], self._flow.source), (self._ends[1], self._flow.port)

    @property
    def sent(self) -> int:
        return len(self.passages)

    @property
    def lost(self) -> int:
        return sum(each.lost for each in self.passages)

    @property
    def copies(self) -> int:
        return sum(each.copies for each in self.passages)

    @property
    def overtaking(self) -> int:
        """Datagrams that arrived before one that was sent earlier."""
        latest, found = 0.0, 0
        for each in self.passages:
            if each.received_s is not None:
                found += each.received_s < latest
                latest = max(latest, each.received_s)
        return found

    @property
    def delays_s(self) -> list[float]:
        """One-way delays of those that arrived."""
        return [each.delay_s for each in self.passages if each.delay_s is not None]

    @property
    def rate_bit(self) -> float:
        """As sent, layer 2; 0 where there is nothing to tell it from."""
        if self.sent < 2:
            return 0.0
        seconds = self.passages[-1].sent_s - self.passages[0].sent_s
        return (self.sent - 1) * 8 * self._flow.frame_bytes / seconds

    @property
    def answers(self) -> int:
        """Packets of the receiver to the sender's socket, ICMP refusals included."""
        here, there = self._sockets
        return sum(
            (packet.source.host, packet.destination.host) == (there[0], here[0])
            and (packet.protocol == "icmp" or (packet.source.port, packet.destination.port) == (there[1], here[1]))
            for packet in self._capture.packets(f"host:{SENDER}")
        )
