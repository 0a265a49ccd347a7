"""Real capture processes in a throw-away namespace: what is sent is what is kept, and what goes wrong is said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from appbed.agent import door
from appbed.agent.captures import Captures, checked
from appbed.agent.door import Door, Found
from appbed.analysis import Capture
from appbed.errors import AgentError, AppbedError, InputError

pytestmark = pytest.mark.thorough  # real processes and rings

ETHERTYPE = 0x88B5  # for local experiments: nobody else sends it
HEADER = b"\xff" * 6 + b"\2" * 6 + ETHERTYPE.to_bytes(2, "big")
# Without IPv6 nothing is sent but what a test sends.
QUIET = "for each in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$each; done; echo; read _"
_T = TypeVar("_T")


class Wire:
    """A namespace with a veth pair, near and far; stands in for the door, and sends frames from far to near."""

    def __init__(self, pid: int) -> None:
        self.host = Found(pid, 0, 0)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        for name in ("near", "far"):
            self.ip("link", "set", name, "up")

    def close(self) -> None:
        os.close(self._home)

    def ip(self, *argv: str) -> None:
        subprocess.run(["nsenter", "--net", f"--target={self.host.pid}", "ip", *argv], check=True)

    def socket(self, host: Found, kind: str) -> socket.socket:
        return socket.socket(fileno=door._open(host.pid, kind, self._home))

    def send(self, count: int, size: int = 200, first: int = 0) -> None:
        """Numbered frames."""
        with self.socket(self.host, "packet") as out:
            out.bind(("far", ETHERTYPE))
            for number in range(first, first + count):
                out.send(HEADER + number.to_bytes(4, "big") + bytes(size - 18))


@pytest.fixture
def wire() -> Iterator[Wire]:
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", QUIET], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as inside:
        assert inside.stdin is not None
        assert inside.stdout is not None
        inside.stdout.readline()
        with contextlib.closing(Wire(inside.pid)) as made:
            yield made
        inside.stdin.close()


class Agent:
    """Captures, as the agent holds them; all calls in one loop."""

    def __init__(self, wire: Wire, out: Path) -> None:
        self.wire = wire
        self.captures = Captures(cast(Door, wire), out)
        self._loop = asyncio.new_event_loop()

    def does(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(work)

    def start(self, *interfaces: str, name: str = "c", **options: object) -> None:
        points = [
            ({"name": f"host:{each}:{each}", "interface": each, "description": "10.0.0.1"}, self.wire.host)
            for each in interfaces
        ]
        self.does(self.captures.start(name, cast(Any, points), options))

    def stop(self, name: str = "c") -> dict[str, Any]:
        return self.does(self.captures.stop(name))

    def process(self, name: str = "c") -> asyncio.subprocess.Process:
        return self.captures._running[name].process

    def close(self) -> None:
        for name in self.captures.names():
            self.stop(name)
        self._loop.close()


@pytest.fixture
def agent(wire: Wire, tmp_path: Path) -> Iterator[Agent]:
    with contextlib.closing(Agent(wire, tmp_path)) as made:
        yield made


def read(said: dict[str, Any]) -> Capture:
    return Capture.open(said["files"])


def numbers(capture: Capture) -> list[int]:
    return [int.from_bytes(packet.frame[14:18], "big") for packet in capture.packets()]


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.root
def test_every_frame_is_kept_from_the_moment_it_is_ready(agent: Agent) -> None:
    agent.start("near")
    before_ns = time.time_ns()
    agent.wire.send(5000)
    said = agent.stop()
    assert said["points"] == [{"name": "host:near:near", "frames": 5000, "dropped": 0}]
    assert said["problem"] == ""
    capture = read(said)
    assert numbers(capture) == list(range(5000))
    times = list(capture.index.times)
    assert before_ns <= times[0] <= times[-1] <= time.time_ns()
    assert times == sorted(times)
    assert any(time_ns % 1000 for time_ns in times), "the kernel's nanoseconds are kept"
    (point,) = capture.points
    assert (point.name, point.address, point.plane) == ("host:near:near", "10.0.0.1", "host")
    assert (point.received, point.dropped, point.delivered, capture.notes) == (5000, 0, 5000, ())
    assert said["bytes"] == Path(said["files"][0]).stat().st_size


@pytest.mark.root
def test_all_points_have_one_clock(agent: Agent) -> None:
    agent.start("far", "near")
    agent.wire.send(200)
    capture = read(agent.stop())
    times = {point: [p.time_s for p in capture.packets(point)] for point in ("host:far", "host:near")}
    delays = [there - here for here, there in zip(times["host:far"], times["host:near"], strict=True)]
    assert len(delays) == 200
    assert min(delays) >= 0, "what was sent arrives later"
    assert sorted(delays)[100] < 0.01, "a veth takes microseconds; clocks that differ would show"


@pytest.mark.root
def test_snap_length_keeps_the_true_length(agent: Agent) -> None:
    agent.start("near", snaplen=60)
    agent.wire.send(3, size=1000)
    packets = read(agent.stop()).packets()
    assert [(packet.captured, packet.length) for packet in packets] == [(60, 1000)] * 3


@pytest.mark.root
def test_a_filter_keeps_what_it_names(agent: Agent) -> None:
    agent.start("near", filter="ether proto 0x88b5 and greater 100")
    agent.wire.send(3, size=60)
    agent.wire.send(2, size=200, first=3)
    assert numbers(read(agent.stop())) == [3, 4]


@pytest.mark.root
def test_a_tag_the_kernel_took_out_is_put_back(agent: Agent) -> None:
    agent.start("near", snaplen=100)
    tagged = HEADER[:12] + b"\x81\0\x20\x07" + HEADER[12:] + b"vlan" + bytes(200)
    with agent.wire.socket(agent.wire.host, "packet") as out:
        out.bind(("far", ETHERTYPE))
        out.send(tagged)
    (found,) = (packet for packet in read(agent.stop()).packets() if b"vlan" in packet.frame)
    assert (found.frame, found.length) == (tagged[:100], len(tagged))


@pytest.mark.root
def test_of_a_limited_capture_the_newest_files_stay(agent: Agent, tmp_path: Path) -> None:
    agent.start("near", filesize="64KiB", files=3)
    agent.wire.send(3000)
    said = agent.stop()
    kept = numbers(read(said))
    assert len(said["files"]) == 3
    assert kept == list(range(3000 - len(kept), 3000))
    assert said["points"][0] == {
        "name": "host:near:near", "frames": len(kept), "dropped": 0, "discarded": 3000 - len(kept)
    }  # fmt: skip
    assert said["bytes"] <= 3 * (65_536 + 200)
    assert sorted(map(str, tmp_path.iterdir())) == said["files"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "appbed", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a process may still be ending


@pytest.mark.root
def test_a_full_disk_ends_it_and_keeps_what_was_written(wire: Wire, small_disk: Path) -> None:
    with contextlib.closing(Agent(wire, small_disk)) as agent:
        agent.start("near")
        wire.send(8000)
        agent.does(asyncio.wait_for(agent.process().wait(), 20))  # it ends by itself
        said = agent.stop()
    assert said["problem"].startswith("capture 'c': No space left on device: it ended before it was stopped")
    capture = read(said)
    kept = numbers(capture)
    assert kept == list(range(len(kept)))
    assert said["points"][0]["frames"] == len(kept) > 3500
    assert capture.faults == ()
    assert capture.drops == 0, "the statistics had room"
    assert any("No space left on device" in note for note in capture.incomplete)
    assert any("were captured and are not here" in note for note in capture.incomplete)


@pytest.mark.root
def test_a_full_disk_ends_a_limited_capture_too(wire: Wire, small_disk: Path) -> None:
    with contextlib.closing(Agent(wire, small_disk)) as agent:
        agent.start("near", filesize="64KiB", files=100)
        wire.send(8000)
        agent.does(asyncio.wait_for(agent.process().wait(), 20))
        said = agent.stop()
    assert said["problem"].startswith("capture 'c': No space left on device: it ended before it was stopped")
    capture = read(said)
    kept = numbers(capture)
    assert kept == list(range(len(kept)))
    assert said["points"][0]["frames"] == len(kept) > 3000
    assert (capture.faults, capture.drops) == ((), 0)
    assert any("No space left on device" in note for note in capture.incomplete)


@pytest.mark.root
def test_the_statistics_have_room_on_a_disk_that_others_filled(wire: Wire, small_disk: Path) -> None:
    with contextlib.closing(Agent(wire, small_disk)) as agent:
        agent.start("far", "near")
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "ballast").write_bytes(bytes(1 << 20))  # as much of it as fits
        wire.send(100)
        agent.does(asyncio.wait_for(agent.process().wait(), 20))
        said = agent.stop()
    assert "No space left" in said["problem"]
    capture = read(said)
    assert len(capture.packets()) == sum(point["frames"] for point in said["points"]) < 50
    assert [point.dropped for point in capture.points] == [0, 0]
    assert capture.faults == ()


@pytest.mark.root
def test_a_disk_that_is_full_before_is_refused(wire: Wire, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes((1 << 20) - 4096))
    before = children()
    with (
        contextlib.closing(Agent(wire, small_disk)) as agent,
        pytest.raises(AgentError, match=r"capture: .*No space left on device"),
    ):
        agent.start("near")
    assert children() == before
    assert [path.name for path in small_disk.iterdir() if path.stat().st_size] == ["ballast"]


@pytest.mark.root
def test_an_interface_that_goes_away_is_said_and_the_others_go_on(agent: Agent) -> None:
    agent.wire.ip("link", "add", "other", "type", "veth", "peer", "name", "beyond")
    agent.wire.ip("link", "set", "other", "up")
    agent.start("near", "other")
    agent.wire.send(10)
    agent.wire.ip("link", "del", "other")
    agent.wire.send(10, first=10)
    said = agent.stop()
    near, other = said["points"]
    assert near == {"name": "host:near:near", "frames": 20, "dropped": 0}
    assert (other["frames"], other["note"]) == (
        0,
        "its interface went away while capturing; what passed there until then was kept",
    )
    assert said["problem"] == ""
    assert any(line.startswith("host:other:other: its interface went away") for line in read(said).incomplete)


@pytest.mark.root
def test_a_capture_that_was_killed_is_kept_as_far_as_it_came(agent: Agent) -> None:
    agent.start("near")
    agent.wire.send(100)
    wait_for_frames(agent, 100)
    agent.process().kill()
    said = agent.stop()
    assert (
        "capture 'c': its process ended, killed or out of memory; what was written until then was kept"
        in said["problem"]
    )
    capture = read(said)
    assert numbers(capture) == list(range(100))
    assert capture.drops is None, "nobody knows"
    assert agent.captures.names() == []


def wait_for_frames(agent: Agent, count: int) -> None:
    """Until so many are in the file: what was read is written when the sockets are quiet."""
    deadline = time.monotonic() + 10
    while len(Capture.open(agent.captures._out / "c.pcapng").packets()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.root
def test_stopped_twice_it_says_so_unless_the_files_were_not_fetched(agent: Agent) -> None:
    agent.start("near")
    said = agent.stop()
    assert agent.stop() == said, "a fetch that failed can be tried again"
    for file in said["files"]:
        Path(file).unlink()
    with pytest.raises(AgentError, match="no capture 'c' is running; running: none"):
        agent.stop()


@pytest.mark.root
def test_one_name_is_started_or_stopped_once_at_a_time(agent: Agent) -> None:
    point: Any = [({"name": "host:near:near", "interface": "near", "description": ""}, agent.wire.host)]

    async def both(one: Coroutine[Any, Any, Any], other: Coroutine[Any, Any, Any]) -> None:
        done = await asyncio.gather(one, other, return_exceptions=True)
        (refusal,) = (each for each in done if isinstance(each, BaseException))
        assert isinstance(refusal, AgentError)
        assert refusal.message == "capture 'c' is just being started or stopped"

    captures, before = agent.captures, children()
    agent.does(both(captures.start("c", point, {}), captures.start("c", point, {})))
    assert len(children() - before) == 1
    agent.does(both(captures.stop("c"), captures.start("c", point, {})))
    assert (captures.names(), children()) == ([], before)
    agent.start("near")
    assert agent.stop()["problem"] == "", "a name that was refused can be taken again"


@pytest.mark.root
def test_what_a_capture_wrote_can_be_fetched_after_the_agent_was_started_again(agent: Agent, tmp_path: Path) -> None:
    agent.start("near")
    agent.wire.send(100)
    wait_for_frames(agent, 100)
    again = Agent(agent.wire, tmp_path)
    said = again.stop()
    assert said["problem"].startswith("capture 'c': the agent was started again; what was written until then was kept")
    assert (said["files"], said["points"]) == ([str(tmp_path / "c.pcapng")], [])
    assert numbers(read(said)) == list(range(100))
    (tmp_path / "c.pcapng").unlink()
    for name in ("c", "*", "../c"):
        with pytest.raises(AgentError, match="is running; running: none"):
            again.stop(name)
    again.close()


@pytest.mark.root
def test_what_cannot_be_captured_leaves_no_process(agent: Agent, tmp_path: Path) -> None:
    agent.start("near", name="first")
    before = children()
    with pytest.raises(AgentError, match="already running"):
        agent.start("near", name="first")
    with pytest.raises(AgentError, match=r"capture: host:nowhere:nowhere: No such device"):
        agent.start("near", "nowhere")
    with pytest.raises(AgentError, match=r"filter 'no such thing'"):
        agent.start("near", filter="no such thing")
    with pytest.raises(InputError, match="0 points"):
        agent.start()
    assert agent.captures.names() == ["first"]
    assert children() == before
    assert agent.stop("first")["problem"] == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"file": "/etc/passwd"}, "capture option 'file' is unknown; known: filter, snaplen, filesize, files"),
        ({"snaplen": -1}, "snaplen"),
        ({"filesize": "10"}, "'10' has no unit"),
        ({"filesize": "1kB"}, "filesize '1kB' is too small; write at least 64KiB"),
        ({"files": 3}, "files 3: no filesize says when a new one begins"),
    ],
)
def test_an_option_that_is_wrong_is_named(options: dict[str, object], says: str) -> None:
    with pytest.raises(AppbedError, match=says):
        checked(options)


def test_options_are_read() -> None:
    assert checked({}) == {"filter": "", "snaplen": 0, "filesize": 0, "files": 0}
    given = {"filter": "icmp", "snaplen": 96, "filesize": "10MB", "files": 5}
    assert checked(given) == {**given, "filesize": 10_000_000}
