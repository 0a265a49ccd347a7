"""What the textbook and the protocols predict, one function each; units in the names, source in the docstring."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass


def dns_messages(servers: int) -> int:
    """Messages of one cold name: a query and a reply between host and local server, and between it and each server on the
    way from the root down (Kurose and Ross, Computer Networking, section 2.4: 8 for root, TLD, authoritative)."""
    return 2 + 2 * servers


def dns_time_s(round_trips_s: list[float]) -> float:
    """Time of an iterative resolution: the local server asks one server after the other, so round trips add up."""
    return sum(round_trips_s)


def ttl_hit_rate(requests_per_s: float, ttl_s: float) -> float:
    """Share of Poisson requests that a cache with a time to live answers itself: lT/(1 + lT); of each miss and the requests
    of the T seconds after it, all but the miss are hits (Jung, Berger and Balakrishnan, Modeling TTL-based Internet caches, 2003)."""
    return requests_per_s * ttl_s / (1 + requests_per_s * ttl_s)


def wire_time_s(size_bytes: int, rate_bit: float | None) -> float:
    """Time to push `size_bytes` of layer-2 frame onto a link of `rate_bit` bit/s; 0 without a rate."""
    return 8 * size_bytes / rate_bit if rate_bit else 0.0


def client_server_s(size_bit: float, peers: int, server_bit: float, slowest_download_bit: float) -> float:
    """Least time to distribute a file from one server: max{NF/us, F/dmin} (Kurose and Ross, section 2.5)."""
    return max(peers * size_bit / server_bit, size_bit / slowest_download_bit)


def peer_to_peer_s(size_bit: float, seed_bit: float, uploads_bit: list[float], slowest_download_bit: float) -> float:
    """Least time to distribute a file among peers: max{F/us, F/dmin, NF/(us + sum ui)} (Kurose and Ross, section 2.5)."""
    return peer_to_peer_acked_s(size_bit, 0, seed_bit, uploads_bit, slowest_download_bit)


def peer_to_peer_acked_s(
    size_bit: float, ack_bit: float, seed_bit: float, uploads_bit: list[float], slowest_download_bit: float
) -> float:
    """The same bound where a peer's uplink also carries `ack_bit` of acknowledgements for the file it downloads:
    max{F/us, F/dmin, N(F + A)/(us + sum ui)}, since every bit sent by anybody passes one of these uplinks."""
    together = seed_bit + sum(uploads_bit)
    peers = len(uploads_bit)
    return max(size_bit / seed_bit, size_bit / slowest_download_bit, peers * (size_bit + ack_bit) / together)


# ---- TCP: what a byte of payload costs on the wire, and how many round trips a window needs

MSS_BYTES = 1448
"""Payload of a full segment: 1500 bytes of IP less 20 (IP), 20 (TCP) and 12 (time stamps, RFC 7323)."""
SEGMENT_HEADER_BYTES = 66
"""Layer-2 bytes of a segment beside its payload: Ethernet 14, IP 20, TCP 20, time stamps 12."""
SYN_BYTES = 74
"""A SYN or SYN-ACK: Ethernet 14, IP 20, TCP 20, options 20."""
INITIAL_WINDOW = 10
"""Segments a sender may have under way before the first acknowledgement (RFC 6928)."""


def wire_bytes(payload_bytes: int) -> int:
    """Layer-2 bytes of `payload_bytes` sent in full segments."""
    return payload_bytes + -(-payload_bytes // MSS_BYTES) * SEGMENT_HEADER_BYTES


def ack_bytes(payload_bytes: int) -> int:
    """Layer-2 bytes of the acknowledgements of `payload_bytes`: one for two full segments (RFC 5681, section 4.2)."""
    return -(-payload_bytes // (2 * MSS_BYTES)) * SEGMENT_HEADER_BYTES


@dataclass(frozen=True, slots=True)
class Path:
    """The way between a client and a server: one round trip without load, and the bottleneck's rates (None: no limit)."""

    round_trip_s: float
    up_bit: float | None = None
    down_bit: float | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """An HTTP request and its response, headers counted."""

    request_bytes: int
    response_bytes: int


