"""Makes the captures of this folder: real clients and servers in two network namespaces, joined by a bad cable.

Run as root, once, with the packages aiosmtpd and libtorrent and the program tcpdump; `README.md` says what for.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "orchestrator")]

from traffic import Spot, pcapng  # noqa: E402

from appbed.analysis import Capture  # noqa: E402

HOSTS = {"client": "10.77.1.10", "server": "10.77.2.80"}
_LIBC = ctypes.CDLL(None, use_errno=True)
_TUNSETIFF, _TAP_WITHOUT_HEADER = 0x400454CA, 0x1002


@dataclass(frozen=True)
class Cable:
    """What happens to frames on their way: probabilities, and a delay each way in seconds."""

    delay_s: float = 0.01
    loss: float = 0.0
    copies: float = 0.0
    overtaking: float = 0.0
    damage: float = 0.0
    seed: int = 1


def namespace(host: str) -> str:
    return f"captures-{host}"


def tap(host: str) -> int:
    """A TAP interface inside the host's namespace; its other end stays here."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace(host)}", os.O_RDONLY)
    _LIBC.setns(there, 0)
    cable = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(cable, _TUNSETIFF, struct.pack("16sH", b"eth0", _TAP_WITHOUT_HEADER))
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    _LIBC.setns(here, 0)
    os.close(here)
    os.close(there)
    for step in (f"addr add {HOSTS[host]}/8 dev eth0", "link set eth0 up", "link set lo up"):
        subprocess.run(["ip", "-n", namespace(host), *step.split()], check=True)
    return cable


