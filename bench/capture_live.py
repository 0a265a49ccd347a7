"""Capturing itself, beside tcpdump: frames kept at 50 000/s, and what a capture does to the traffic it looks at.

bench/capture.py runs it, as root. Two namespaces that end with this process, joined by a veth pair: the sender in one, receiver
and capture in the other, all on the same processors. The capture is the agent's own process, started as the agent starts it.
Every round counts, none is chosen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "orchestrator"), str(HERE)]
os.environ["PYTHONPATH"] = str(HERE.parent / "orchestrator")

from capture_figures import Figure  # noqa: E402
from capture_traffic import PAYLOAD, own_namespace  # noqa: E402

from appbed.agent.captures import Captures  # noqa: E402
from appbed.agent.door import Door  # noqa: E402
from appbed.analysis import Capture  # noqa: E402

RATE, EFFECT_RATE = 50_000, 20_000
RECEIVER, SENDER, INTERFACE = "10.9.9.1", "10.9.9.2", "tap0"
TRAFFIC = [sys.executable, str(HERE / "capture_traffic.py")]


@dataclass(frozen=True)
class Kept:
    """What became of the frames of one round."""

    offered: int
    per_s: float
    kept: int
    dropped: int


@contextlib.contextmanager
def wire() -> Iterator[list[str]]:
    """A cable from here to a namespace beyond; the words that run a command there."""
    own_namespace()
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as beyond:
        assert beyond.stdin is not None
        assert beyond.stdout is not None
        beyond.stdout.readline()
        there = ["nsenter", "--net", f"--target={beyond.pid}"]
        ip("link", "add", INTERFACE, "type", "veth", "peer", "name", "eth0", "netns", str(beyond.pid))
        for words, device, address in (([], INTERFACE, RECEIVER), (there, "eth0", SENDER)):
            ip("address", "add", f"{address}/24", "dev", device, words=words)
            ip("link", "set", device, "up", words=words)
        ip("neighbour", "replace", RECEIVER, "lladdr", mac(), "dev", "eth0", words=there)
        try:
            yield there
        finally:
            beyond.stdin.close()


def ip(*argv: str, words: list[str] | None = None) -> None:
    subprocess.run([*(words or []), "ip", *argv], check=True)


def mac() -> str:
    shown = subprocess.run(["ip", "-json", "link", "show", INTERFACE], check=True, capture_output=True).stdout
    return str(json.loads(shown)[0]["address"])


def sent(there: list[str], rate: int, seconds: float) -> tuple[int, float]:
    """How many datagrams went, and how many in a second."""
    argv = [*there, *TRAFFIC, "send", RECEIVER, str(rate), str(seconds)]
    count, took_s = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    return int(count), int(count) / float(took_s)


@contextlib.contextmanager
def receiver() -> Iterator[list[int]]:
    """Counts what comes; the count is there after the block."""
    found: list[int] = []
    with subprocess.Popen(
        [*TRAFFIC, "receive", RECEIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        yield found
        out, _ = run.communicate()
        found.append(int(out))


class Ours:
    """The agent's capture process at the receiver's interface."""

    def __init__(self, folder: Path, offered: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._captures = Captures(Door(None), folder)  # type: ignore[arg-type]  # nobody asks the door: the point is here
        self.kept = Kept(0, 0, 0, 0)

    def __enter__(self) -> Ours:
        point = {"name": f"host:receiver:{INTERFACE}", "interface": INTERFACE, "description": RECEIVER}
        self._loop.run_until_complete(self._captures.start("bench", [(point, None)], {"filter": "udp port 9"}))
        return self

    def __exit__(self, *_: object) -> None:
        said = self._loop.run_until_complete(self._captures.stop("bench"))
        self._loop.close()
        (file,) = said["files"]
        capture = Capture.open(file)
        assert capture.drops == said["points"][0]["dropped"], "the file says what the process said"
        assert len(capture.packets()) == said["points"][0]["frames"]
        self.kept = Kept(0, 0, len(capture.packets()), capture.drops or 0)
        Path(file).unlink()


class Tcpdump:
    """tcpdump at the same place with a buffer as large; it ends by itself when it has as many frames as were offered."""

    def __init__(self, folder: Path, offered: int) -> None:
        self._file, self._offered = folder / "tcpdump.pcap", offered
        self.kept = Kept(0, 0, 0, 0)

    def __enter__(self) -> Tcpdump:
        argv = [
            "tcpdump",
            "-i",
            INTERFACE,
            "-n",
            "-s",
            "0",
            "-B",
            "65536",
            "-Z",
            "root",
            "-w",
            str(self._file),
            "udp port 9",
        ]
        self._process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        while "listening on" not in self._process.stderr.readline():
            assert self._process.poll() is None, "tcpdump ended"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            said = self._process.communicate(timeout=5)[1]
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGINT)
            said = self._process.communicate()[1]
        captured, dropped = (
            int(re.findall(rf"(\d+) packets {what}", said)[0]) for what in ("captured", "dropped by kernel")
        )
        self.kept = Kept(0, 0, captured, dropped)
        self._file.unlink()


def measure_kept(there: list[str], folder: Path, rounds: int, seconds: float) -> list[Figure]:
    """Each at the same rate, in turn; a capture that lost a frame in any round has not met its bar."""
    kinds = {"appbed": Ours, **({"tcpdump": Tcpdump} if shutil.which("tcpdump") else {})}
    seen: dict[str, list[Kept]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            with receiver(), kind(folder, int(RATE * seconds)) as tool:
                offered, per_s = sent(there, RATE, seconds)
            seen[name].append(Kept(offered, per_s, tool.kept.kept, tool.kept.dropped))
            print(name, seen[name][-1], flush=True)
    figures = []
    for name, all_of in seen.items():
        rate = min(kept.per_s for kept in all_of)
        lost = sum(kept.offered - kept.kept for kept in all_of)
        what = f"{len(PAYLOAD)}-byte payload, {seconds:.0f} s x {rounds}, {name}"
        # the pace is the sender's: it may be a thousandth late, not more
        figures.append(Figure(f"offered, {what}", "frames/s", round(rate), f">= {RATE}", rate >= RATE * 0.999))
        figures.append(Figure(f"frames lost, {what}", "frames", lost, "0", lost == 0))
    return figures


def measure_effect(there: list[str], folder: Path, rounds: int, seconds: float) -> list[Figure]:
    """What the receiver lost with and without a capture, in turn."""
    lost: dict[bool, list[int]] = {False: [], True: []}
    for _ in range(rounds):
        for captured in (False, True):
            with receiver() as came, Ours(folder, 0) if captured else contextlib.nullcontext():
                offered, _ = sent(there, EFFECT_RATE, seconds)
            lost[captured].append(offered - came[0])
    print("lost without and with a capture", lost, flush=True)
    without, using = (statistics.median(lost[captured]) for captured in (False, True))
    worst = max(lost[False])  # what a capture adds can be measured once it is more than what happens without one
    what = f"receiver's losses at {EFFECT_RATE}/s, {seconds:.0f} s, median of {rounds}"
    return [
        Figure(f"{what}, no capture", "frames", without, None, None),
        Figure(f"{what}, captured", "frames", using, f"<= {worst}", using <= worst),
    ]


def figures(rounds: int, seconds: float) -> list[Figure]:
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # all of them alike: what else this machine does is not measured
    with tempfile.TemporaryDirectory() as folder, wire() as there:
        kept = measure_kept(there, Path(folder), rounds, seconds)
        return kept + measure_effect(there, Path(folder), rounds, seconds)
