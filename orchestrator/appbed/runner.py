"""Runs scenarios: predict, up, set the links, capture, act, judge, down; and judges saved runs again."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appbed import evidence, places, scenario, topology
from appbed.engine import Engine
from appbed.errors import AppbedError, InputError
from appbed.evidence import Evidence, Recorder
from appbed.impairment import change
from appbed.lab import Captured, Lab
from appbed.scenario import Scenario
from appbed.topology import Topology
from appbed.verdict import Outcome, Verdict

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ran:
    """One scenario's run and its verdict."""

    name: str
    scenario: Scenario
    folder: Path
    verdict: Verdict


def run(
    chosen: Mapping[str, Scenario], engine: Engine, runs: Path, *, seed: int, links: str, say: Say
) -> Iterator[Ran]:
    """Scenarios on one topology share one bring-up, with a reset between them."""
    for name in dict.fromkeys(each.topology for each in chosen.values()):
        group = {key: each for key, each in chosen.items() if each.topology == name}
        file = places.topology_file(name)
        folders = {
            key: _predicted(key, each, topology.load(file, os.environ), runs, seed) for key, each in group.items()
        }
        instance = f"run-{name}-{os.getpid()}"
        with Lab.up(file, engine, name=instance, links=links, say=lambda step: say(step.what)) as lab:
            for key, each in group.items():
                _act(each, lab, folders[key], seed, say)
                say(f"{key}: judging")
                yield Ran(key, each, folders[key], check(folders[key], each))


def check(folder: Path, chosen: Scenario | None = None) -> Verdict:
    """Judges a run's evidence, and writes verdict.json. A crash in the check is INCONCLUSIVE, never a pass."""
    found = Evidence(folder)
    each = chosen or _of(found)
    try:
        verdict = _spoilt(found) or each.check(found)
    except Exception as error:
        verdict = Verdict(Outcome.INCONCLUSIVE, f"the check itself crashed: {type(error).__name__}: {error}")
    evidence.write(folder, "verdict", verdict.plain())
    return verdict


def _of(found: Evidence) -> Scenario:
    name = str(found.prediction.get("scenario"))
    known = scenario.discover()
    if name not in known:
        raise InputError(
            f"{found.folder}: was made by scenario {name!r}, which is unknown", remedy=f"known: {', '.join(known)}"
        )
    return known[name]


def _predicted(name: str, each: Scenario, shape: Topology, runs: Path, seed: int) -> Path:
    """The run's folder with the prediction in it, before anything runs."""
    conditions = {"links": _links(each, shape), "seed": seed}
    expected = each.predict(conditions)
    folder = evidence.new_folder(runs, name)
    prediction = {"scenario": name, "claims": list(each.claims), "under": conditions, "expected": expected}
    evidence.write(folder, "prediction", prediction)
    return folder


def _links(each: Scenario, shape: Topology) -> dict[str, Any]:
    """Every attachment that is not clean under this scenario, as set."""
    links = {str(at): at.link for at in shape.attachments()}
    for name, settings in each.links.items():
        at = shape.attachment(name)
        links[str(at)] = change(at.link, settings, f"links.{name}")
    return {name: link.settings() for name, link in links.items() if not link.clean}


def _act(each: Scenario, lab: Lab, folder: Path, seed: int, say: Say) -> None:
    recorder = Recorder(folder, say)
    try:
        with _links_set(each, lab, seed):
            say("reset")
            lab.reset()  # after the links: a resolver remembers how far away each server was
            before = lab.agent.ask("status")
            lab.start_capture("run", each.capture)
            recorder.event("capturing", points=list(each.capture))
            try:
                each.run(lab, recorder)
            finally:
                recorder.event("acted")
                captured = lab.stop_capture("run", folder / "capture.pcapng")
            after = lab.agent.ask("status")
            recorder.write("conditions", {"seed": seed, **_conditions(lab, before, after, captured)})
    except AppbedError as error:
        recorder.event("error", message=str(error))
        raise
    finally:
        recorder.close()


def _conditions(lab: Lab, before: dict[str, Any], after: dict[str, Any], captured: Captured) -> dict[str, Any]:
    """What the run took place under, from the agent's status before and after it."""
    ticks = {key: after["processor"][key] - before["processor"][key] for key in ("busy", "all")}
    return {
        "engine": lab.engine.version(),
        "machine": platform.platform(),
        "backend": after["links"],
        "agent": {"before": before["started"], "after": after["started"]},
        "processor_busy": round(ticks["busy"] / max(1, ticks["all"]), 3),
        "hosts": {name: [str(address) for address in host.addresses] for name, host in lab.topology.hosts.items()},
        "networks": {name: str(network.subnet) for name, network in lab.topology.networks.items()},
        "links": lab.links(),
        "capture": {name: dict(counts) for name, counts in captured.points.items()},
    }


@contextmanager
def _links_set(each: Scenario, lab: Lab, seed: int) -> Iterator[None]:
    lab.reset_links()
    lab.change_links({name: {**settings, "seed": seed} for name, settings in each.links.items()})
    try:
        yield
    finally:
        lab.reset_links()


def _spoilt(found: Evidence) -> Verdict | None:
    """What no check has to look for itself: frames not captured, an agent that was away."""
    dropped = sum(int(counts["dropped"]) for counts in found.conditions["capture"].values())
    if dropped:
        return Verdict(Outcome.INCONCLUSIVE, f"{dropped} frames were not captured", figures={"frames_dropped": dropped})
    agent = found.conditions["agent"]
    if agent["before"] != agent["after"]:
        return Verdict(
            Outcome.INCONCLUSIVE, "the agent was started again during the run: its cables were cut for a moment"
        )
    return None
