"""Least times to distribute a file, from a server and among peers: in wire bytes, the textbook's in payload beside them."""

from __future__ import annotations

from collections.abc import Sequence

from appbed import models

HEAD_BYTES = 260
"""Of nginx's answer before the file."""
_BLOCK_BYTES, _BLOCK_HEAD_BYTES = 16 * 1024, 13


def bounds(
    size_bytes: int, source_bit: float, uploads_bit: Sequence[float], slowest_download_bit: float
) -> dict[str, float]:
    """Of one source, as a server and as a seed; of the peers' there is also the one that counts acknowledgements in their uplinks."""
    peers, uploads = len(uploads_bit), list(uploads_bit)
    answer = 8 * models.wire_bytes(size_bytes + HEAD_BYTES)
    blocks = 8 * models.wire_bytes(size_bytes + -(-size_bytes // _BLOCK_BYTES) * _BLOCK_HEAD_BYTES)
    acks = 8 * models.ack_bytes(size_bytes)
    return {
        "client_server_s": models.client_server_s(answer, peers, source_bit, slowest_download_bit),
        "peer_to_peer_s": models.peer_to_peer_s(blocks, source_bit, uploads, slowest_download_bit),
        "peer_to_peer_acked_s": models.peer_to_peer_acked_s(blocks, acks, source_bit, uploads, slowest_download_bit),
        "client_server_payload_s": models.client_server_s(8 * size_bytes, peers, source_bit, slowest_download_bit),
        "peer_to_peer_payload_s": models.peer_to_peer_s(8 * size_bytes, source_bit, uploads, slowest_download_bit),
    }
