"""What the textbook and the protocols predict, one function each; units in the names, source in the docstring."""

from __future__ import annotations


def dns_messages(servers: int) -> int:
    """Messages of one cold name: a query and a reply between host and local server, and between it and each server on the
    way from the root down (Kurose and Ross, Computer Networking, section 2.4: 8 for root, TLD, authoritative)."""
    return 2 + 2 * servers


def dns_time_s(round_trips_s: list[float]) -> float:
    """Time of an iterative resolution: the local server asks one server after the other, so round trips add up."""
    return sum(round_trips_s)


def wire_time_s(size_bytes: int, rate_bit: float | None) -> float:
    """Time to push `size_bytes` of layer-2 frame onto a link of `rate_bit` bit/s; 0 without a rate."""
    return 8 * size_bytes / rate_bit if rate_bit else 0.0


def client_server_s(size_bit: float, peers: int, server_bit: float, slowest_download_bit: float) -> float:
    """Least time to distribute a file from one server: max{NF/us, F/dmin} (Kurose and Ross, section 2.5)."""
    return max(peers * size_bit / server_bit, size_bit / slowest_download_bit)


def peer_to_peer_s(size_bit: float, seed_bit: float, uploads_bit: list[float], slowest_download_bit: float) -> float:
    """Least time to distribute a file among peers: max{F/us, F/dmin, NF/(us + sum ui)} (Kurose and Ross, section 2.5)."""
    together = seed_bit + sum(uploads_bit)
    return max(size_bit / seed_bit, size_bit / slowest_download_bit, len(uploads_bit) * size_bit / together)
