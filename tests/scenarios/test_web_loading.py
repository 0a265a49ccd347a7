"""Page loads judged: what the idle way adds to a prediction, and bad weather told by its cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from appbed import runner, scenario
from appbed.models import connect_s, wire_time_s
from appbed.scenarios.web_parts import loading
from appbed.verdict import Outcome, Verdict

from .mutants import Frame, Mutation, evidence

KNOWN = scenario.discover()
TEN_MBIT = {way: {"delay": "15ms", "rate": "10mbit"} for way in ("up", "down")}
IDLE_MS = 30 + 2 * 1000 * wire_time_s(98, 10e6)
ROUND_TRIPS = {"web.nonpersistent": 22, "web.parallel": 10, "web.persistent": 12, "web.pipelined": 3}


def conditions(beyond_ms: float | None = None) -> dict[str, Any]:
    """As the runner gives them: the links of the topology and of one point, and how long the idle way takes."""
    links = {loading.ACCESS: {way: {"delay": "10ms", "rate": "10mbit"} for way in ("up", "down")}}
    sweep = {"RTT 20 ms": {"set": {}, "links": links}}
    under = {"links": {loading.ACCESS: TEN_MBIT}, "seed": 1, "sweep": sweep}
    idle = {"from": "client", "to": "www-1", "round_trip_s": (IDLE_MS + (beyond_ms or 0)) / 1000, "frame_bytes": 98}
    return under if beyond_ms is None else {**under, "idle": idle}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_what_the_idle_way_takes_beyond_its_links_comes_once_with_each_round_trip(name: str) -> None:
    alone, with_way = (KNOWN[name].predict(conditions(beyond))["points"]["RTT 20 ms"] for beyond in (None, 0.4))
    assert with_way["page_s"] - alone["page_s"] == pytest.approx(ROUND_TRIPS[name] * 0.0004, rel=0.01)
    assert (
        with_way["handshake_s"]
        == alone["handshake_s"]
        == connect_s(loading.path_over(conditions()["sweep"]["RTT 20 ms"]["links"]))
    )


def test_a_way_quicker_than_its_links_takes_nothing_off() -> None:
    assert loading.beyond_links_s(conditions(-3)) == 0
    assert loading.beyond_links_s(conditions(0.4)) == pytest.approx(0.0004)


def judged(name: str, to: Path, mutation: Mutation = list, said: str = "", **changes: Any) -> Verdict:
    """A saved run, its frames mutated, with the loader saying `said` of each page and the prediction changed."""
    folder = evidence(name, to, mutation)
    events = folder / "events.jsonl"
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    for line in lines:
        if line["kind"] == "load" and said:
            line["report"] |= {"complete": False, "because": f"http://www.someschool.edu/: {said}"}
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    prediction = json.loads((folder / "prediction.json").read_text())
    prediction["expected"] |= changes
    (folder / "prediction.json").write_text(json.dumps(prediction))
    return runner.check(folder, KNOWN[name])


def test_an_idle_way_much_slower_than_its_links_blames_nobody(tmp_path: Path) -> None:
    verdict = judged("web.persistent", tmp_path, beyond_links_s=0.03)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.because.endswith("an idle round trip took 30.0 ms beyond the links")


# ---- bad weather: what the client's packets look like then


def refused(frames: list[Frame]) -> list[Frame]:
    """Nobody listens: each SYN is answered by a reset."""
    kept = []
    for frame in frames:
        packet = Ether(frame.data)
        if TCP in packet and packet[TCP].dport == 80 and packet[TCP].flags == "S":
            ip, tcp = packet[IP], packet[TCP]
            answer = Ether(src=packet.dst, dst=packet.src) / IP(src=ip.dst, dst=ip.src)
            answer /= TCP(sport=80, dport=tcp.sport, flags="RA", ack=tcp.seq + 1)
            kept += [frame, Frame(frame.point, frame.time_ns + 100_000_000, bytes(answer))]
        elif TCP not in packet:
            kept.append(frame)
    return kept


def never_answered(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if not _answer(frame)]


def closed_early(frames: list[Frame]) -> list[Frame]:
    """Of each connection only the first segment of an answer comes."""
    seen: set[int] = set()
    kept = []
    for frame in frames:
        port = Ether(frame.data)[TCP].dport if _answer(frame) else 0
        if port not in seen:
            kept.append(frame)
        if port:
            seen.add(port)
    return kept


def garbled(frames: list[Frame]) -> list[Frame]:
    """Answers that are no HTTP."""
    return _said_instead(frames, b"HTTP/1.1 200 OK", b"\x00\xff\x13garbage 200")


def not_there(frames: list[Frame]) -> list[Frame]:
    """A broken reference: each answer is a 404."""
    return _said_instead(frames, b"HTTP/1.1 200 OK", b"HTTP/1.1 404 NF")


def _said_instead(frames: list[Frame], before: bytes, after: bytes) -> list[Frame]:
    """Answers that begin with other bytes, as many; their checksums are right."""
    kept = []
    for frame in frames:
        data = frame.data
        packet = Ether(data)
        if _answer(frame) and bytes(packet[TCP].payload).startswith(before):
            payload = after + bytes(packet[TCP].payload)[len(before) :]
            packet[TCP].remove_payload()
            del packet[TCP].chksum
            data = bytes(packet / payload)
        kept.append(Frame(frame.point, frame.time_ns, data))
    return kept


def _answer(frame: Frame) -> bool:
    packet = Ether(frame.data)
    return TCP in packet and packet[TCP].sport == 80 and len(packet[TCP].payload) > 0


WEATHER: dict[str, Callable[[list[Frame]], list[Frame]]] = {
    "no connection: Connection refused": refused,
    "no answer: not complete before the deadline": never_answered,
    "closed early: after 1150 bytes of the body": closed_early,
    "garbage: illegal status line": garbled,
    "status 404": not_there,
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ROUND_TRIPS)
@pytest.mark.parametrize("said", WEATHER)
def test_bad_weather_fails_a_page_with_the_loader_s_words_for_it(name: str, said: str, tmp_path: Path) -> None:
    verdict = judged(name, tmp_path, WEATHER[said], said)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.because.endswith(f"whole answers: http://www.someschool.edu/: {said}")


def test_an_answer_that_lacks_on_the_wire_fails_whatever_the_loader_says(tmp_path: Path) -> None:
    verdict = judged("web.persistent", tmp_path, closed_early)
    assert verdict.outcome is Outcome.FAILED
    assert "whole answers: expected 6, saw" in verdict.because
