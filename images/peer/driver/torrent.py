"""Torrent files: made here, or read from whoever joins."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import content
import libtorrent as lt
from control import Refused

_LARGEST = 1 << 40


@dataclass(frozen=True)
class Made:
    """A new file and its torrent, as `make` prints them."""

    info_hash: str
    name: str
    size: int
    piece_size: int
    pieces: int
    sha256: str
    tracker: str
    torrent: str  # base64

    def record(self) -> dict[str, object]:
        return asdict(self)


def make(folder: Path, size: str, seed: str, tracker: str, piece_size: int, kind: str = "random") -> Made:
    if not (size.isascii() and size.isdigit() and 0 < int(size[:20]) < _LARGEST):
        raise Refused(f"SIZE '{size}' is not possible; choose a number of bytes, 1 or more")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", seed):
        raise Refused(f"SEED '{seed}' is not possible; choose 1 to 64 letters, digits, _ or -")
    if not re.fullmatch(r"http://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/[!-~]*", tracker):
        raise Refused(f"TRACKER-URL '{tracker}' is not possible; choose one such as http://tracker.edu:6969/announce")
    path = folder / f"{seed}-{int(size)}.bin"
    sha256 = content.write(path, int(size), seed, kind)
    files = lt.file_storage()
    lt.add_files(files, str(path))
    torrent = lt.create_torrent(files, piece_size, lt.create_torrent.v1_only)
    torrent.add_tracker(tracker)
    torrent.set_priv(True)  # no peer but by the tracker, in any client
    lt.set_piece_hashes(torrent, str(folder))
    encoded = lt.bencode(torrent.generate())
    info = lt.torrent_info(lt.bdecode(encoded))
    return Made(
        info_hash=str(info.info_hash()),
        name=info.name(),
        size=info.total_size(),
        piece_size=info.piece_length(),
        pieces=info.num_pieces(),
        sha256=sha256,
        tracker=tracker,
        torrent=base64.b64encode(encoded).decode(),
    )


def read(given: bytes) -> lt.torrent_info:
    """A torrent file as it is, in base64, or in the JSON that `make` prints."""
    found = given.strip()
    try:
        if found.startswith(b"{"):
            found = json.loads(found)["torrent"].encode()
        if not re.match(rb"d[0-9]", found):
            found = base64.b64decode(found, validate=False)
        info = lt.torrent_info(lt.bdecode(found))
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise Refused(f"this is not a torrent file: {len(given)} bytes, beginning {given[:40]!r}") from None
    if info.num_files() != 1:
        raise Refused(f"the torrent has {info.num_files()} files; this peer takes torrents of one file")
    if not any(info.trackers()):
        raise Refused("the torrent names no tracker, and this peer finds others by a tracker only")
    return info
