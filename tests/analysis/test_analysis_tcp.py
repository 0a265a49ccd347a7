"""Connections and their streams: openers, round trips, closers, and bytes in order whatever happened on the way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traffic import ACK, CLIENT, FIN, RST, SERVER, START_NS, SYN, Spot, Talk, Timed, flip, pcap, pcapng, tcp

from appbed.analysis import Capture, Connection

PAGE = random.Random(5).randbytes(10_000)
MSS = 1_460


def connection(frames: list[Timed]) -> Connection:
    (found,) = Capture.open(pcap(frames, nanoseconds=True)).connections()
    return found


def test_a_conversation_from_handshake_to_close() -> None:
    talk = Talk().open().say("client", b"GET / HTTP/1.0\r\n\r\n").say("server", PAGE).close("server")
    found = connection(talk.frames)
    assert (found.client, found.server) == ((CLIENT, 40_000), (SERVER, 80))
    assert found.opened
    assert found.handshake_s == pytest.approx(0.020, abs=1e-6)
    assert (found.from_client.data, found.from_server.data) == (b"GET / HTTP/1.0\r\n\r\n", PAGE)
    assert (found.closed_by, found.closed_how, found.reset) == ("server", "fin", False)
    assert (found.retransmissions, found.out_of_order, found.damaged) == (0, 0, 0)
    assert found.packets == len(talk.frames)
    assert (found.start_s, found.end_s) == (START_NS / 1e9, talk.frames[-1][0] / 1e9)


def test_the_handshake_takes_as_long_at_every_point_of_the_path() -> None:
    """At the client the wait is before the SYN-ACK, at the server after it, on the way on both sides."""
    talk = Talk()
    syn, syn_ack, ack = (
        talk.segment("client", -1, SYN),
        talk.segment("server", -1, SYN | ACK),
        talk.segment("client", 0),
    )
    for before in (20_000_000, 0, 7_000_000):
        frames = [(START_NS, syn), (START_NS + before, syn_ack), (START_NS + 20_000_000, ack)]
        assert connection(frames).handshake_s == pytest.approx(0.020, abs=1e-6)


def test_a_lost_syn_counts_as_sent_again_and_not_as_round_trip() -> None:
    talk = Talk()
    talk.add(talk.segment("client", -1, SYN))
    talk.now_ns += 1_000_000_000
    found = connection(talk.open().frames)
    assert found.handshake_s == pytest.approx(0.020, abs=1e-6)
    assert (found.retransmissions, found.start_s) == (1, START_NS / 1e9)


def test_repetitions_that_come_late_do_not_lengthen_the_round_trip() -> None:
    """At the server: a copy of the SYN after the answer; at the client: the answer again, the first ACK being lost."""
    talk = Talk(rtt_ns=1_000)
    syn = talk.segment("client", -1, SYN)
    talk.add(syn).add(talk.segment("server", -1, SYN | ACK), 10_000).add(syn, 5_000_000)
    found = connection(talk.add(talk.segment("client", 0), 15_000_000).frames)
    assert found.handshake_s == pytest.approx(0.020_010, abs=1e-6)
    talk = Talk()
    talk.add(talk.segment("client", -1, SYN)).add(talk.segment("server", -1, SYN | ACK), 10_000)
    talk.add(talk.segment("server", -1, SYN | ACK), 10**9).add(talk.segment("client", 0), 20_000_000)
    found = connection(talk.frames)
    assert found.handshake_s == pytest.approx(0.020_010, abs=1e-6)
    assert found.retransmissions == 1


def test_closers() -> None:
    assert connection(Talk().open().frames).closed_by == ""
    assert connection(Talk().open().close("client").frames).closed_by == "client"
    talk = Talk().open()
    reset = connection(talk.add(talk.segment("server", 0, RST | ACK), 5).frames)
    assert (reset.closed_by, reset.closed_how, reset.reset) == ("server", "reset", True)
    talk = Talk()
    refused = connection(talk.add(talk.segment("client", -1, SYN)).add(talk.segment("server", 0, RST | ACK), 9).frames)
    assert (refused.opened, refused.closed_by, refused.closed_how) == (False, "server", "reset")


def test_half_closed_side_goes_on_talking() -> None:
    talk = Talk().open().say("client", b"ask")
    talk.add(talk.segment("client", 3, FIN | ACK), 10)
    talk.sent["client"] += 1
    found = connection(talk.say("server", PAGE).frames)
    assert (found.closed_by, found.from_server.data) == ("client", PAGE)


def test_the_middle_of_a_conversation() -> None:
    talk = Talk(client=(SERVER, 8_000), server=(CLIENT, 40_000))
    found = connection(talk.say("client", b"late").say("server", b"also").frames)
    assert (found.client, found.server) == ((CLIENT, 40_000), (SERVER, 8_000))
    assert (found.opened, found.handshake_s) == (False, None)
    assert (found.from_server.data, found.from_client.data) == (b"late", b"also")


def test_ports_used_again_are_another_connection() -> None:
    first = Talk().open().say("client", b"one").close()
    second = Talk(isn={"client": 5, "server": 6}, now_ns=first.now_ns + 10**9).open().say("client", b"two")
    found = Capture.open(pcap(first.frames + second.frames)).connections()
    assert [each.from_client.data for each in found] == [b"one", b"two"]
    assert [each.number for each in found] == [1, 2]


def test_sequence_numbers_wrap() -> None:
    talk = Talk(isn={"client": 2**32 - 2, "server": 2**32 - 5_000}).open().say("client", b"hello").say("server", PAGE)
    found = connection(talk.frames)
    assert (found.from_client.data, found.from_server.data) == (b"hello", PAGE)


def sent(talk: Talk, at: int, size: int = MSS) -> bytes:
    return talk.segment("server", at, ACK, PAGE[at : at + size])


def test_retransmission_after_loss_before_the_point() -> None:
    talk = Talk().open()
    for at in (0, 2 * MSS, 3 * MSS):
        talk.add(sent(talk, at), 10_000)
    found = connection(talk.add(sent(talk, MSS), 15_000_000).frames)
    assert found.from_server.data == PAGE[: 4 * MSS]
    assert (found.retransmissions, found.out_of_order) == (1, 0)


def test_overtaken_segment_is_out_of_order_not_sent_again() -> None:
    talk = Talk().open()
    pieces = [sent(talk, at) for at in range(0, 4 * MSS, MSS)]
    for piece in (0, 2, 1, 3):
        talk.add(pieces[piece], 30_000_000)
    found = connection(talk.frames)
    assert found.from_server.data == PAGE[: 4 * MSS]
    assert (found.retransmissions, found.out_of_order) == (0, 1)


@pytest.mark.parametrize(("after_ns", "counts"), [(10_000, (0, 1)), (25_000_000, (1, 0))])
def test_uncounted_packets_are_told_apart_by_the_round_trip(after_ns: int, counts: tuple[int, int]) -> None:
    talk = Talk(counted=False).open()
    for at in (0, 2 * MSS):
        talk.add(sent(talk, at), 10_000)
    found = connection(talk.add(sent(talk, MSS), after_ns).frames)
    assert (found.retransmissions, found.out_of_order) == counts


@pytest.mark.parametrize(("again", "counts"), [(41, (1, 0)), (39, (0, 1))])
def test_time_stamps_tell_what_was_sent_again(again: int, counts: tuple[int, int]) -> None:
    talk = Talk(counted=False).open()
    for at, stamp in ((0, 40), (2 * MSS, 40), (MSS, again)):
        frame = sent(talk, at)
        option = b"\x01\x01\x08\x0a" + stamp.to_bytes(4, "big") + bytes(4)
        ends = (SERVER, 80, CLIENT, 40_000, talk.isn["server"] + 1 + at, 0)
        talk.add(tcp(*ends, ACK, frame[54:], options=option), 10_000)
    found = connection(talk.frames)
    assert (found.retransmissions, found.out_of_order) == counts


def test_a_packet_the_link_doubled_was_not_sent_again() -> None:
    talk = Talk()
    syn = talk.segment("client", -1, SYN)
    talk.add(syn).add(syn, 10).add(talk.segment("server", -1, SYN | ACK), 20_000_000).add(talk.segment("client", 0))
    first, second = sent(talk, 0), sent(talk, MSS)
    found = connection(talk.add(first).add(second, 10).add(first, 10).add(second, 10).frames)
    assert (found.copies, found.retransmissions, found.from_server.data) == (3, 0, PAGE[: 2 * MSS])


def test_retransmission_of_what_the_point_had_seen() -> None:
    talk = Talk().open()
    talk.add(sent(talk, 0)).add(sent(talk, MSS), 10).add(sent(talk, 0), 300_000_000)
    found = connection(talk.frames)
    assert (found.retransmissions, found.out_of_order, found.from_server.segments) == (1, 0, 4)


def test_keep_alives_are_not_retransmissions() -> None:
    talk = Talk().open().say("client", b"hello")
    for data in (b"", b"o"):
        talk.add(talk.segment("client", 4, ACK, data), 10**9)
    assert connection(talk.frames).retransmissions == 0


def test_a_window_probe_is_sent_again_without_being_counted() -> None:
    talk = Talk().open().say("server", b"full")
    talk.add(talk.segment("client", 0, ACK, window=0))
    talk.add(talk.segment("server", 4, ACK, b"m"), 10**9).add(talk.segment("client", 0, ACK), 20)
    found = connection(talk.say("server", b"more").frames)
    assert (found.from_server.data, found.retransmissions) == (b"fullmore", 0)


def test_times_of_bytes() -> None:
    talk = Talk().open()
    talk.add(sent(talk, 0), 10).add(sent(talk, 2 * MSS), 10).add(sent(talk, MSS), 50_000_000)
    stream = connection(talk.frames).from_server
    times = [time_ns / 1e9 for time_ns, _ in talk.frames[-3:]]
    assert [stream.seen_s(at) for at in (0, MSS, 2 * MSS)] == [times[0], times[2], times[1]]
    assert [stream.arrived_s(at) for at in (0, MSS, 2 * MSS)] == [times[0], times[2], times[2]]


def test_round_trips_of_data_are_sampled() -> None:
    found = connection(Talk().open().say("client", b"x").say("client", b"y").frames)
    assert list(found.from_client.round_trips_s) == pytest.approx([0.020] * 3, abs=1e-6)


def test_a_gap_is_told_and_ends_reading() -> None:
    talk = Talk().open()
    stream = connection(talk.add(sent(talk, 0)).add(sent(talk, 2 * MSS), 10).frames).from_server
    assert stream.gaps == ((MSS, 2 * MSS),)
    assert (stream.data, len(stream)) == (PAGE[:MSS], 3 * MSS)
    assert stream.read(2 * MSS, 2 * MSS + 5) == PAGE[2 * MSS : 2 * MSS + 5]
    assert (stream.holds(0, MSS), stream.holds(0, MSS + 1)) == (True, False)


def test_damaged_segments_are_counted_and_not_believed() -> None:
    talk = Talk().open()
    talk.add(sent(talk, 0)).add(flip(sent(talk, MSS)), 10).add(flip(sent(talk, 2 * MSS), 38), 10)
    found = connection(talk.add(sent(talk, MSS), 30_000_000).add(sent(talk, 2 * MSS), 10).frames)
    assert found.from_server.data == PAGE[: 3 * MSS]
    assert found.damaged == 2


def test_a_damaged_port_opens_no_connection() -> None:
    talk = Talk().open()
    assert len(Capture.open(pcap(talk.add(flip(talk.segment("client", 0), 34), 10).frames)).connections()) == 1


def test_unfinished_checksums_of_offloading_cards_are_believed() -> None:
    frames = []
    for time_ns, frame in Talk().open().say("server", PAGE[:3000]).frames:
        pseudo = frame[26:34] + (6).to_bytes(2, "big") + (len(frame) - 34).to_bytes(2, "big")
        total = sum(int.from_bytes(pseudo[at : at + 2], "big") for at in range(0, 12, 2))
        total = (total & 0xFFFF) + (total >> 16)
        frames.append((time_ns, frame[:50] + total.to_bytes(2, "big") + frame[52:]))
    found = connection(frames)
    assert (found.from_server.data, found.damaged) == (PAGE[:3000], 0)


def test_checksums_that_are_all_wrong_say_nothing() -> None:
    frames = [(time_ns, flip(frame, 50)) for time_ns, frame in Talk().open().say("server", PAGE[:3000]).frames]
    found = connection(frames)
    assert (found.from_server.data, found.damaged) == (PAGE[:3000], 0)


def test_points_are_apart() -> None:
    talk = Talk().open().say("client", b"hello")
    frames = [(point, time_ns + point, frame) for time_ns, frame in talk.frames for point in (0, 1)]
    capture = Capture.open(pcapng([Spot("host:client:eth0"), Spot("network:campus")], frames))
    assert [each.point for each in capture.connections()] == ["host:client:eth0", "network:campus"]
    (found,) = capture.connections("network")
    assert (found.from_client.data, found.retransmissions) == (b"hello", 0)


Cut = tuple[int, int]


@st.composite
def cuts(draw: st.DrawFn) -> tuple[bytes, list[Cut]]:
    """A byte stream and segments that cover it: cut anywhere, shuffled, repeated, overlapping."""
    size = draw(st.integers(1, 3_000))
    ends = sorted({*draw(st.lists(st.integers(1, size), max_size=20)), size})
    pieces = list(zip([0, *ends[:-1]], ends, strict=True))
    extra = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, 700)), max_size=10))
    pieces += [(at, min(at + length, size)) for at, length in extra]
    return random.Random(size).randbytes(size), draw(st.permutations(pieces))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(cuts(), st.integers(0, 2**32 - 1))
def test_any_cut_of_a_stream_reassembles_to_itself(stream: tuple[bytes, list[Cut]], isn: int) -> None:
    data, pieces = stream
    talk = Talk(isn={"client": isn, "server": 2**32 - 1 - isn}).open()
    for start, stop in pieces:
        talk.add(talk.segment("server", start, ACK, data[start:stop]), 7_000)
    found = connection(talk.frames).from_server
    assert found.data == data
    assert found.gaps == ()
    assert found.arrived_s(len(data) - 1) == max(found.seen_s(at) for at in range(len(data)))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(cuts(), st.data())
def test_with_pieces_missing_what_is_there_is_right(stream: tuple[bytes, list[Cut]], draw: st.DataObject) -> None:
    data, pieces = stream
    pieces = draw.draw(st.lists(st.sampled_from(pieces), unique=True))
    talk = Talk().open()
    for start, stop in pieces:
        talk.add(talk.segment("server", start, ACK, data[start:stop]), 7_000)
    found = connection(talk.frames).from_server
    there = {at for start, stop in pieces for at in range(start, stop)}
    missing = {at for start, stop in found.gaps for at in range(start, stop)}
    assert missing == set(range(len(found))) - there
    assert all(found.read(at, at + 1) == data[at : at + 1] for at in there)


def test_a_segment_beyond_any_window_is_not_believed() -> None:
    talk = Talk().open()
    astray = tcp(SERVER, 80, CLIENT, 40_000, talk.isn["server"] + 1 + 2_000_000_000, 0, ACK, b"astray")
    found = connection(talk.add(astray, 10).say("server", b"here").frames)
    assert found.from_server.data == b"here"
