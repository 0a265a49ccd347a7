"""The peer's settings, read from the environment, and what they are to libtorrent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PORT = 6881
PICKERS = ("rarest-first", "sequential")
CONTENTS = ("random", "lines")
NAMES = (
    "PICKER",
    "UNCHOKE_SLOTS",
    "UNCHOKE_INTERVAL",
    "OPTIMISTIC_INTERVAL",
    "PEERS_WANTED",
    "PIECE_SIZE",
    "CONTENT",
    "REQUEST_QUEUE",
    "SAMPLE_MS",
    "TRADES",
)
BLOCK_BYTES = 16 * 1024  # what one request asks for


class WrongSetting(Exception):
    """A variable with a value that is not possible; the message is the one line for the user."""

    def __init__(self, name: str, value: str, choices: str) -> None:
        super().__init__(f"{name}='{value}' is not possible; choose {choices}")


@dataclass(frozen=True)
class Settings:
    picker: str
    unchoke_slots: int | None  # the best uploaders; None: everybody
    unchoke_interval_s: int
    optimistic_interval_s: int
    peers_wanted: int
    piece_size_bytes: int
    content: str  # of files made here
    request_queue: int
    sample_ms: int
    trades: bool  # chokes and interests among the events


def read(environment: Mapping[str, str]) -> Settings:
    """An empty variable is an unset one: Compose cannot unset what it inherits."""

    def given(name: str, default: str) -> str:
        return environment.get(name) or default

    def whole(name: str, default: int, least: int, most: int, also: str = "") -> int:
        value = given(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) <= 9 and least <= int(value) <= most):
            raise WrongSetting(name, value, f"a whole number from {least} to {most}{also}")
        return int(value)

    picker = given("PICKER", PICKERS[0])
    if picker not in PICKERS:
        raise WrongSetting("PICKER", picker, " or ".join(PICKERS))
    piece_size = whole("PIECE_SIZE", 65536, BLOCK_BYTES, 16 * 1024 * 1024, ", a power of two")
    if piece_size & (piece_size - 1):
        raise WrongSetting("PIECE_SIZE", str(piece_size), "a power of two from 16384 to 16777216")
    trades = given("TRADES", "on")
    if trades not in ("on", "off"):
        raise WrongSetting("TRADES", trades, "on or off")
    kind = given("CONTENT", CONTENTS[0])
    if kind not in CONTENTS:
        raise WrongSetting("CONTENT", kind, " or ".join(CONTENTS))
    everybody = given("UNCHOKE_SLOTS", "4") == "all"
    return Settings(
        picker=picker,
        unchoke_slots=None if everybody else whole("UNCHOKE_SLOTS", 4, 0, 1000, " (0: upload to nobody), or all"),
        unchoke_interval_s=whole("UNCHOKE_INTERVAL", 10, 1, 3600),
        optimistic_interval_s=whole("OPTIMISTIC_INTERVAL", 30, 1, 3600),
        peers_wanted=whole("PEERS_WANTED", 50, 1, 200),
        piece_size_bytes=piece_size,
        content=kind,
        request_queue=whole("REQUEST_QUEUE", 4, 1, 2000),
        sample_ms=whole("SAMPLE_MS", 1000, 100, 60000),
        trades=trades == "on",
    )


def changed(environment: Mapping[str, str], assigned: Iterable[str]) -> Settings:
    """As the environment has them, with NAME=VALUE laid over it."""
    over = dict[str, str]()
    for each in assigned:
        name, equals, value = each.partition("=")
        if name not in NAMES or not equals:
            raise WrongSetting("NAME=VALUE", each, f"a name of {', '.join(NAMES)}")
        over[name] = value
    return read({**environment, **over})


def for_libtorrent(settings: Settings) -> dict[str, object]:
    """What differs from libtorrent's own choice, and why."""
    wanted = settings.unchoke_slots
    slots = -1 if wanted is None else wanted + (wanted > 0)  # libtorrent counts the optimistic one among them
    return {
        "listen_interfaces": f"0.0.0.0:{PORT}",
        "listen_queue_size": 128,  # a swarm starts at one moment; at 5, connections wait for TCP's second attempt
        "max_retry_port_bind": 0,
        "enable_ip_notifier": False,  # the lab re-plugs cables; the address stays
        "connections_limit": 400,
        # The capture shall show everything: one transport, no encryption, no neighbour but by the tracker.
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "out_enc_policy": 2,
        "in_enc_policy": 2,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "ssrf_mitigation": False,  # the tracker has a private address
        # The tracker is told, and asked, as the textbook has it.
        "num_want": settings.peers_wanted,
        "stop_tracker_timeout": 1,
        # Trading.
        "unchoke_slots_limit": slots,
        "num_optimistic_unchoke_slots": min(1, max(0, slots)),
        "unchoke_interval": settings.unchoke_interval_s,
        "optimistic_unchoke_interval": settings.optimistic_interval_s,
        "allowed_fast_set_size": 0,  # else a choked peer gets some pieces all the same
        # Picking.
        "auto_sequential": False,  # else it is sequential where there are many seeds
        "initial_picker_threshold": 0,  # else the first four pieces are picked at random
        # Distribution time. With libtorrent's long queues each peer asks the seed for all it can carry in 3 s, and the
        # others for nothing. Two peers that call each other at one moment may lose both calls: they try again soon.
        "max_allowed_in_request_queue": settings.request_queue,
        "whole_pieces_threshold": 0,
        "min_reconnect_time": 1,
        # One small process among a hundred.
        "aio_threads": 1,
        "hashing_threads": 1,
        "mmap_file_size_cutoff": 2**31 - 1,  # plain reads and writes: a full disk is an error then and not a signal
        "alert_queue_size": 100_000,
    }
