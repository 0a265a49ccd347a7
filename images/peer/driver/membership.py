"""One torrent from joining to leaving: what libtorrent reports of it, counted and written to the events."""

from __future__ import annotations

import math
import time
from pathlib import Path

import content
import libtorrent as lt
import neighbours
from events import EventLog

_ANNOUNCE_AGAIN_S = 1.0  # after a failure; libtorrent waits half an hour where the tracker refused


class Membership:
    def __init__(self, handle: lt.torrent_handle, info: lt.torrent_info, path: Path, events: EventLog) -> None:
        self.handle = handle
        self.info = info
        self.path = path
        self.left = False
        self.checked = False  # what of the file was there already is known
        self.tracker_said: str | None = None  # its answer to the last announce
        self.peers_given: int | None = None  # None: it never accepted this peer
        self.announce_again_at = math.inf
        self._events = events
        self._joined = time.monotonic()
        self._seconds: float | None = None
        self._on_disk = False
        self._sha256: str | None = None
        self._error: str | None = None
        self._hash_failures = 0
        self._neighbours: list[neighbours.Neighbour] = []
        self._pieces = self._down_bytes = self._up_bytes = 0

    @property
    def whole(self) -> bool:
        return self._pieces == self.info.num_pieces()

    def status(self) -> dict[str, object]:
        self.measure()
        if self.whole and self._on_disk and self._sha256 is None:
            self._sha256 = content.sha256(self.path)
        return {
            "state": self._state(),
            "info_hash": str(self.info.info_hash()),
            "name": self.info.name(),
            "size": self.info.total_size(),
            "progress": round(self._pieces / self.info.num_pieces(), 4),
            "pieces": self._pieces,
            "pieces_total": self.info.num_pieces(),
            "seconds": self._seconds,
            "sha256": self._sha256,
            "down_bytes": self._down_bytes,
            "up_bytes": self._up_bytes,
            "hash_failures": self._hash_failures,
            "peers_given": self.peers_given,
            "tracker": self.tracker_said,
            "peers": [neighbour.record() for neighbour in self._neighbours],
            "error": self._error,
        }

    def measure(self) -> bool:
        """Asks libtorrent; true if something moved since the last time."""
        if self.left:
            return False
        before = (self._pieces, self._down_bytes, self._up_bytes, len(self._neighbours))
        status = self.handle.status(0)
        self._pieces = status.num_pieces
        self._down_bytes, self._up_bytes = status.all_time_download, status.all_time_upload
        self._neighbours = neighbours.connected(self.handle)
        return before != (self._pieces, self._down_bytes, self._up_bytes, len(self._neighbours))

    def sample(self) -> None:
        """`down` and `up` are libtorrent's totals, up to a second old; `by_peer` is of this moment."""
        if self.measure():
            self._events.add(
                "bytes",
                down=self._down_bytes,
                up=self._up_bytes,
                pieces=self._pieces,
                by_peer={peer.address: [peer.down_bytes, peer.up_bytes] for peer in self._neighbours},
            )

    def announce_again(self) -> None:
        self.announce_again_at = math.inf
        if not self.left:
            self.handle.force_reannounce(0, -1, lt.torrent_handle.ignore_min_interval)

    def spoil(self, piece: int) -> None:
        """Inverts the first byte of a piece that was found good, so that bad data is handed out."""
        with self.path.open("r+b") as file:
            file.seek(piece * self.info.piece_length())
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 0xFF]))
        self._sha256 = None
        self._events.add("spoiled", piece=piece)

    def end(self) -> None:
        """The counters stay as they are now."""
        self.left = True
        self._neighbours = []

    def note(self, alert: lt.alert) -> None:
        if (note := _NOTES.get(type(alert))) and alert.handle == self.handle:
            note(self, alert)

    def _state(self) -> str:
        if self.left:
            return "left"
        if self._error:
            return "failed"
        if not self.checked:
            return "checking"
        return "complete" if self.whole else "downloading"

    def _note_checked(self, _: lt.torrent_checked_alert) -> None:
        self.checked = True
        self.measure()
        self._events.add("checked", pieces=self._pieces)
        if self.whole:
            self._on_disk = True
            self._events.add("complete", seconds=0)

    def _note_piece(self, alert: lt.piece_finished_alert) -> None:
        if self.checked:  # before that it speaks of pieces that were there
            self._events.add("piece", piece=alert.piece_index)

    def _note_finished(self, _: lt.torrent_finished_alert) -> None:
        if self.checked:
            self._seconds = round(time.monotonic() - self._joined, 6)
            self._events.add("complete", seconds=self._seconds)
            self.handle.flush_cache()

    def _note_flushed(self, _: lt.cache_flushed_alert) -> None:
        self.measure()
        self._on_disk = self.whole

    def _note_hash_failure(self, alert: lt.hash_failed_alert) -> None:
        self._hash_failures += 1
        self._events.add("hash-failed", piece=alert.piece_index)

    def _note_ban(self, alert: lt.peer_ban_alert) -> None:
        self._events.add("banned", peer=alert.endpoint[0])

    def _note_announce(self, alert: lt.tracker_announce_alert) -> None:
        if _to_the_lab(alert):
            self._events.add("announce", what=_ANNOUNCED.get(int(alert.event), "again"))

    def _note_reply(self, alert: lt.tracker_reply_alert) -> None:
        if _to_the_lab(alert):
            self.tracker_said = "ok"
            self.peers_given = alert.num_peers
            self._events.add("tracker", peers=alert.num_peers)

    def _note_tracker_error(self, alert: lt.tracker_error_alert) -> None:
        if _to_the_lab(alert):
            self.tracker_said = alert.failure_reason() or alert.error.message()
            self.announce_again_at = time.monotonic() + _ANNOUNCE_AGAIN_S
            self._events.add("tracker-error", because=self.tracker_said)

    def _note_connected(self, alert: lt.peer_connect_alert) -> None:
        opened_by = "them" if "incoming connection" in alert.message() else "us"
        self._events.add("connected", peer=alert.endpoint[0], port=alert.endpoint[1], opened_by=opened_by)

    def _note_disconnected(self, alert: lt.peer_disconnected_alert) -> None:
        self._events.add("disconnected", peer=alert.endpoint[0], port=alert.endpoint[1], because=alert.error.message())

    def _note_told(self, alert: lt.peer_log_alert) -> None:
        if said := neighbours.told(alert.message()):
            self._events.add(said[0], peer=alert.endpoint[0], by=said[1])

    def _note_error(self, alert: lt.file_error_alert | lt.torrent_error_alert) -> None:
        if self._error is None:
            self._error = alert.error.message()
            self._events.add("failed", because=self._error)


_ANNOUNCED = {1: "completed", 2: "started", 3: "stopped"}


def _to_the_lab(alert: lt.tracker_alert) -> bool:
    """libtorrent announces from each of its sockets, also from the one on loopback, which reaches no tracker."""
    return not alert.local_endpoint[0].startswith("127.")


_NOTES = {
    lt.torrent_checked_alert: Membership._note_checked,
    lt.piece_finished_alert: Membership._note_piece,
    lt.torrent_finished_alert: Membership._note_finished,
    lt.cache_flushed_alert: Membership._note_flushed,
    lt.hash_failed_alert: Membership._note_hash_failure,
    lt.peer_ban_alert: Membership._note_ban,
    lt.tracker_announce_alert: Membership._note_announce,
    lt.tracker_reply_alert: Membership._note_reply,
    lt.tracker_error_alert: Membership._note_tracker_error,
    lt.peer_connect_alert: Membership._note_connected,
    lt.peer_disconnected_alert: Membership._note_disconnected,
    lt.peer_log_alert: Membership._note_told,
    lt.file_error_alert: Membership._note_error,
    lt.torrent_error_alert: Membership._note_error,
}
