"""A link is what was set: seen in the packets of the hosts on both sides."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from appbed.analysis import Capture
from appbed.errors import AgentError, InputError
from appbed.lab import Lab

from .conftest import wait_for

pytestmark = pytest.mark.docker


def _server(lab: Lab) -> str:
    return str(lab.topology.host("server").address)


def _round_trips_ms(lab: Lab, count: int = 10) -> list[float]:
    said = lab.exec("client", "ping", "-n", "-c", str(count), "-i", "0.05", _server(lab)).stdout
    return [float(word.removeprefix("time=")) for word in said.split() if word.startswith("time=")]


def test_both_directions_in_the_clients_own_capture(pair: Lab, tmp_path: Path) -> None:
    with (
        pair.link("gateway@access").set(delay=0, up={"delay": 0}, down={"delay": 0}),
        pair.link("client").set(up={"delay": "30ms"}, down={"delay": "20ms"}),
        pair.capture(tmp_path / "handshake.pcapng", "client"),
    ):
        pair.exec("client", "curl", "-s", "-o", "/dev/null", f"http://{_server(pair)}/")
    (connection,) = Capture.open(tmp_path / "handshake.pcapng").connections(point="host:client")
    assert connection.handshake_s is not None
    assert 0.050 <= connection.handshake_s < 0.056


def test_declared_link_is_shaped(pair: Lab) -> None:
    assert 50 <= statistics.median(_round_trips_ms(pair)) < 54


def test_frames_lost_on_the_way_down_are_absent_from_the_host_and_present_on_the_wire(
    pair: Lab, tmp_path: Path
) -> None:
    with pair.link("client").set(down={"loss": "40%", "seed": 7}):
        with pair.capture(tmp_path / "loss.pcapng", "client", "campus"):
            pair.exec("client", "ping", "-n", "-c", "40", "-i", "0.02", "-W", "1", _server(pair), check=False)
        dropped = pair.link("client").show()["counters"]["down"]["lost"]
    capture = Capture.open(tmp_path / "loss.pcapng")
    replies = {
        point: sum(
            packet.protocol == "icmp" and packet.source.host == _server(pair) for packet in capture.packets(point=point)
        )
        for point in ("host:client", "network:campus")
    }
    assert replies["network:campus"] == 40
    missing = 40 - replies["host:client"]
    assert 0 < missing < 40
    assert 0 <= dropped - missing <= 3  # ARP may be lost too


def test_rate_counts_layer_2_bytes(pair: Lab, tmp_path: Path) -> None:
    with pair.link("client").set(down={"rate": "20mbit"}), pair.capture(tmp_path / "rate.pcapng", "client"):
        pair.exec("client", "curl", "-s", "-o", "/dev/null", f"http://{_server(pair)}/big/4m.bin")
    packets = [p for p in Capture.open(tmp_path / "rate.pcapng").packets(point="host:client") if p.source.port == 80]
    full = [packet for packet in packets if packet.length == 1514]
    # Once the queue stands, full frames leave back to back: the middle of the transfer runs at the rate, to within 3 %.
    middle = full[len(full) // 4 : -len(full) // 4]
    rate = 8 * 1514 * (len(middle) - 1) / (middle[-1].time_s - middle[0].time_s)
    assert rate == pytest.approx(20e6, rel=0.03)
    assert max(packet.length for packet in packets) <= 1514, "an offload is still on"


def test_a_change_ends_with_its_block_also_when_that_fails(pair: Lab) -> None:
    before = pair.link("client").show()["set"]

    def fails() -> None:
        with pair.link("client").set(delay="80ms"):
            assert statistics.median(_round_trips_ms(pair, 3)) > 200
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert pair.link("client").show()["set"] == before
    assert statistics.median(_round_trips_ms(pair, 3)) < 60


@pytest.mark.parametrize(
    ("name", "settings"), [("client@core", {"delay": "1ms"}), ("client", {"loss": "120%"}), ("klient", {})]
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(pair: Lab, name: str, settings: dict[str, str]) -> None:
    before = pair.links()
    with pytest.raises(InputError):
        pair.link(name).change(**settings)
    assert [line["set"] for line in pair.links()] == [line["set"] for line in before]


def test_a_restarted_host_has_its_link_back_within_a_second(pair: Lab) -> None:
    with pair.link("client").set(delay="25ms"):
        pair.engine.act(pair.name, "client", "restart")
        wait_for(lambda: "client" in pair.agent.ask("status")["hosts"], "the agent finds the client again")
        events = [
            event
            for event in pair.agent.ask("events")["events"]
            if event.get("host") == "client" and event["event"] == "host"
        ]
        started = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.StartedAt}}", f"{pair.name}-client-1"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        assert events[-1]["time"] - datetime.fromisoformat(started[:26] + "+00:00").timestamp() < 1.0
        assert statistics.median(_round_trips_ms(pair, 5)) > 99
        assert "127.0.0.11" not in pair.exec("client", "cat", "/etc/resolv.conf").stdout


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may kill the agent's process; run the tests as root on the engine's machine"
)
def test_a_killed_agent_comes_back_with_the_links_as_they_were_set(pair: Lab) -> None:
    with pair.link("client").set(delay="25ms"):
        before = {line["attachment"]: line["set"] for line in pair.links()}
        first = pair.agent.ask("status")["started"]
        shown = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", f"{pair.name}-agent-1"],
            capture_output=True,
            text=True,
            check=True,
        )
        os.kill(int(shown.stdout), signal.SIGKILL)
        pair.agent.close()

        def back() -> bool:
            try:
                status = pair.agent.ask("status", timeout_s=2)
            except AgentError:
                return False
            return bool(status["started"] != first and not status["missing"])

        wait_for(back, "the agent starts again and finds every host", 15)
        assert {line["attachment"]: line["set"] for line in pair.links()} == before
        assert statistics.median(_round_trips_ms(pair, 5)) > 99
