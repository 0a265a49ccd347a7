"""A capture loses nothing, says where each frame was seen, and belongs to the caller."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appbed.analysis import Capture
from appbed.errors import AgentError, AppbedError
from appbed.lab import Lab

pytestmark = pytest.mark.docker


def test_one_packet_at_every_point_it_passes(pair: Lab, tmp_path: Path) -> None:
    file = tmp_path / "all.pcapng"
    with pair.capture(file, "all"):
        pair.exec("client", "ping", "-n", "-c", "1", str(pair.topology.host("server").address))
    capture = Capture.open(file)
    seen = [
        p.point
        for p in capture.packets()
        if p.protocol == "icmp" and p.source.host == str(pair.topology.host("client").address)
    ]
    kinds = [point.rsplit(":", 1)[0] if point.startswith("host") else point for point in seen]
    assert kinds == [
        "host:client", "network:campus", "host:gateway", "host:gateway", "network:access",
        "host:isp", "host:isp", "network:core", "host:server",
    ]  # fmt: skip
    assert capture.drops == 0
    assert not capture.faults
    assert file.stat().st_uid == Path.home().stat().st_uid


def test_filter_and_snap_length(pair: Lab, tmp_path: Path) -> None:
    with pair.capture(tmp_path / "few.pcapng", "client", filter="icmp", snaplen=60):
        pair.exec("client", "curl", "-s", "-o", "/dev/null", f"http://{pair.topology.host('server').address}/")
        pair.exec("client", "ping", "-n", "-c", "2", str(pair.topology.host("server").address))
    packets = list(Capture.open(tmp_path / "few.pcapng").packets())
    assert [packet.protocol for packet in packets] == ["icmp"] * 4
    assert {(packet.captured, packet.length) for packet in packets} == {(60, 98)}


@pytest.mark.parametrize(
    ("points", "options", "said"),
    [
        (["klient"], {}, "no host 'klient'"),
        (["client"], {"filter": "no such filter"}, "filter"),
        (["client@core"], {}, "unknown"),
        (["client"], {"filesize": "1kB"}, "filesize '1kB' is too small"),
        (["client"], {"size": "1MB"}, "capture option 'size' is unknown; known: filter, snaplen, filesize, files"),
    ],
)
def test_what_cannot_be_captured_is_refused(pair: Lab, points: list[str], options: dict[str, str], said: str) -> None:
    with pytest.raises(AppbedError, match=said):
        pair.start_capture("impossible", points, **options)
    assert pair.agent.ask("status")["captures"] == []


def test_two_captures_of_one_name_are_refused(pair: Lab, tmp_path: Path) -> None:
    with pair.capture(tmp_path / "twice.pcapng", "client"), pytest.raises(AgentError, match="already running"):
        pair.start_capture("twice", ["server"])


def test_of_a_limited_capture_all_files_are_fetched_and_read_as_one(pair: Lab, tmp_path: Path) -> None:
    pair.start_capture("ring", ["client"], filesize="64KiB", files=3)
    pair.exec(
        "client",
        "ping",
        "-n",
        "-q",
        "-c",
        "300",
        "-i",
        "0.002",
        "-s",
        "1000",
        str(pair.topology.host("server").address),
    )
    captured = pair.stop_capture("ring", tmp_path / "ring.pcapng")
    assert sorted(tmp_path.iterdir()) == list(captured.files)
    assert len(captured.files) == 3
    assert all(re.fullmatch(r"ring_\d{5}_\d{14}\.pcapng", file.name) for file in captured.files)
    capture = Capture.open(captured.files)
    ((point, counts),) = captured.points.items()
    assert len(capture.packets(point)) == counts["frames"]
    assert counts["frames"] + counts["discarded"] >= 600
    assert (captured.dropped, capture.faults) == (0, ())
    assert captured.warnings == (f"{counts['discarded']} frames were captured and not kept",)
    left = pair.exec("agent", "ls", "/appbed/out").stdout
    assert "ring" not in left


def test_a_capture_that_was_stopped_is_not_there_to_be_stopped_again(pair: Lab, tmp_path: Path) -> None:
    pair.start_capture("once", ["client"])
    with pytest.raises(AppbedError, match="No such file"):
        pair.stop_capture("once", tmp_path / "nowhere" / "once.pcapng")
    assert pair.stop_capture("once", tmp_path / "once.pcapng").problem == "", "what could not be fetched still can"
    with pytest.raises(AgentError, match="no capture 'once' is running"):
        pair.stop_capture("once", tmp_path / "once.pcapng")


def test_a_capture_whose_process_was_killed_is_fetched_and_said(pair: Lab, tmp_path: Path) -> None:
    pair.start_capture("killed", ["client"])
    pair.exec("client", "ping", "-n", "-q", "-c", "3", "-i", "0.01", str(pair.topology.host("server").address))
    kill_captures(pair)
    captured = pair.stop_capture("killed", tmp_path / "killed.pcapng")
    assert "killed or out of memory; what was written until then was kept" in captured.problem
    assert len(Capture.open(captured.file).packets()) >= 6
    with pytest.raises(AgentError, match="killed or out of memory"), pair.capture(tmp_path / "again.pcapng", "client"):
        kill_captures(pair)
    assert pair.agent.ask("status")["captures"] == []


def kill_captures(lab: Lab) -> None:
    """The agent sees all processes of the machine: only its own are meant."""
    ours = f"grep -qz '^APPBED_INSTANCE={lab.name}$' $p/environ && grep -qz '^appbed.agent.capture$' $p/cmdline"
    script = f"for p in /proc/[0-9]*; do {ours} && kill -9 ${{p#/proc/}} && echo killed; done 2>/dev/null"
    assert lab.exec("agent", "sh", "-c", script, check=False).stdout == "killed\n"
