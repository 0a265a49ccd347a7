"""A capture as a person asks it: open the file, then packets, connections and records, at one point or at all."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from appbed.analysis import bittorrent, dns, files, http, imap, pop3, smtp, tcp, tls, tracker
from appbed.analysis.bittorrent import PeerSession
from appbed.analysis.dns import DnsTransaction
from appbed.analysis.dns_message import DnsMessage
from appbed.analysis.http import HttpExchange
from appbed.analysis.imap import ImapSession
from appbed.analysis.index import Index
from appbed.analysis.packets import Packets
from appbed.analysis.pcap import Point, Reader, read
from appbed.analysis.pop3 import Pop3Session
from appbed.analysis.smtp import SmtpDialogue
from appbed.analysis.tcp import Connection, Endpoint
from appbed.analysis.timeline import Passage, Timeline
from appbed.analysis.tls import TlsHandshake
from appbed.analysis.tracker import TrackerAnnounce
from appbed.errors import CaptureError


class Conversation(Protocol):
    """What every record of a conversation has."""

    @property
    def point(self) -> str: ...
    @property
    def client(self) -> Endpoint: ...
    @property
    def server(self) -> Endpoint: ...


class _AtPoint(Protocol):
    @property
    def point(self) -> str: ...


_Record = TypeVar("_Record", bound=_AtPoint)
_Conversation = TypeVar("_Conversation", bound=Conversation)


class Capture:
    """A capture file, read once; every analysis is made when first asked for and kept.

    `point` arguments take a point's name or its beginning up to a colon: "host:client" means "host:client:eth0".
    """

    def __init__(self, reader: Reader) -> None:
        self.index = Index(reader)
        self.points: tuple[Point, ...] = reader.points
        self._names = tuple(point.name for point in self.points)
        self._stopped = reader.stopped

    @classmethod
    def open(cls, source: str | Path | bytes | Sequence[str | Path]) -> Capture:
        """Reads a pcap or pcapng file (memory-mapped), its bytes, several files or all those in a folder as one.

        Raises CaptureError when it is not a capture; a damaged one is read as far as it goes, see `faults`.
        """
        if isinstance(source, bytes):
            return cls(read(source))
        place = ""
        try:
            paths = files.found(source)
            if len(paths) > 1:
                return cls(files.joined(paths))
            place = f"{paths[0]}: "
            with paths[0].open("rb") as file:
                return cls(read(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except CaptureError as error:
            raise CaptureError(f"{place}{error.message}", remedy=error.remedy) from None
        except OSError as error:
            named = f"{error.filename or source}: {error.strerror or error}"
            raise CaptureError(named, remedy="give a readable capture file") from error
        except ValueError:
            raise CaptureError(f"{place}the file is empty", remedy="was the capture stopped early?") from None

    @property
    def drops(self) -> int | None:
        """Packets the capturers lost, all points together; None where no point says."""
        counts = [point.dropped for point in self.points if point.dropped is not None]
        return sum(counts) if counts else None

    @property
    def faults(self) -> tuple[str, ...]:
        """What could not be read, one line each; empty for a sound capture."""
        return self.index.faults

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Why packets may be missing that passed a point, one line each; empty for a capture that has them all."""
        kept = Counter(self.index.points) if any(point.delivered is not None for point in self.points) else Counter()
        found = [f"the capture lost {self.drops} packets: what is missing here may have happened"] if self.drops else []
        for point in self.points:
            if point.delivered is not None and point.delivered > kept[point.number]:
                missing = point.delivered - kept[point.number]
                found.append(
                    f"{point.name}: {missing} packets were captured and are not here: limited, or in other files"
                )
        found += [f"{point.name}: {point.remark}" for point in self.points if point.remark]
        return tuple(map(_line, (*found, *((f"not read: {self._stopped}",) if self._stopped else ()))))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before believing what is shown: why packets are missing, what could not be read."""
        known = self.incomplete
        faults = (_line(f"not read: {fault}") for fault in self.faults)
        return (*known, *(fault for fault in faults if fault not in known))

    def point(self, name: str) -> Point:
        """The one point of that name (or beginning); raises CaptureError when there is none or more than one."""
        found = [point for point in self.points if point.number in self._numbers(name)]
        if len(found) != 1:
            raise self._no_point(name, "names more than one point")
        return found[0]

    def packets(self, point: str | None = None) -> Packets:
        """The packets in order of time."""
        index = self.index
        if point is None:
            return Packets(index, self._names, index.order)
        chosen = self._numbers(point)
        return Packets(index, self._names, [number for number in index.order if index.points[number] in chosen])

    def connections(self, point: str | None = None) -> tuple[Connection, ...]:
        """The TCP connections, each point's apart, in the order they began."""
        return self._at(point, self._connections)

    def dns(self, point: str | None = None) -> tuple[DnsTransaction, ...]:
        """The DNS transactions over UDP and TCP, in the order they began."""
        return self._at(point, self._dns)

    def dns_messages(self, point: str | None = None) -> tuple[DnsMessage, ...]:
        """Every single DNS message, in order of time."""
        return self._at(point, self._dns_messages)

    def http(self, point: str | None = None) -> tuple[HttpExchange, ...]:
        """The HTTP exchanges, in the order of their requests."""
        return self._at(point, self._http)

    def smtp(self, point: str | None = None) -> tuple[SmtpDialogue, ...]:
        """The SMTP dialogues with the messages they carried."""
        return self._at(point, self._smtp)

    def pop3(self, point: str | None = None) -> tuple[Pop3Session, ...]:
        """The POP3 sessions."""
        return self._at(point, self._pop3)

    def imap(self, point: str | None = None) -> tuple[ImapSession, ...]:
        """The IMAP sessions."""
        return self._at(point, self._imap)

    def tls(self, point: str | None = None) -> tuple[TlsHandshake, ...]:
        """The TLS handshakes: names, versions, alerts in the clear."""
        return self._at(point, self._tls)

    def bittorrent(self, point: str | None = None) -> tuple[PeerSession, ...]:
        """The sessions between BitTorrent peers, message by message."""
        return self._at(point, self._bittorrent)

    def announces(self, point: str | None = None) -> tuple[TrackerAnnounce, ...]:
        """The announces to trackers and their answers, over HTTP and UDP."""
        return self._at(point, self._announces)

    def once(self, records: Iterable[_Conversation]) -> tuple[_Conversation, ...]:
        """Each conversation at one point only: its client's, else its server's, else a network's, else the first."""
        kept = tuple(records)
        best: dict[tuple[Endpoint, Endpoint], tuple[tuple[int, int], str]] = {}
        for record in kept:
            ends = (record.client, record.server)
            best[ends] = min(best.get(ends, ((9, 0), "")), (self._rank(record), record.point))
        return tuple(record for record in kept if best[record.client, record.server][1] == record.point)

    def passages(self, start: str, end: str) -> tuple[Passage, ...]:
        """The packets that went from one point to another, with one-way delays, losses and copies."""
        return self.timeline.passages(self.point(start), self.point(end))

    @cached_property
    def timeline(self) -> Timeline:
        """All points as one timeline, in which one packet seen at several is recognised."""
        return Timeline(self.index, self.points)

    def _rank(self, record: Conversation) -> tuple[int, int]:
        point = self.points[self._names.index(record.point)]
        ends = (record.client.host, record.server.host)
        rank = next((rank for rank, host in enumerate(ends) if host in point.addresses), 3)
        return (2 if rank == 3 and point.plane == "network" else rank), point.number

    @cached_property
    def _smtp(self) -> tuple[SmtpDialogue, ...]:
        return smtp.dialogues(self._connections)

    @cached_property
    def _pop3(self) -> tuple[Pop3Session, ...]:
        return pop3.sessions(self._connections)

    @cached_property
    def _imap(self) -> tuple[ImapSession, ...]:
        return imap.sessions(self._connections)

    @cached_property
    def _tls(self) -> tuple[TlsHandshake, ...]:
        return tls.handshakes(self._connections)

    @cached_property
    def _bittorrent(self) -> tuple[PeerSession, ...]:
        return bittorrent.sessions(self._connections)

    @cached_property
    def _announces(self) -> tuple[TrackerAnnounce, ...]:
        return tracker.announces(self.index, self._names, self._http)

    @cached_property
    def _connections(self) -> tuple[Connection, ...]:
        return tcp.connections(self.index, self._names)

    @cached_property
    def _dns_messages(self) -> tuple[DnsMessage, ...]:
        return tuple(dns.messages(self.index, self._names, self._connections))

    @cached_property
    def _dns(self) -> tuple[DnsTransaction, ...]:
        return dns.transactions(self._dns_messages, self._connections)

    @cached_property
    def _http(self) -> tuple[HttpExchange, ...]:
        return http.exchanges(self._connections)

    def _at(self, point: str | None, records: Iterable[_Record]) -> tuple[_Record, ...]:
        if point is None:
            return tuple(records)
        names = {self._names[number] for number in self._numbers(point)}
        return tuple(record for record in records if record.point in names)

    def _numbers(self, name: str) -> set[int]:
        found = {point.number for point in self.points if point.name == name or point.name.startswith(name + ":")}
        if not found:
            raise self._no_point(name, "no such point")
        return found

    def _no_point(self, name: str, problem: str) -> CaptureError:
        known = ", ".join(self._names) or "none"
        return CaptureError(f"point {name!r}: {problem}; known: {known}", remedy="name one of them")


def _line(text: str) -> str:
    """What a file says of itself may be anything; a note is one line."""
    return "".join(char if char.isprintable() else "?" for char in text)
