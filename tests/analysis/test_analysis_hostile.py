"""A capture made by somebody else does not speak to the terminal."""

from __future__ import annotations

from traffic import Spot, Talk, pcapng

from appbed.analysis import Capture, analyze
from appbed.analysis.ladder import draw
from appbed.analysis.ladder_text import text

HOSTILE = "\x1b]0;owned\x07\x1b[2J<script>"


def speaks(said: str) -> list[str]:
    return [char for char in said if not char.isprintable() and char != "\n"]


def test_neither_its_names_nor_what_was_said_in_it_reach_the_terminal_as_they_are() -> None:
    talk = Talk().open()
    talk.say("client", f"GET /{HOSTILE} HTTP/1.1\r\nHost: {HOSTILE}\r\n\r\n".encode())
    frames = talk.close("server").frames
    spots = [Spot(f"host:{HOSTILE}:eth0", "10.77.1.10", HOSTILE), Spot(f"host:{HOSTILE}2:eth0", "10.77.2.80", HOSTILE)]
    capture = Capture.open(pcapng(spots, [(at % 2, *timed) for at, timed in enumerate(frames)]))
    drawn = text(draw(capture))
    assert "<script>" in drawn
    assert not speaks(drawn)
    assert not speaks("".join(table.text() for table in analyze(capture).tables))
