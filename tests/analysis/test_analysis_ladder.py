"""The ladder draws the textbook's figures from packets: the iterative walk, the page, the dialogue."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
import story
from traffic import START_NS, Talk, pcap

from appbed.analysis import Capture
from appbed.analysis.ladder import Ladder, draw
from appbed.analysis.ladder_svg import html, svg_panels
from appbed.analysis.ladder_text import text
from appbed.errors import CaptureError


@pytest.fixture(scope="module")
def everywhere() -> Capture:
    return Capture.open(story.captured())


def labels(ladder: Ladder) -> list[tuple[str, str, str]]:
    return [(ladder.hosts[arrow.source], ladder.hosts[arrow.destination], arrow.label) for arrow in ladder.arrows]


def test_the_iterative_walk(everywhere: Capture) -> None:
    ladder = draw(everywhere, ("dns",))
    assert labels(ladder) == [
        ("client", "resolver", "A www.umass.edu?"),
        ("resolver", "root", "A www.umass.edu?"),
        ("root", "resolver", "ask ns.edu for edu"),
        ("resolver", "tld", "A www.umass.edu?"),
        ("tld", "resolver", "ask ns.umass.edu for umass.edu"),
        ("resolver", "auth", "A www.umass.edu?"),
        ("auth", "resolver", "A = 10.77.4.80"),
        ("resolver", "client", "A = 10.77.4.80"),
    ]
    assert ladder.hosts == ("client", "resolver", "root", "tld", "auth")
    trips = [arrow.round_trip_s for arrow in ladder.arrows if arrow.round_trip_s is not None]
    assert trips == pytest.approx([0.040, 0.030, 0.020, 0.092], abs=1e-6)
    delays = [arrow.received_s - arrow.sent_s for arrow in ladder.arrows if arrow.received_s is not None]
    assert delays == pytest.approx([0.001, 0.02, 0.02, 0.015, 0.015, 0.01, 0.01, 0.001], abs=1e-6)
    assert (ladder.start_s, ladder.notes, ladder.left_out) == (START_NS / 1e9, (), 0)


def test_the_page_with_its_handshake(everywhere: Capture) -> None:
    found = labels(draw(everywhere, ("http", "tcp"), hosts=("client", "web")))
    assert found == [
        ("client", "web", "SYN to port 80"),
        ("web", "client", "SYN, ACK"),
        ("client", "web", "ACK"),
        ("client", "web", "GET /index.html"),
        ("web", "client", "200 OK, 3000 bytes"),
        ("web", "client", "FIN"),
    ]


def test_the_dialogue(everywhere: Capture) -> None:
    ladder = draw(everywhere, ("smtp",))
    assert [label for _, _, label in labels(ladder)] == [
        "220 hamburger.edu",
        "HELO crepes.fr",
        "250 Hello crepes.fr",
        "MAIL FROM:<alice@crepes.fr>",
        "250 Sender ok",
        "RCPT TO:<bob@hamburger.edu>",
        "250 Recipient ok",
        "DATA",
        "354 Enter mail",
        "message, 37 bytes",
        "250 Message accepted",
        "QUIT",
        "221 closing",
    ]
    assert set(ladder.hosts) == {"mail1", "mail2"}


def test_a_whole_story_and_one_point_of_it(everywhere: Capture) -> None:
    assert len(draw(everywhere).arrows) == 8 + 2 + 13
    at_root = draw(everywhere, point="host:root")
    assert [label for _, _, label in labels(at_root)] == ["A www.umass.edu?", "ask ns.edu for edu"]
    assert all(arrow.received_s is None for arrow in at_root.arrows)


def test_one_point_is_enough_and_addresses_stand_for_names() -> None:
    ladder = draw(Capture.open(story.captured(("resolver",))), ("dns",))
    assert len(ladder.arrows) == 8
    assert ladder.hosts[:3] == ("10.77.1.10", "resolver", "10.77.3.1")
    named = draw(Capture.open(story.captured(("resolver",))), ("dns",), known={"10.77.3.1": "root", "10.77.1.53": "x"})
    assert named.hosts[:3] == ("10.77.1.10", "resolver", "root")


def test_unknown_protocols_and_points_name_the_known_ones(everywhere: Capture) -> None:
    with pytest.raises(CaptureError, match="'gopher': not known; known: dns, http"):
        draw(everywhere, ("dns", "gopher"))
    with pytest.raises(CaptureError, match="known: host:client:eth0"):
        draw(everywhere, point="host:nobody")


def test_text_for_the_terminal(everywhere: Capture) -> None:
    lines = text(draw(everywhere, ("dns",)), width=110).splitlines()
    assert re.fullmatch(r" +ms +client +resolver +root +tld +auth", lines[0])
    assert re.fullmatch(r" +0\.000 +\|-+>\| +\| +\| +\|  A www\.umass\.edu\?", lines[1])
    assert re.fullmatch(r" +21\.000 +\| +\|<-+\| +\| +\|  40\.0 ms  ask ns\.edu for edu", lines[3])
    assert re.fullmatch(r" +71\.000 +\| +\|-+ A www\.umass\.edu\? -+>\|", lines[6])
    assert all(len(line) <= 110 for line in lines)
    assert text(draw(everywhere, ("pop3",))) == "no messages of these protocols\n"


def test_drops_and_what_is_left_out_are_said() -> None:
    lossy = Capture.open(story.captured(("client", "web"), drops=2))
    ladder = draw(lossy, limit=2)
    assert ladder.left_out > 0
    for shown in (text(ladder), html(ladder)):
        assert "lost 4 packets" in shown
        assert f"{ladder.left_out} more messages" in shown


def test_pages_are_well_formed_and_load_nothing(everywhere: Capture) -> None:
    page = html(draw(everywhere), "A <title> & more")
    assert "A &lt;title&gt; &amp; more" in page
    assert not re.search(r"(src|href)=|url\((?!#)|@import", page)
    panels = svg_panels(draw(everywhere), arrows_a_panel=10)
    assert len(panels) == 3
    for panel in panels:
        root = ElementTree.fromstring(panel)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        lines = [line for line in root.iter("{http://www.w3.org/2000/svg}line") if line.attrib["class"] == "arrow"]
        for line in lines:
            assert 0 < float(line.attrib["x1"]) < width
            assert 0 < float(line.attrib["y1"]) <= float(line.attrib["y2"]) < height
        starts = [float(line.attrib["y1"]) for line in lines]
        assert all(after - before >= 22 for before, after in itertools.pairwise(starts))


def test_a_label_cannot_break_the_page() -> None:
    talk = Talk().open().say("client", b"GET /<script>\x07&\xff HTTP/1.0\r\n\r\n")
    ladder = draw(Capture.open(pcap(talk.frames)))
    assert "<script>" not in html(ladder)
    ElementTree.fromstring(svg_panels(ladder)[0])
    assert "\x07" not in text(ladder) + html(ladder)


def test_passwords_are_not_drawn() -> None:
    talk = Talk(server=("10.77.2.80", 110)).open().say("server", b"+OK\r\n").say("client", b"PASS hungry\r\n")
    assert "hungry" not in text(draw(Capture.open(pcap(talk.frames)), ("pop3",)))
    talk = Talk(server=("10.77.2.25", 587)).open().say("server", b"220 mail\r\n").say("client", b"EHLO me\r\n")
    talk.say("server", b"250 AUTH PLAIN\r\n").say("client", b"AUTH PLAIN AGh1bmdyeQ==\r\n").say("server", b"235 ok\r\n")
    drawn = text(draw(Capture.open(pcap(talk.frames)), ("smtp",)))
    assert "AGh1bmdyeQ==" not in drawn
    assert "AUTH PLAIN ****" in drawn
