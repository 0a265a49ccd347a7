"""The chunks a captured swarm exchanged: which block went from whom to whom, when a peer had a whole one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from appbed.analysis.bittorrent import PeerMessage, PeerSession
from appbed.evidence import Evidence


@dataclass(frozen=True)
class AtPeer:
    """What one peer's own interface saw of a torrent: before its link up, after its link down."""

    evidence: Evidence
    host: str
    info_hash: str

    @property
    def address(self) -> str:
        return self.evidence.address(self.host)

    @cached_property
    def sessions(self) -> list[PeerSession]:
        seen = self.evidence.capture.bittorrent(f"host:{self.host}")
        return [each for each in seen if each.info_hash.hex() == self.info_hash]

    @cached_property
    def messages(self) -> list[PeerMessage]:
        """Of all its neighbours and its own, in order of time."""
        found = [message for session in self.sessions for message in session.messages]
        return sorted(found, key=lambda message: message.start_s)

    @cached_property
    def received(self) -> list[PeerMessage]:
        """The blocks that came, in the order in which all of each was there."""
        came = [each for each in self.messages if each.kind == "piece" and each.sender.host != self.address]
        return sorted(came, key=lambda message: message.end_s)

    @cached_property
    def sent(self) -> list[PeerMessage]:
        return [each for each in self.messages if each.kind == "piece" and each.sender.host == self.address]

    @cached_property
    def bytes_of(self) -> dict[int, int]:
        """By chunk, the bytes that came of it; a block that came twice counts once."""
        blocks = defaultdict[int, dict[int, int]](dict)
        for each in self.received:
            blocks[each.piece][each.begin] = each.length
        return {piece: sum(lengths.values()) for piece, lengths in sorted(blocks.items())}

    def whole_s(self, sizes: Sequence[int]) -> dict[int, float]:
        """By chunk, when the last new block of it had come; `sizes` are those of all chunks."""
        have, done = defaultdict[int, dict[int, int]](dict), dict[int, float]()
        for each in self.received:
            have[each.piece][each.begin] = each.length
            if each.piece not in done and sum(have[each.piece].values()) == sizes[each.piece]:
                done[each.piece] = each.end_s
        return done


def sizes(total_bytes: int, chunk_bytes: int) -> list[int]:
    """Of the chunks of a file: all alike, but the last one where it does not divide."""
    return [min(chunk_bytes, total_bytes - start) for start in range(0, total_bytes, chunk_bytes)]
