"""Tables of any capture: points, protocols, flows, round trips, repairs, passages; as text and as JSON."""

from __future__ import annotations

import json

import pytest
import story
from traffic import ACK, CLIENT, SERVER, Talk, pcap

from appbed.analysis import Capture, analyze


def test_a_capture_of_the_lab() -> None:
    found = analyze(Capture.open(story.captured(("client", "resolver", "web"))))
    points = {row["point"]: row for row in found.points.as_json()}
    assert points["host:client:eth0"]["dropped"] == 0
    assert {row["protocol"] for row in found.protocols.as_json()} == {"dns", "http"}
    assert sum(int(row["packets"] or 0) for row in found.protocols.as_json()) == sum(
        int(row["packets"] or 0) for row in found.points.as_json()
    )
    http = next(
        row for row in found.flows.as_json() if row["protocol"] == "http" and row["point"] == "host:client:eth0"
    )
    assert (http["client"], http["server"]) == (f"{story.HOSTS['client']}:40000", f"{story.HOSTS['web']}:80")
    handshake = next(row for row in found.round_trips.as_json() if row["of"] == "tcp handshake")
    assert handshake["median_ms"] == pytest.approx(20, abs=0.01)
    passage = next(row for row in found.passages.as_json() if (row["from"], row["to"])[1] == "host:web:eth0")
    assert (passage["lost"], passage["median_ms"]) == (0, pytest.approx(10, abs=0.01))
    assert json.loads(json.dumps(found.as_json())) == found.as_json()
    assert found.faults == ()


def test_repairs_and_faults_of_a_foreign_capture() -> None:
    talk = Talk().open().say("server", b"x" * 3_000)
    talk.add(talk.segment("server", 0, ACK, b"x" * 1_460), 300_000_000)
    talk.add(talk.segment("server", 5_000, ACK, b"y" * 10), 10)
    found = analyze(Capture.open(pcap(talk.frames)[:-1]))
    assert found.losses.rows == (("capture", f"{CLIENT}:40000", f"{SERVER}:80", 6, 1, 0, 0, 0, 0),)
    assert found.points.as_json()[0]["dropped"] is None
    assert len(found.faults) == 1
    assert found.protocols.rows[0][0] == "tcp"


def test_tables_as_text() -> None:
    found = analyze(Capture.open(story.captured()))
    lines = found.flows.text(limit=2).splitlines()
    assert lines[0] == "Flows, the largest first"
    assert len({line.index("http") for line in lines[2:4] if "http" in line}) == 1
    assert lines[-1] == f"... and {len(found.flows.rows) - 2} more"
    assert "-" in analyze(Capture.open(pcap([]))).points.text()
    assert all(table.text() for table in found.tables)
