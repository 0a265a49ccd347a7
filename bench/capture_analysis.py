"""The analysis of captures beside tshark, dpkt and scapy on the same files; bench/capture.py runs it.

A reader that is not installed is left out, and a bar that compares with it is then not met. Every reader runs in a
process of its own, `ROUNDS` times in turn with the others; the median counts, of wall time with the process's start.
"""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
PATHS = [str(HERE.parent / "orchestrator"), str(HERE.parent / "tests" / "analysis")]
sys.path[:0] = PATHS

import dns.message  # noqa: E402
import dns.rrset  # noqa: E402
from capture_figures import Figure  # noqa: E402
from traffic import START_NS, Talk, Timed, pcap, udp  # noqa: E402

ROUNDS = 3
PACKETS = 150_000
MIX_BYTES = 100_000_000
SCAPY_PACKETS = 20_000
"""scapy takes half a minute for all of them; its speed does not depend on how many there are."""

INDEX_FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport",
                "frame.len", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags")  # fmt: skip
RECORD_FIELDS = ("frame.number", "frame.time_epoch", "tcp.stream", "tcp.analysis.retransmission", "dns.id", "dns.flags",
                 "dns.qry.name", "dns.a", "dns.resp.ttl", "http.request.method", "http.request.uri", "http.host",
                 "http.response.code", "http.content_length", "bittorrent.msg.type", "bittorrent.piece.index",
                 "bittorrent.piece.begin")  # fmt: skip

INDEX = """
from appbed.analysis import Capture
packets = len(Capture.open({file!r}).index)
assert packets == {packets}, packets
"""
RECORDS = """
from appbed.analysis import Capture
capture = Capture.open({file!r})
rows = [(c.start_s, c.number, c.retransmissions) for c in capture.connections()]
rows += [(m.time_s, m.id, m.flags, m.question, [(r.value, r.ttl_s) for r in m.answer]) for m in capture.dns_messages()]
rows += [(e.start_s, e.request.method, e.request.target, e.request.host, e.status, e.response.header("Content-Length"))
         for e in capture.http() if e.response is not None]
rows += [(m.start_s, m.kind, m.piece, m.begin) for s in capture.bittorrent() for m in s.messages]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))  # getrusage would count the parent's, too
print(len(rows), int(status["VmHWM"].split()[0]) * 1024)
"""
DPKT = """
import dpkt
with open({file!r}, "rb") as file:
    packets = 0
    for _, frame in dpkt.pcap.Reader(file):
        packet = dpkt.ethernet.Ethernet(frame).data
        packets += bool(packet.src and packet.dst and packet.data.sport)
assert packets == {packets}, packets
"""
SCAPY = """
import scapy.layers.inet, scapy.layers.l2
from scapy.utils import PcapReader
packets = sum(1 for packet in PcapReader({file!r}))
assert packets == {packets}, packets
"""


