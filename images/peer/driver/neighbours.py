"""The peers this one is connected to, and what they tell each other about choking and interest."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

import libtorrent as lt

_TOLD = re.compile(r"\] (==>|<==) (CHOKE|UNCHOKE|INTERESTED|NOT_INTERESTED) \[")
_EVENTS = {"CHOKE": "choke", "UNCHOKE": "unchoke", "INTERESTED": "interested", "NOT_INTERESTED": "not-interested"}


@dataclass(frozen=True)
class Neighbour:
    address: str
    port: int
    opened_by: str  # "us" or "them"
    client: str
    pieces: int
    we_choke: bool
    we_are_interested: bool
    they_choke: bool
    they_are_interested: bool
    optimistic: bool
    down_bytes: int  # payload, over this connection
    up_bytes: int

    def record(self) -> dict[str, object]:
        return asdict(self)


def connected(handle: lt.torrent_handle) -> list[Neighbour]:
    kind = lt.peer_info
    return [
        Neighbour(
            address=peer.ip[0],
            port=peer.ip[1],
            opened_by="us" if peer.flags & kind.outgoing_connection else "them",
            client=peer.client.decode(errors="replace"),
            pieces=peer.num_pieces,
            we_choke=bool(peer.flags & kind.choked),
            we_are_interested=bool(peer.flags & kind.interesting),
            they_choke=bool(peer.flags & kind.remote_choked),
            they_are_interested=bool(peer.flags & kind.remote_interested),
            optimistic=bool(peer.flags & kind.optimistic_unchoke),
            down_bytes=peer.total_download,
            up_bytes=peer.total_upload,
        )
        for peer in handle.get_peer_info()
        if not peer.flags & (kind.connecting | kind.handshake)
    ]


def told(log_line: str) -> tuple[str, str] | None:
    """A line of libtorrent's log of one connection: ("unchoke", "us" or "them") if it is about choking or interest."""
    if found := _TOLD.search(log_line):
        return _EVENTS[found[2]], "us" if found[1] == "==>" else "them"
    return None