def slow_start_stall_s(path: Path, payload_bytes: int, window_segments: int = INITIAL_WINDOW) -> float:
    """Time a sender waits for acknowledgements while its window still doubles (Kurose and Ross, section 3.7; RFC 5681).

    After round k it has sent `window`*2^k segments and waits RTT + S/R - 2^k*window*S/R, as long as that is positive.
    """
    left = -(-payload_bytes // MSS_BYTES)
    segment_s = wire_time_s(MSS_BYTES + SEGMENT_HEADER_BYTES, path.down_bit)
    stalled_s, window = 0.0, window_segments
    while left > window:
        stalled_s += max(0.0, path.round_trip_s + segment_s - window * segment_s)
        left, window = left - window, 2 * window
    return stalled_s


def connect_s(path: Path) -> float:
    """From the SYN to the SYN-ACK's arrival: one round trip (Kurose and Ross, section 2.2.2)."""
    return path.round_trip_s + wire_time_s(SYN_BYTES, path.up_bit) + wire_time_s(SYN_BYTES, path.down_bit)


def answer_s(path: Path, exchange: Exchange, window_segments: int = INITIAL_WINDOW) -> float:
    """From the request to the last byte of its response: one round trip, both transmissions, waiting for a window."""
    return (
        path.round_trip_s
        + wire_time_s(wire_bytes(exchange.request_bytes), path.up_bit)
        + wire_time_s(wire_bytes(exchange.response_bytes), path.down_bit)
        + slow_start_stall_s(path, exchange.response_bytes, window_segments)
    )


# ---- a page: a base file and n objects (Kurose and Ross, section 2.2.2)


def serial_round_trips(objects: int) -> int:
    """Non-persistent connections one after the other: two round trips for each of n + 1 files."""
    return 2 * (objects + 1)


def parallel_round_trips(objects: int, connections: int) -> int:
    """Non-persistent connections, `connections` at a time: 2 + 2*ceil(n/m)."""
    return 2 + 2 * -(-objects // connections)


def persistent_round_trips(objects: int) -> int:
    """One connection, one request after the other: 2 + n."""
    return 2 + objects


def pipelined_round_trips(objects: int) -> int:
    """One connection, all requests at once: 2, and 1 for all objects together."""
    return 3 if objects else 2


def serial_page_s(path: Path, base: Exchange, objects: Sequence[Exchange]) -> float:
    """Page time over non-persistent connections one after the other: 2 RTT (n + 1) + transmission."""
    return sum(connect_s(path) + answer_s(path, each) for each in (base, *objects))


def parallel_page_s(path: Path, base: Exchange, objects: Sequence[Exchange], connections: int) -> float:
    """Page time over `connections` non-persistent connections at a time: 2 RTT + 2 RTT*ceil(n/m) + transmission.

    Responses share the bottleneck, first come, first served; who has its object opens the next connection.
    """
    base_s = connect_s(path) + answer_s(path, base)
    free_s = [base_s] * min(connections, len(objects))
    line_free_s = last_s = base_s
    for each in objects:
        begun_s = heapq.heappop(free_s)
        transmission_s = wire_time_s(wire_bytes(each.response_bytes), path.down_bit)
        arrives_s = begun_s + connect_s(path) + answer_s(path, each) - transmission_s
        line_free_s = max(arrives_s, line_free_s) + transmission_s
        heapq.heappush(free_s, line_free_s)
        last_s = max(last_s, line_free_s)
    return last_s


def persistent_page_s(path: Path, base: Exchange, objects: Sequence[Exchange]) -> float:
    """Page time over one connection: 2 RTT + n RTT + transmission."""
    return connect_s(path) + sum(answer_s(path, each) for each in (base, *objects))


def pipelined_page_s(path: Path, base: Exchange, objects: Sequence[Exchange]) -> float:
    """Page time over one connection with all requests at once: 3 RTT + transmission.

    The window has grown by the base file's segments when the objects are asked for (RFC 5681, section 3.1).
    """
    page_s = connect_s(path) + answer_s(path, base)
    if objects:
        together = Exchange(sum(each.request_bytes for each in objects), sum(each.response_bytes for each in objects))
        grown = INITIAL_WINDOW + -(-base.response_bytes // MSS_BYTES)
        page_s += answer_s(path, together, grown)
    return page_s


# ---- a cache at the institution, and queues


def load(requests_per_s: float, size_bit: float, rate_bit: float) -> float:
    """Traffic intensity rho = a L / R (Kurose and Ross, sections 1.4.2 and 2.2.5)."""
    return requests_per_s * size_bit / rate_bit


def cached_response_s(hit_rate: float, hit_s: float, miss_s: float) -> float:
    """Mean response time with a cache: h*LAN + (1 - h)*(access + Internet) (Kurose and Ross, section 2.2.5)."""
    return hit_rate * hit_s + (1 - hit_rate) * miss_s


def access_delay_s(service_s: float, requests_per_s: float) -> float:
    """The textbook's mean delay of an access link, D/(1 - D*b), queueing included (Kurose and Ross, problem P9 of ch. 2)."""
    share = service_s * requests_per_s
    return service_s / (1 - share) if share < 1 else math.inf


def lindley_waits_s(arrivals_s: Sequence[float], services_s: Sequence[float]) -> list[float]:
    """How long each arrival waits for those before it: W' = max(0, W + S - A) (Lindley, 1952); first come, first served."""
    waits_s: list[float] = []
    free_s = -math.inf
    for arrival_s, service_s in zip(arrivals_s, services_s, strict=True):
        begins_s = max(arrival_s, free_s)
        waits_s.append(begins_s - arrival_s)
        free_s = begins_s + service_s
    return waits_s


# ---- electronic mail

SMTP_LINE_BYTES = 60
"""A command or a reply of SMTP, give or take the length of an address; a fraction of a millisecond at 2 Mbit/s."""


def smtp_round_trips(messages: int, *, reused: bool) -> int:
    """From the first SYN to the last message's acceptance, one message after the other without pipelining (RFC 5321, 4.1.4).

    A connection costs SYN, greeting and EHLO; a message MAIL, RCPT, DATA and itself. A connection that is used again is asked
    first whether it still lives (RSET).
    """
    return 7 * messages if not reused else 7 + 5 * (messages - 1)


def smtp_delivery_s(path: Path, message_bytes: int) -> float:
    """One message over a connection of its own, SYN to acceptance: 7 RTT + transmission; `path` from sender to receiver.

    Each command that was acknowledged has opened the sender's window by a segment (RFC 5681, section 3.1).
    """
    commands = 4  # EHLO, MAIL, RCPT, DATA
    line_s = answer_s(path, Exchange(SMTP_LINE_BYTES, SMTP_LINE_BYTES))
    greeting_s = path.round_trip_s + wire_time_s(wire_bytes(SMTP_LINE_BYTES), path.down_bit)
    # The message goes up, so waiting for a window is the sender's: the same sum with the directions exchanged.
    back, message = Path(path.round_trip_s, path.down_bit, path.up_bit), Exchange(SMTP_LINE_BYTES, message_bytes)
    pushed_s = answer_s(back, message, INITIAL_WINDOW + commands)
    return connect_s(path) + greeting_s + commands * line_s + pushed_s


def retry_s(backoff_s: float, queue_run_s: float) -> float:
    """Longest time until a message that waits for a server is tried again: one back-off, and the queue's next run after it
    (Postfix, QSHAPE_README: a deferred message is tried in the first queue run after its time has come)."""
    return backoff_s + queue_run_s


def bounce_s(lifetime_s: float, backoff_s: float, queue_run_s: float, try_s: float) -> float:
    """Longest time until a message to a dead server is given up: the first try that ends after its lifetime (qmgr(8))."""
    return lifetime_s + retry_s(backoff_s, queue_run_s) + try_s


# ---- transport services


def transfer_s(path: Path, payload_bytes: int) -> float:
    """From a small request to the last byte: one round trip, O/R in wire bytes, waiting for a window while it grows."""
    transmission_s = wire_time_s(wire_bytes(payload_bytes), path.down_bit)
    return path.round_trip_s + transmission_s + slow_start_stall_s(path, payload_bytes)


def udp_loss(sending_bit: float, rate_bit: float, queue_bit: float, seconds: float) -> float:
    """Share of a constant flow at s > R through a queue Q for time T that is lost: 1 - R/s - Q/(sT), never below 0.

    What came in is s*T, what went out R*T, what is still queued Q: conservation.
    """
    return max(0.0, 1 - rate_bit / sending_bit - queue_bit / (sending_bit * seconds))


def queueing_delay_s(queue_bit: float, rate_bit: float) -> float:
    """Longest wait behind a full queue: Q/R (Kurose and Ross, section 1.4)."""
    return queue_bit / rate_bit
