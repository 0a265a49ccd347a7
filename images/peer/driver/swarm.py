"""The peer: a libtorrent session and what can be asked of it. It is in one swarm at a time."""

from __future__ import annotations

import contextlib
import math
import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

import content
import libtorrent as lt
import torrent
from control import SOCKET, Refused
from events import EventLog
from membership import Membership
from settings import Settings, WrongSetting, changed, for_libtorrent

_CHECK_S = 20.0  # reading a file that is already there
_GOODBYE_S = 2.0

_KINDS = lt.alert.category_t
_ALERTS = (
    _KINDS.error_notification
    | _KINDS.status_notification
    | _KINDS.storage_notification
    | _KINDS.tracker_notification
    | _KINDS.connect_notification
    | _KINDS.peer_notification
    | _KINDS.piece_progress_notification
)


class Swarm:
    def __init__(self, settings: Settings, disk: Path, events: EventLog) -> None:
        self._given = self._settings = settings
        self._files = disk / "files"
        self._events = events
        # libtorrent writes a byte here when alerts wait. Its own wait_for_alert() can crash the process.
        self.alerts_wait, self._alerts_come = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._begin()

    # What is asked of it

    def make(self, size: str, seed: str, tracker: str) -> dict[str, object]:
        """A file and its torrent; nobody hears of it."""
        if self._member and not self._member.left:
            raise Refused("this peer is in a swarm; leave it first")
        made = torrent.make(self._files, size, seed, tracker, self._settings.piece_size_bytes, self._settings.content)
        self._events.add("made", info_hash=made.info_hash, size=made.size, pieces=made.pieces, sha256=made.sha256)
        return made.record()

    def join(self, given: bytes) -> None:
        """Enters the swarm, as a seed if the file is there already."""
        if self._member and not self._member.left:
            raise Refused(f"this peer is in the swarm of {self._member.info.info_hash()} already; leave it first")
        info = torrent.read(given)
        path = self._files / info.name()
        there = path.stat().st_size if path.is_file() else 0
        content.room_for(info.total_size() - there, self._files)
        entry = lt.add_torrent_params()
        entry.ti, entry.save_path = info, str(self._files)
        flags = lt.torrent_flags
        entry.flags &= ~(flags.auto_managed | flags.paused)
        entry.flags |= flags.disable_pex | flags.disable_dht | flags.disable_lsd
        if self._settings.picker == "sequential":
            entry.flags |= flags.sequential_download
        self._member = Membership(self._session.add_torrent(entry), info, path, self._events)
        facts = {"name": info.name(), "size": info.total_size(), "pieces": info.num_pieces()}
        self._events.add("joined", info_hash=str(info.info_hash()), **facts)
        if there:
            self._take_until(lambda: self._member.checked, _CHECK_S)

    def status(self) -> dict[str, object]:
        about = self._member.status() if self._member else {"state": "idle"}
        return {**about, "events_lost": self._events.lost}

    def leave(self, within_s: float = _GOODBYE_S) -> dict[str, object]:
        """Says goodbye to the tracker and closes the connections; the file stays."""
        if not self._member or self._member.left:
            raise Refused("this peer is in no swarm")
        member = self._member
        member.tracker_said = None
        member.handle.pause()
        if member.peers_given is None:
            member.tracker_said = "it never accepted this peer"
        else:
            self._take_until(lambda: member.tracker_said is not None, within_s)
            member.tracker_said = member.tracker_said or f"no answer within {within_s:g} s"
        member.measure()
        member.end()
        self._session.remove_torrent(member.handle)
        self._events.add("left", tracker=member.tracker_said)
        return {"info_hash": str(member.info.info_hash()), "tracker": member.tracker_said}

    def corrupt(self, piece: str) -> None:
        """Spoils a piece that this peer has."""
        if not self._member or self._member.left:
            raise Refused("this peer is in no swarm")
        last = self._member.info.num_pieces() - 1
        if not (piece.isascii() and piece.isdigit() and int(piece[:20]) <= last):
            raise Refused(f"PIECE '{piece}' is not possible; choose a whole number from 0 to {last}")
        if not self._member.handle.have_piece(int(piece)):
            raise Refused(f"PIECE '{piece}' is not possible; choose one that this peer has")
        self._member.spoil(int(piece))

    def set(self, *assigned: str) -> None:
        """Other settings than the environment's until the next reset; everything else is as after one."""
        try:
            settings = changed(os.environ, assigned)
        except WrongSetting as wrong:
            raise Refused(str(wrong)) from None
        self._restart(settings)

    def reset(self) -> None:
        """As after a fresh start. Nobody hears a goodbye."""
        self._restart(self._given)

    def _restart(self, settings: Settings) -> None:
        self._settings = settings
        self._session.apply_settings({"stop_tracker_timeout": 0})
        self._member = None
        del self._session  # returns when its sockets are closed
        self._begin()

    # What libtorrent reports

    def take_alerts(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.alerts_wait, 4096)
        for alert in self._session.pop_alerts():
            if isinstance(alert, lt.listen_failed_alert):
                print(f"peer: cannot listen: {alert.message()}", file=sys.stderr)
            elif isinstance(alert, lt.alerts_dropped_alert):
                self._events.add("alerts-dropped")
            elif self._member:
                self._member.note(alert)

    def due_at(self) -> float:
        """When `do_what_is_due` has something to do next."""
        return min(self._sample_at, self._member.announce_again_at if self._member else math.inf)

    def do_what_is_due(self) -> None:
        now = time.monotonic()
        if self._member and now >= self._member.announce_again_at:
            self._member.announce_again()
        if now >= self._sample_at:
            self._sample_at = now + self._settings.sample_ms / 1000
            if self._member:
                self._member.sample()

    def _take_until(self, done: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not done() and (left_s := deadline - time.monotonic()) > 0:
            select.select([self.alerts_wait], [], [], left_s)
            self.take_alerts()

    def _begin(self) -> None:
        content.empty(self._files.parent, but=Path(SOCKET))
        content.empty(self._events.path.parent, but=self._events.path)
        self._files.mkdir()
        self._events.empty()
        self._sample_at = time.monotonic()
        self._member: Membership | None = None
        told = _KINDS.peer_log_notification if self._settings.trades else 0
        self._session = lt.session({**for_libtorrent(self._settings), "alert_mask": int(_ALERTS | told)})
        self._session.set_alert_fd(self._alerts_come)
        # To private addresses libtorrent uploads without regard to slots; here there are no others.
        everybody = lt.ip_filter()
        everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
        self._session.set_peer_class_filter(everybody)
        self._events.add("started", libtorrent=lt.__version__, settings=vars(self._settings))
