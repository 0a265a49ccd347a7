"""Runs scenarios: predict, up, set the links, capture, act, judge, down; and judges saved runs again."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from appbed import evidence, fidelity, places, scenario, topology, verify
from appbed.captured import Captured
from appbed.engine import Completed, Engine
from appbed.errors import AppbedError, CommandError, CommandTimeout, InputError, LinkError
from appbed.evidence import Evidence, Recorder
from appbed.impairment import change
from appbed.lab import Lab
from appbed.scenario import Links, Scenario
from appbed.topology import Topology
from appbed.verdict import BUSY, Outcome, Verdict

Say = Callable[[str], None]
_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h: a role's way to say that it does not support what was asked
_LOST = Captured((), {}, "the agent was started again during the run: its cables and its captures were cut")


@dataclass(frozen=True, slots=True)
class Ran:
    """One scenario's run and its verdict."""

    name: str
    scenario: Scenario
    folder: Path
    verdict: Verdict


def run(
    chosen: Mapping[str, Scenario],
    engine: Engine,
    runs: Path,
    *,
    seed: int,
    links: str,
    say: Say,
    short: bool = False,
    overrides: Sequence[Path] = (),
) -> Iterator[Ran]:
    """Scenarios on one topology share one bring-up, with a reset between them; `short` leaves out points of sweeps.

    `overrides` are Compose files laid over every topology.
    """
    if short:
        chosen = {key: each.shortened() for key, each in chosen.items()}
    for name in dict.fromkeys(each.topology for each in chosen.values()):
        group = {key: each for key, each in chosen.items() if each.topology == name}
        file = places.topology_file(name)
        folders = {
            key: _predicted(key, each, topology.load(file, os.environ, *overrides), runs, seed)
            for key, each in group.items()
        }
        instance = f"run-{name}-{os.getpid()}"
        with Lab.up(
            file, engine, name=instance, overrides=overrides, links=links, say=lambda step: say(step.what)
        ) as lab:
            for key, each in group.items():
                _act(each, lab, folders[key], seed, say)
                say(f"{key}: judging")
                yield Ran(key, each, folders[key], check(folders[key], each))


def on(lab: Lab, chosen: Mapping[str, Scenario], runs: Path, *, seed: int, short: bool = False) -> Iterator[Ran]:
    """Scenarios on a lab that is up, each predicted before it acts."""
    for key, each in chosen.items():
        one = each.shortened() if short else each
        folder = _predicted(key, one, lab.topology, runs, seed)
        _act(one, lab, folder, seed, lambda text: None)
        yield Ran(key, one, folder, check(folder, one))


def check(folder: Path, chosen: Scenario | None = None) -> Verdict:
    """Judges a run's evidence, and writes verdict.json. A crash in the check is INCONCLUSIVE, never a pass."""
    found = Evidence(folder)
    each = chosen or _of(found)
    try:
        refused = _refused(found)
        verdict = refused or _spoilt(found) or _failed(found) or each.check(found)
        if not refused and (unseen := found.incomplete):
            verdict = replace(verdict, outcome=Outcome.INCONCLUSIVE, because=unseen[0])
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
    conditions = _under(each, shape, seed)
    expected = each.predict(conditions)
    folder = evidence.new_folder(runs, name)
    prediction = {"scenario": name, "claims": list(each.claims), "under": conditions, "expected": expected}
    evidence.write(folder, "prediction", prediction)
    return folder


def _under(each: Scenario, shape: Topology, seed: int) -> dict[str, Any]:
    """What a scenario's prediction may know."""
    conditions: dict[str, Any] = {"links": _links(each, shape), "seed": seed}
    if each.sweep:
        conditions["sweep"] = {
            point: {"set": links, "links": _links(each, shape, links)} for point, links in each.sweep.items()
        }
    return conditions


def _links(each: Scenario, shape: Topology, over: Links = MappingProxyType({})) -> dict[str, Any]:
    """Every attachment that is not clean under this scenario, as set; at a point of its sweep, which is laid `over` it."""
    links = {str(at): at.link for at in shape.attachments()}
    for changes in (each.links, over):
        for name, settings in changes.items():
            at = str(shape.attachment(name))
            links[at] = change(links[at], settings, f"links.{name}")
    return {name: link.settings() for name, link in links.items() if not link.clean}


def _act(each: Scenario, lab: Lab, folder: Path, seed: int, say: Say) -> None:
    recorder = Recorder(folder, say)
    try:
        if refusal := _refusal(each, lab.topology, folder):
            recorder.event("unsupported", because=refusal)
            return
        with _links_set(each, lab, seed):
            say("reset")
            remembered = lab.renewed()  # after the links: a resolver knows how far away each server was
            say("measuring the links")
            lab.calm()
            watch = verify.Watch(lab)
            _predict_again(each, lab, folder)
            before = lab.agent.ask("status")
            watch.count()
            lab.start_capture("run", each.capture)
            watch.count()
            busy = lab.calm()
            recorder.event("capturing", points=list(each.capture), processor_busy=round(busy, 3))
            try:
                _run(each, lab, recorder)
            finally:
                recorder.event("acted")
                after = _survived(lab, recorder, before)
                same = after["started"] == before["started"]
                watch.count()
                captured = lab.stop_capture("run", folder / "capture.pcapng") if same else _LOST
            watch.count()
            say("measuring the links")
            conditions = {**_conditions(lab, before, after, captured), **watch.ended()}
            recorder.write("conditions", {"seed": seed, **_knew(remembered), **conditions})
    except CommandError as error:  # before anything was done
        recorder.event(_kind(error, "unprepared"), because=str(error))
    except LinkError as error:
        recorder.event("unprepared", because=str(error))
    except AppbedError as error:
        recorder.event("error", message=str(error))
        raise
    finally:
        recorder.close()