def carry(ends: tuple[int, int], cable: Cable, stop: threading.Event) -> None:
    """Carries frames from one end to the other until told to stop."""
    chance, waiting, number = random.Random(cable.seed), list[tuple[float, int, int, bytes]](), 0
    while not stop.is_set():
        readable, _, _ = select.select(ends, [], [], 0.0005 if waiting else 0.05)
        for end in readable:
            other = ends[1] if end == ends[0] else ends[0]
            frame = os.read(end, 65_536)
            lost, copied, damaged, early = (
                chance.random() < p and frame[12:14] == b"\x08\0"
                for p in (cable.loss, cable.copies, cable.damage, cable.overtaking)
            )
            if damaged:
                at = chance.randrange(34, len(frame))
                frame = frame[:at] + bytes([frame[at] ^ 1 << chance.randrange(8)]) + frame[at + 1 :]
            due = time.monotonic() + cable.delay_s * (0.3 if early else 1)
            for again in range(0 if lost else 2 if copied else 1):
                number += 1
                heapq.heappush(waiting, (due + again * 0.0001, number, other, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(waiting)
            os.write(end, frame)


def session(name: str, cable: Cable, serve: str, ask: str) -> None:
    """Runs one program on each host and keeps what tcpdump saw on both as captures/<name>.pcapng."""
    for host in HOSTS:
        subprocess.run(["ip", "netns", "add", namespace(host)], check=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            record(Path(folder), cable, serve, ask)
            seen = [Capture.open(Path(folder) / f"{host}.pcap") for host in HOSTS]
            spots = [Spot(f"host:{host}:eth0", address) for host, address in HOSTS.items()]
            frames = [
                (point, capture.index.times[packet.number - 1], packet.frame)
                for point, capture in enumerate(seen)
                for packet in capture.packets()
            ]
            (HERE / f"{name}.pcapng").write_bytes(pcapng(spots, sorted(frames, key=lambda frame: frame[1])))
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", namespace(host)], check=True)


def record(folder: Path, cable: Cable, serve: str, ask: str) -> None:
    ends, stop = (tap("client"), tap("server")), threading.Event()
    carrier = threading.Thread(target=carry, args=(ends, cable, stop))
    carrier.start()
    running: list[subprocess.Popen[bytes]] = []

    def start(host: str, *argv: str) -> subprocess.Popen[bytes]:
        inside = ["ip", "netns", "exec", namespace(host), *argv]
        running.append(subprocess.Popen(inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return running[-1]

    def hear(process: subprocess.Popen[bytes], word: bytes) -> None:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert word in line, line

    try:
        for host in HOSTS:
            keep = ("-U", "-i", "eth0", "--nano", "-w", str(folder / f"{host}.pcap"), "ip")
            hear(start(host, "tcpdump", "-Z", "root", "-nn", *keep), b"listening")
        hear(start("server", sys.executable, "-W", "ignore", "-c", serve), b"ready")
        status = start("client", sys.executable, "-c", ask).wait(120)
        assert status == 0, "the client failed"
        time.sleep(1)  # the last acknowledgements
    finally:
        for process in running:
            process.terminate()
            process.wait()
        stop.set()
        carrier.join()
        for end in ends:
            os.close(end)


WEB_SERVER = """
import http.server, random, threading
class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *words): pass
    def do_GET(self):
        if self.headers.get("If-Modified-Since"):
            self.send_response(304); self.end_headers(); return
        size = int(self.path.rpartition("/")[2])
        if not size:
            self.send_error(404); return
        self.send_response(200); self.send_header("Content-Length", str(size)); self.end_headers()
        if self.command == "GET":
            self.wfile.write(random.Random(size).randbytes(size))
    do_HEAD = do_GET
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201); self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
        self.wfile.write(b"5\\r\\nhello\\r\\n" + b"%x\\r\\n%s\\r\\n0\\r\\n\\r\\n" % (len(body), body))
threading.Thread(target=http.server.ThreadingHTTPServer(("", 80), Pages).serve_forever).start()
"""

BULK = """
import http.client
connection = http.client.HTTPConnection("10.77.2.80")
for size in (50_000, 4_000):
    connection.request("GET", f"/{size}")
    assert len(connection.getresponse().read()) == size
"""

OTHER_SERVERS = """
import asyncore, socket, struct, warnings, dns.message, dns.rrset
warnings.simplefilter("ignore")
import smtpd
def answer(wire, small):
    query = dns.message.from_wire(wire)
    response = dns.message.make_response(query)
    name = query.question[0].name
    if name.to_text() == "no.example.": response.set_rcode(3)
    elif name.to_text() == "big.example." and small: response.flags |= dns.flags.TC
    elif name.to_text() == "big.example.":
        response.answer = [dns.rrset.from_text_list(name, 60, "IN", "TXT", [f'"{n:0>200}"' for n in range(12)])]
    else: response.answer = [dns.rrset.from_text(name, 60, "IN", "A", "10.77.2.80")]
    return response.to_wire()
def datagrams():
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); door.bind(("", 53))
    while True:
        wire, who = door.recvfrom(4096); door.sendto(answer(wire, True), who)
def streams():
    door = socket.create_server(("", 53))
    while True:
        peer, _ = door.accept()
        wire = answer(peer.recv(4096)[2:], False)
        peer.sendall(struct.pack(">H", len(wire)) + wire); peer.close()
class Letters(smtpd.SMTPServer):
    def process_message(self, *letter, **more): return None
for serve in (datagrams, streams): threading.Thread(target=serve).start()
Letters(("0.0.0.0", 25), None); threading.Thread(target=asyncore.loop).start()
"""

OTHERS = """
import smtplib, dns.exception, dns.message, dns.query, http.client
for name in ("www.example", "no.example", "big.example", "mail.example", "a.example", "b.example"):
    query = dns.message.make_query(name, "A" if name != "big.example" else "TXT")
    for _ in range(9):
        try: response = dns.query.udp(query, "10.77.2.80", timeout=0.2); break
        except dns.exception.Timeout: pass
    if response.flags & dns.flags.TC: response = dns.query.tcp(query, "10.77.2.80")
connection = http.client.HTTPConnection("10.77.2.80")
for method, path, headers, body in (
    ("GET", "/5000", {}, None), ("GET", "/0", {}, None), ("HEAD", "/700", {}, None), ("POST", "/form", {}, b"x=y" * 900),
    ("GET", "http://www.example/321", {}, None), ("GET", "/5000", {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
):
    connection.request(method, path, body, headers); connection.getresponse().read()
connection.close()
with smtplib.SMTP("10.77.2.80") as postman:
    for number in range(2):
        postman.sendmail("alice@crepes.fr", ["bob@hamburger.edu"], f"Subject: {number}\\r\\n\\r\\n.dot\\r\\n" + "word " * 300)
"""

SWARM = """
import libtorrent, time, sys, random, tempfile, pathlib
folder = pathlib.Path(tempfile.mkdtemp())
content = random.Random(4).randbytes(65_536)
(pathlib.Path(folder) / "file").write_bytes(content)
files = libtorrent.file_storage(); libtorrent.add_files(files, str(folder / "file"))
torrent = libtorrent.create_torrent(files, 16_384, libtorrent.create_torrent.v1_only)
torrent.add_tracker("http://10.77.2.80:6969/announce"); libtorrent.set_piece_hashes(torrent, str(folder))
info = libtorrent.torrent_info(torrent.generate())
def peer(address, save):
    session = libtorrent.session({
        "listen_interfaces": address + ":6881", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
        "enable_natpmp": False, "enable_outgoing_utp": False, "enable_incoming_utp": False,
        "in_enc_policy": 2, "out_enc_policy": 2,
    })
    return session, session.add_torrent({"ti": info, "save_path": str(save)})
"""

SWARM_SERVER = """
import http.server, threading, socket
class Tracker(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        peers = b"".join(socket.inet_aton(a) + b"\\x1a\\xe1" for a in ("10.77.2.80", "10.77.1.10"))
        body = b"d8:completei1e10:incompletei1e8:intervali60e5:peers12:" + peers + b"e"
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
threading.Thread(target=http.server.ThreadingHTTPServer(("", 6969), Tracker).serve_forever).start()
session, handle = peer("10.77.2.80", folder)
while not handle.status().is_seeding: time.sleep(0.01)
"""

SWARM_CLIENT = """
session, handle = peer("10.77.1.10", tempfile.mkdtemp())
while not handle.status().is_seeding: time.sleep(0.01)
session.remove_torrent(handle); time.sleep(0.3); del session
"""

READY = "\nprint('ready', flush=True)\nthreading.Event().wait()\n"

if __name__ == "__main__":
    session("loss", Cable(loss=0.12, seed=11), WEB_SERVER + READY, BULK)
    session("bad", Cable(loss=0.06, copies=0.06, overtaking=0.1, damage=0.06, seed=8), WEB_SERVER + READY, BULK)
    session("mix", Cable(loss=0.03, seed=6), WEB_SERVER + OTHER_SERVERS + READY, OTHERS)
    session("swarm", Cable(delay_s=0.002), SWARM + SWARM_SERVER + READY, SWARM + SWARM_CLIENT)