def datagrams_and_segments(count: int) -> bytes:
    """Half datagrams of 200 bytes, half segments of long TCP connections, in turn."""
    payload = random.Random(1).randbytes(200)
    frames: list[Timed] = []
    talks = [Talk(client=("10.77.1.10", 40_000 + number)).open() for number in range(50)]
    for number in range(count // 2):
        frames.append((0, udp("10.77.1.10", 5_000 + number % 500, "10.77.2.80", 7_000, payload, number)))
        talk = talks[number % len(talks)]
        frames.append((0, talk.segment("client", talk.sent["client"], 0x18, payload)))
        talk.sent["client"] += len(payload)
    return pcap([(START_NS + at * 20_000, frame) for at, (_, frame) in enumerate(frames)])


def mix(size: int) -> bytes:
    """HTTP pages over persistent connections, BitTorrent pieces and DNS, interleaved; half, 4 and 1 tenths of the bytes."""
    conversations, made, number, chance = list[list[Timed]](), 0, 0, random.Random(2)
    while made < size:
        kind = (pages, lookups, pieces)[number % 3]
        start_ns = START_NS + number * 3_000_000
        conversations.append(kind(number, start_ns, chance))
        made += sum(len(frame) for _, frame in conversations[-1])
        number += 1
    return pcap(sorted((frame for frames in conversations for frame in frames), key=lambda frame: frame[0]))


def pages(number: int, start_ns: int, chance: random.Random) -> list[Timed]:
    talk = Talk(client=("10.77.1.10", 10_000 + number), now_ns=start_ns).open()
    for page in range(12):
        body = chance.randbytes(chance.choice((2_000, 9_000, 40_000)))
        talk.say("client", b"GET /page/%d HTTP/1.1\r\nHost: www.umass.edu\r\nUser-Agent: bench\r\n\r\n" % page)
        talk.say("server", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nServer: bench\r\n\r\n" % len(body) + body)
    return talk.close("server").frames


def pieces(number: int, start_ns: int, chance: random.Random) -> list[Timed]:
    hello = b"\x13BitTorrent protocol" + bytes(8) + b"h" * 20 + b"-XX0000-%012d"
    talk = Talk(("10.77.3.10", 10_000 + number), ("10.77.3.11", 6_881), now_ns=start_ns).open()
    talk.say("client", hello % 1).say("server", hello % 2)
    for piece in range(10):
        talk.say("client", struct.pack(">IBIII", 13, 6, piece, 0, 16_384))
        talk.say("server", struct.pack(">IBII", 16_393, 7, piece, 0) + chance.randbytes(16_384))
        talk.say("client", struct.pack(">IBI", 5, 4, piece))
    return talk.close().frames


def lookups(number: int, start_ns: int, chance: random.Random) -> list[Timed]:
    frames = []
    for at in range(120):
        query = dns.message.make_query(f"host{at}.zone{number}.example", "A", id=chance.randrange(65_536))
        response = dns.message.make_response(query)
        name = query.question[0].name
        response.answer = [dns.rrset.from_text(name, 60, "IN", "A", f"10.0.{number % 250}.{at}", "10.0.0.1")]
        response.authority = [dns.rrset.from_text(f"zone{number}.example.", 60, "IN", "NS", "ns.example.")]
        ends, port = ("10.77.1.10", "10.77.1.53"), 20_000 + chance.randrange(40_000)
        frames.append((start_ns + at * 100_000, udp(ends[0], port, ends[1], 53, query.to_wire())))
        frames.append((start_ns + at * 100_000 + 50_000, udp(ends[1], 53, ends[0], port, response.to_wire())))
    return frames


def python(script: str, file: Path, packets: int) -> list[str]:
    return [sys.executable, "-c", script.format(file=str(file), packets=packets)]


def tshark(file: Path, fields: tuple[str, ...]) -> list[str]:
    return ["tshark", "-n", "-r", str(file), "-T", "fields", *(part for field in fields for part in ("-e", field))]


def run(argv: list[str]) -> tuple[float, str]:
    """Wall seconds and output; to a file, for a pipe would slow the writer."""
    with tempfile.TemporaryFile("w+") as output:
        begun = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}
        subprocess.run(argv, check=True, stdout=output, stderr=subprocess.DEVNULL, env=environment)
        took_s = time.perf_counter() - begun
        output.seek(0)
        return took_s, output.read(100)


def medians(readers: dict[str, list[str]]) -> tuple[dict[str, float], dict[str, str]]:
    """Each reader's median time and its last output; the readers take turns, so that a busy minute hits all."""
    times: dict[str, list[float]] = {name: [] for name in readers}
    said: dict[str, str] = {}
    for _ in range(ROUNDS):
        for name, argv in readers.items():
            took_s, said[name] = run(argv)
            times[name].append(took_s)
    return {name: median(each) for name, each in times.items()}, said


def measure_index(folder: Path) -> list[Figure]:
    whole, part = folder / "packets.pcap", folder / "part.pcap"
    data = datagrams_and_segments(PACKETS)
    whole.write_bytes(data)
    part.write_bytes(data[: 24 + (len(data) - 24) * SCAPY_PACKETS // PACKETS])
    readers = {"appbed": python(INDEX, whole, PACKETS)}
    if shutil.which("tshark"):
        readers["tshark -T fields"] = tshark(whole, INDEX_FIELDS)
    if importlib.util.find_spec("dpkt"):
        readers["dpkt"] = python(DPKT, whole, PACKETS)
    if importlib.util.find_spec("scapy"):
        readers["scapy PcapReader"] = python(SCAPY, part, SCAPY_PACKETS)
    times, _ = medians(readers)
    rates = {n: (SCAPY_PACKETS if "scapy" in n else PACKETS) / took_s for n, took_s in times.items()}
    ours = rates["appbed"]
    figures = [Figure("index of 150 000 packets", "packets/s", round(ours), ">= 150000", ours >= 150_000)]
    for name, factor in (("tshark -T fields", 3), ("scapy PcapReader", 20), ("dpkt", None)):
        ratio = ours / rates[name] if name in rates else None
        bar = f">= {factor}" if factor else None
        met = None if factor is None else ratio is not None and ratio >= factor
        figures.append(Figure(f"{name}, the same file", "packets/s", round(rates[name]) if ratio else None, None, None))
        figures.append(Figure(f"index, times {name}", "", round(ratio, 1) if ratio else None, bar, met))
    return figures


def measure_records(folder: Path) -> list[Figure]:
    file = folder / "mix.pcap"
    file.write_bytes(mix(MIX_BYTES))
    megabytes = file.stat().st_size / 1e6
    readers = {"appbed": python(RECORDS, file, 0)}
    if shutil.which("tshark"):
        readers["tshark"] = tshark(file, RECORD_FIELDS)
    times, said = medians(readers)
    peak_mb = int(said["appbed"].split()[1]) / 1e6
    theirs = times.get("tshark")
    figures = [Figure(f"full records of a {megabytes:.0f} MB mix", "s", round(times["appbed"], 2), None, None)]
    if theirs:
        figures.append(Figure("tshark, the same fields", "s", round(theirs, 2), None, None))
    ratio = theirs / times["appbed"] if theirs else None
    met = ratio is not None and ratio >= 1
    figures.append(Figure("full records, speed times tshark", "", round(ratio, 2) if ratio else None, ">= 1", met))
    figures.append(Figure("full records, memory at most", "MB", round(peak_mb), "< 300", peak_mb < 300))
    return figures


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return measure_index(Path(folder)) + measure_records(Path(folder))
