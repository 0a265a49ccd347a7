"""One pass over a capture: a row of numbers for each packet, kept in arrays; every other analysis starts here."""

from __future__ import annotations

import itertools
import operator
import struct
from array import array
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

from appbed.analysis.fragments import Defragmenter
from appbed.analysis.layers import TCP, UDP, UNREAD, Layers, dissect, transport
from appbed.analysis.pcap import Reader

# Ethernet, IPv4 without options and the first 16 bytes of TCP or UDP, from the EtherType on.
_COMMON = struct.Struct(">HBxHxxHxBxx4s4sHHIIBBH")
_COMMON_BYTES = 12 + _COMMON.size


class Index:
    """The packets of a capture as columns; row numbers are packet numbers, from 0, in the order of the file.

    About 70 bytes a packet. Columns: `times` (ns since 1970), `points`, `frames` (position in the buffer), `captured`
    and `lengths` (bytes of the frame, kept and sent), `kinds` (layers.Layers.kind), `sources` and `destinations`
    (rows of `addresses`), ports, `transports` and `payloads_at` (positions in the frame), `payloads` (bytes sent),
    and TCP's `seqs`, `acks`, `flags`, `windows`.
    """

    def __init__(self, reader: Reader) -> None:
        self.buffer = reader.buffer
        self.times, self.frames = array("q"), array("Q")
        self.points, self.kinds, self.flags, self.windows = array("H"), array("H"), array("H"), array("H")
        self.captured, self.lengths, self.payloads = array("I"), array("I"), array("I")
        self.sources, self.destinations, self.seqs, self.acks = array("I"), array("I"), array("I"), array("I")
        self.source_ports, self.destination_ports = array("H"), array("H")
        self.transports, self.payloads_at = array("H"), array("H")
        self.addresses: list[bytes] = []
        self._address_rows: dict[bytes, int] = {}
        self._names: dict[int, str] = {}
        self._assembled: dict[int, bytes] = {}
        self._odd: Counter[str] = Counter()
        self._scan(reader)
        self.order = self._in_time()
        self.faults = (*reader.faults, *(f"{count} packets: {what}" for what, count in self._odd.items()))

    def __len__(self) -> int:
        return len(self.times)

    def name(self, row: int) -> str:
        """The address in that row of `addresses`, as people write it; "" for a packet that has none."""
        name = self._names.get(row)
        if name is None:
            address = self.addresses[row]
            name = self._names[row] = str(ip_address(address)) if address else ""
        return name

    def frame(self, number: int) -> bytes:
        """The captured bytes of one packet, link header included."""
        at = self.frames[number]
        return self.buffer[at : at + self.captured[number]]

    def payload(self, number: int, skip: int = 0, count: int | None = None) -> bytes:
        """The captured bytes of the transport payload, or `count` of them from `skip` on."""
        size = self.payload_captured(number)
        stop = size if count is None else min(skip + count, size)
        if number in self._assembled:
            return self._assembled[number][self.payloads_at[number] :][skip:stop]
        at = self.frames[number] + self.payloads_at[number]
        return self.buffer[at + skip : at + stop] if stop > skip else b""

    def payload_captured(self, number: int) -> int:
        """How many bytes of the transport payload the capture holds (a snap length cuts some off)."""
        if number in self._assembled:
            return max(min(self.payloads[number], len(self._assembled[number]) - self.payloads_at[number]), 0)
        return max(min(self.payloads[number], self.captured[number] - self.payloads_at[number]), 0)

    def transport_bytes(self, number: int) -> bytes:
        """Transport header and payload, as far as captured."""
        size = self.payloads_at[number] - self.transports[number] + self.payload_captured(number)
        if number in self._assembled:
            return self._assembled[number][:size]
        at = self.frames[number] + self.transports[number]
        return self.buffer[at : at + size]

    def time_s(self, number: int) -> float:
        """When the packet was captured, in seconds since 1970."""
        return self.times[number] / 1e9

    def _in_time(self) -> array[int]:
        """Packet numbers by time stamp: the file's order unless several points were written side by side."""
        times, numbers = self.times, range(len(self.times))
        in_order = all(map(operator.le, times, itertools.islice(times, 1, None)))
        return array("I", numbers if in_order else sorted(numbers, key=times.__getitem__))

    def _scan(self, reader: Reader) -> None:
        """Fills the columns; the commonest frames take the short way, all others `_dissected`."""
        buffer, safe_end, links = self.buffer, len(self.buffer) - _COMMON_BYTES, reader.link_types
        unpack, rows, add_row = _COMMON.unpack_from, self._address_rows, self._row_writer()
        defragmenter = Defragmenter()
        self._address_row(b"")
        for point, time_ns, at, captured, length in reader:
            if captured >= 42 and at <= safe_end and links[point] == 1:
                (ethertype, version, total, fragment, protocol, source, destination, sport, dport,
                 seq, ack, offset, flags, window) = unpack(buffer, at + 12)  # fmt: skip
                if ethertype == 0x0800 and version == 0x45 and not fragment & 0x3FFF:
                    if protocol == TCP:
                        payload_at = 34 + (offset >> 4) * 4
                        payload = total + 14 - payload_at
                        common = 54 <= payload_at <= captured and payload >= 0
                    else:
                        payload_at, payload, ack, flags, window = 42, total - 28, 0, 0, 0
                        common = protocol == UDP and seq >> 16 == total - 20 and payload >= 0
                    if common:
                        source_row = rows.get(source)
                        if source_row is None:
                            source_row = self._address_row(source)
                        destination_row = rows.get(destination)
                        if destination_row is None:
                            destination_row = self._address_row(destination)
                        add_row(
                            point, time_ns, at, captured, length, protocol, source_row, destination_row, sport, dport,
                            34, payload_at, payload, seq, ack, flags, window,
                        )  # fmt: skip
                        continue
            found = self._dissected(buffer[at : at + captured], links[point], point, time_ns, defragmenter)
            add_row(
                point, time_ns, at, captured, length, found.kind,
                self._address_row(found.source), self._address_row(found.destination),
                found.source_port, found.destination_port, found.transport_at, found.payload_at, found.payload,
                found.seq, found.ack, found.flags, found.window,
            )  # fmt: skip
        if defragmenter.unfinished:
            self._odd["fragments of datagrams that were never complete"] += defragmenter.unfinished

    def _dissected(self, frame: bytes, link: int, point: int, time_ns: int, defragmenter: Defragmenter) -> Layers:
        """The row of an uncommon frame; the fragment that completes a packet becomes that packet."""
        found = dissect(frame, link)
        if found.fragment is not None:
            whole = defragmenter.add(point, time_ns, found.fragment, frame[found.payload_at :][: found.payload])
            if whole is not None:
                protocol = found.fragment.packet[2]
                found = transport(whole, 0, len(whole), protocol, found.source, found.destination)
                self._assembled[len(self.times)] = whole
        if found.fault:
            self._odd[found.fault] += 1
        if found.payload_at > 0xFFFF:
            self._odd["headers longer than 65 535 bytes"] += 1
            return Layers(UNREAD)
        return found

    def _address_row(self, address: bytes) -> int:
        row = self._address_rows.setdefault(address, len(self.addresses))
        if row == len(self.addresses):
            self.addresses.append(address)
        return row

    def _row_writer(self) -> Callable[..., None]:
        """Appends one row, its columns in a fixed order; bound once, because this runs for each packet."""
        add_point, add_time, add_frame = self.points.append, self.times.append, self.frames.append
        add_captured, add_length, add_kind = self.captured.append, self.lengths.append, self.kinds.append
        add_source, add_destination = self.sources.append, self.destinations.append
        add_source_port, add_destination_port = self.source_ports.append, self.destination_ports.append
        add_transport, add_payload_at, add_payload = (
            self.transports.append, self.payloads_at.append, self.payloads.append)  # fmt: skip
        add_seq, add_ack, add_flags, add_window = (
            self.seqs.append, self.acks.append, self.flags.append, self.windows.append)  # fmt: skip

        def add_row(
            point: int, time_ns: int, at: int, captured: int, length: int, kind: int, source: int, destination: int,
            source_port: int, destination_port: int, transport_at: int, payload_at: int, payload: int,
            seq: int, ack: int, flags: int, window: int,
        ) -> None:  # fmt: skip
            add_point(point)
            add_time(time_ns)
            add_frame(at)
            add_captured(captured)
            add_length(length)
            add_kind(kind)
            add_source(source)
            add_destination(destination)
            add_source_port(source_port)
            add_destination_port(destination_port)
            add_transport(transport_at)
            add_payload_at(payload_at)
            add_payload(payload)
            add_seq(seq)
            add_ack(ack)
            add_flags(flags)
            add_window(window)

        return add_row
