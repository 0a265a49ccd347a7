"""A scenario: predict, act, judge. The files under scenarios/ are the registry."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from appbed import scenarios
from appbed.errors import InputError
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.verdict import Verdict

Conditions = Mapping[str, Any]
Links = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`predict` sees the conditions only, `run` acts and records only, `check` sees saved evidence only.

    `links` are set before `run` and are part of the conditions; `capture` names the points. `sweep` names further settings, laid
    over `links`, under which `run` does the same again (see `points`); `predict` finds them in `conditions["sweep"]`. `short`
    names the points of the short form (default: all).
    `idle` names two hosts: how long a round trip between them takes before anything is done is measured first, and `predict` is
    asked again with it in `conditions["idle"]`.
    `indifferent` says of a general mutant of the evidence (tests/scenarios/mutants.py) why the verdict does not depend on it.
    """

    about: str
    topology: str
    predict: Callable[[Conditions], dict[str, Any]]
    run: Callable[[Lab, Recorder], None]
    check: Callable[[Evidence], Verdict]
    claims: tuple[str, ...] = ()
    links: Links = field(default_factory=dict)
    sweep: Mapping[str, Links] = field(default_factory=dict)
    capture: tuple[str, ...] = ("all",)
    roles: tuple[str, ...] = ()
    indifferent: Mapping[str, str] = field(default_factory=dict)
    short: tuple[str, ...] = ()
    idle: tuple[str, str] | None = None

    def shortened(self) -> Scenario:
        """The same with fewer points in its sweep."""
        return replace(self, sweep={name: self.sweep[name] for name in self.short or self.sweep})


def points(lab: Lab, record: Recorder) -> Iterator[str]:
    """Each point of the sweep that was predicted: its links are set and recorded, and are as before the sweep at its end."""
    under = Evidence(record.folder).prediction["under"]["sweep"]
    sweep: dict[str, Links] = {name: point["set"] for name, point in under.items()}
    before = {line["attachment"]: line["set"] for line in lab.links()}
    touched = {str(lab.topology.attachment(name)) for links in sweep.values() for name in links}
    try:
        for name, links in sweep.items():
            lab.change_links({at: before[at] for at in touched}, base="clean")
            lab.change_links(links)
            record.step(name, links=links)
            yield name
    finally:
        lab.change_links({at: before[at] for at in touched}, base="clean")


def discover() -> dict[str, Scenario]:
    """Every SCENARIO below scenarios/ by dotted name: "tour", "web.persistent"."""
    found = {}
    for module in pkgutil.walk_packages(scenarios.__path__, scenarios.__name__ + "."):
        if not module.ispkg:
            scenario = getattr(importlib.import_module(module.name), "SCENARIO", None)
            if isinstance(scenario, Scenario):
                found[module.name.removeprefix(scenarios.__name__ + ".")] = scenario
    return found


def _about(claim: str, known: Mapping[str, Scenario]) -> dict[str, Scenario]:
    """The scenarios of a claim: those of its group; one that walks through many claims (the tour) only where there is no other."""
    having = {name: scenario for name, scenario in known.items() if claim in scenario.claims}
    return {name: scenario for name, scenario in having.items() if "." in name} or having


def select(words: list[str]) -> dict[str, Scenario]:
    """By name, group ("web"), claim ("W4") or "all", in the order of names."""
    known = discover()
    chosen: dict[str, Scenario] = {}
    for word in words:
        matching = {
            name: scenario
            for name, scenario in known.items()
            if word == "all" or name == word or name.startswith(f"{word}.")
        } or _about(word, known)
        if not matching:
            groups = {name.partition(".")[0] for name in known}
            claims = {claim for scenario in known.values() for claim in scenario.claims}
            choices = sorted(groups | set(known)) + sorted(claims)
            close = difflib.get_close_matches(word, choices, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InputError(f"no scenario, group or claim {word!r}", remedy=f"{hint}known: {', '.join(choices)}, all")
        chosen.update(matching)
    return chosen
