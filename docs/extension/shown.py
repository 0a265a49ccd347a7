"""A saved run as a piece of HTML: what was predicted, what was seen, and who said what to whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel

from appbed import claims, schema
from appbed.analysis import ladder, ladder_svg
from appbed.analysis.ladder import Arrow, Ladder
from appbed.analysis.steps import STORY
from appbed.report import curves, plots
from appbed.verdict import Finding
from extension.saved import Saved

_ROWS = 8  # of a table that stands open
_SEARCHED = 20_000  # messages, for those of a step that may come late
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a run's ladder is drawn: protocols ("none" alone: no ladder), hosts, one step, so many messages."""

    protocols: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    step: str = ""
    arrows: int = 14


def run(one: Saved, wanted: Wanted) -> str:
    drawn = None if wanted.protocols == ("none",) else _ladder(one, wanted)
    told = _told(one.verdict.findings)
    times = [event.time_s for event in one.evidence.events]
    return (
        _templates()
        .get_template("run.html")
        .render(
            run=one,
            wanted=wanted,
            sentences={claim: claims.sentence(claim) for claim in one.scenario.claims},
            links=_links(one.evidence.prediction["under"]["links"]),
            points=tuple(one.scenario.sweep),
            told=told,
            left=len(told) < len(one.verdict.findings),
            plots=_plots(one),
            ladder=Markup("".join(ladder_svg.svg_panels(drawn))) if drawn and drawn.arrows else None,
            messages=len(drawn.arrows) if drawn else 0,
            began=f"{datetime.fromtimestamp(min(times), UTC):%Y-%m-%d}",
            seconds=f"{max(times) - min(times):.0f}",
            backend=one.evidence.conditions["backend"],
        )
    )


def keys(block: type[BaseModel]) -> str:
    """What a file may say in this block, nested blocks by their names."""
    found = {name: block.model_fields[name].description or "" for name in schema.fields(block)}
    return _templates().get_template("keys.html").render(keys=found)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made


def _told(findings: Iterable[Finding]) -> list[Finding]:
    """Of findings that differ in a number only the first, those with numbers before those without."""
    kinds: dict[tuple[str, str], Finding] = {}
    for line in findings:
        kinds.setdefault((_NUMBERS.sub("#", line.what), _NUMBERS.sub("#", line.expected)), line)
    return sorted(kinds.values(), key=lambda line: line.predicted is None)[:_ROWS]


def _links(under: Mapping[str, Any]) -> dict[str, str]:
    """Each shaped link in words, once where both directions are alike."""
    found = {}
    for at, ways in under.items():
        said = {way: ", ".join(f"{key} {value}" for key, value in ways[way].items() if key != "seed") for way in ways}
        alike = len(set(said.values())) == 1
        found[at] = said["up"] if alike else "; ".join(f"{way} {words or 'clean'}" for way, words in said.items())
    return found


def _plots(one: Saved) -> list[Markup]:
    return [
        Markup(plots.svg(plot, f"{one.name}-{number}"))
        for number, plot in enumerate(curves.plots(one.verdict.findings))
    ]


def _ladder(one: Saved, wanted: Wanted) -> Ladder:
    hosts = {str(each): str(name) for name, found in one.evidence.conditions["hosts"].items() for each in found}
    limit = _SEARCHED if wanted.step else wanted.arrows
    drawn = ladder.draw(one.evidence.capture, wanted.protocols or STORY, hosts=wanted.hosts, known=hosts, limit=limit)
    return _part(drawn, one.evidence.window(wanted.step), wanted.arrows) if wanted.step else drawn


def _part(whole: Ladder, window: tuple[float, float], most: int) -> Ladder:
    """The first messages of a window, with the columns they need, from their own beginning on."""
    begin_s, end_s = (edge - whole.start_s for edge in window)
    kept = [arrow for arrow in whole.arrows if begin_s <= arrow.sent_s < end_s][:most]
    if not kept:
        return replace(whole, hosts=(), arrows=())
    columns = dict.fromkeys(column for arrow in kept for column in (arrow.source, arrow.destination))
    places = {column: place for place, column in enumerate(columns)}
    arrows = tuple(_moved(arrow, kept[0].sent_s, places) for arrow in kept)
    return Ladder(tuple(whole.hosts[column] for column in columns), arrows, whole.start_s + kept[0].sent_s)


def _moved(arrow: Arrow, by_s: float, places: Mapping[int, int]) -> Arrow:
    return replace(
        arrow,
        source=places[arrow.source],
        destination=places[arrow.destination],
        sent_s=arrow.sent_s - by_s,
        received_s=None if arrow.received_s is None else arrow.received_s - by_s,
        asked_s=None if arrow.asked_s is None else arrow.asked_s - by_s,
    )
