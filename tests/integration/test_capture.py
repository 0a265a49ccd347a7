"""A capture loses nothing, says where each frame was seen, and belongs to the caller."""

from __future__ import annotations

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
    ],
)
def test_what_cannot_be_captured_is_refused(pair: Lab, points: list[str], options: dict[str, str], said: str) -> None:
    with pytest.raises(AppbedError, match=said):
        pair.start_capture("impossible", points, **options)
    assert pair.agent.ask("status")["captures"] == []


def test_two_captures_of_one_name_are_refused(pair: Lab, tmp_path: Path) -> None:
    with pair.capture(tmp_path / "twice.pcapng", "client"), pytest.raises(AgentError, match="already running"):
        pair.start_capture("twice", ["server"])