def _run(each: Scenario, lab: Lab, recorder: Recorder) -> None:
    """Acts; a command that failed inside a host ends this scenario with its cause, and the others go on."""
    try:
        each.run(lab, recorder)
    except CommandError as error:
        recorder.event(_kind(error, "failed"), because=str(error))
    except CommandTimeout as error:
        recorder.event("failed", because=str(error))


def _kind(error: CommandError, otherwise: str) -> str:
    return "unsupported" if error.status == _UNAVAILABLE else otherwise


def _predict_again(each: Scenario, lab: Lab, folder: Path) -> None:
    """The prediction once more, now that the idle way is known, and on disk before anything is done; the first one stays beside it."""
    if each.idle and (found := verify.idle(lab, *each.idle)):
        first = Evidence(folder).prediction
        under = {**first["under"], "idle": found}
        evidence.write(
            folder,
            "prediction",
            {**first, "under": under, "expected": each.predict(under), "first": first["expected"]},
        )


def _knew(said: Mapping[str, Completed]) -> dict[str, Any]:
    """By host, what it still knew after its reset, and why it could not say so although it should."""
    failed = {
        host: f"exit status {done.status}: {(done.stderr.strip() or done.stdout.strip())[-200:]}"
        for host, done in said.items()
        if done.status
    }
    return {
        "remembered": {host: done.stdout.splitlines() for host, done in said.items() if not done.status},
        "remembers_failed": failed,
    }


def _survived(lab: Lab, recorder: Recorder, before: Mapping[str, Any]) -> dict[str, Any]:
    """The agent's status, also of one that was killed meanwhile; what it did and saw since `before` becomes events of the run."""
    after = lab.agent.ask_again("status")
    for event in lab.agent.ask("events", since=before["now"])["events"]:
        recorder.event("agent", time_s=event.pop("time"), what=event.pop("event"), **event)
    return after


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
        "capture_warnings": list(captured.warnings),
    }


@contextmanager
def _links_set(each: Scenario, lab: Lab, seed: int) -> Iterator[None]:
    lab.reset_links()
    lab.change_links({name: {**settings, "seed": seed} for name, settings in each.links.items()})
    try:
        yield
    finally:
        lab.reset_links()


def _refusal(each: Scenario, shape: Topology, folder: Path) -> str:
    """Whether an image of the topology says no to this scenario, before anything is tried; "" if none does."""
    name = str(Evidence(folder).prediction["scenario"])
    for host in shape.hosts.values():
        if refused := {name, *each.claims} & set(host.role.unsupported):
            return f"{host.name}: {host.image} does not support {', '.join(sorted(refused))}"
    return ""


def _refused(found: Evidence) -> Verdict | None:
    """What ended a run before there was anything to judge."""
    for kind, outcome in (("unsupported", Outcome.UNSUPPORTED), ("unprepared", Outcome.INCONCLUSIVE)):
        for event in found.of(kind):
            return Verdict(outcome, event.data["because"])
    return None


def _failed(found: Evidence) -> Verdict | None:
    """A command that failed although the links were as set: no claim holds where it cannot be tried."""
    for event in found.of("failed"):
        busy = float(found.conditions["processor_busy"])
        if busy > BUSY:
            because = f"{event.data['because']}; the machine's processors were {busy:.0%} busy"
            return Verdict(Outcome.INCONCLUSIVE, because)
        return Verdict(Outcome.FAILED, event.data["because"])
    return None


def _spoilt(found: Evidence) -> Verdict | None:
    """What no check has to look for itself: frames not captured, an agent that was away, links that were not as set."""
    for host, why in found.conditions.get("remembers_failed", {}).items():
        return Verdict(Outcome.INCONCLUSIVE, f"{host} could not say what it knew after its reset: {why}")
    for host, lines in found.conditions.get("remembered", {}).items():
        if lines:
            return Verdict(Outcome.INCONCLUSIVE, f"{host} still knew {lines[0]} after its reset")
    dropped = sum(int(counts["dropped"]) for counts in found.conditions["capture"].values())
    if dropped:
        return Verdict(Outcome.INCONCLUSIVE, f"{dropped} frames were not captured", figures={"frames_dropped": dropped})
    for warning in found.conditions.get("capture_warnings", ()):
        return Verdict(Outcome.INCONCLUSIVE, str(warning))
    agent = found.conditions["agent"]
    if agent["before"] != agent["after"]:
        return Verdict(
            Outcome.INCONCLUSIVE, "the agent was started again during the run: its cables were cut for a moment"
        )
    because = fidelity.unsound(found.conditions, lambda: found.capture)
    return Verdict(Outcome.INCONCLUSIVE, because) if because else None
