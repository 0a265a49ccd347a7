"""Faults of a running lab: each is begun by a method, carries its own healing, and is a context manager.

    with lab.faults.cut("client", "up"):
        ...
    fault = lab.faults.pause("server")
    fault.heal()

A fault of a link is a hold in the agent, which ends it when this process is gone. A fault of a host only the engine can mend: of
one whose process is gone `show` says that it was left behind, and `heal` mends it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from appbed import partition, process
from appbed.agent_client import AgentClient
from appbed.engine import Action, Engine
from appbed.errors import AppbedError, CommandTimeout, InputError
from appbed.impairment import DIRECTIONS
from appbed.links import release, seconds, take
from appbed.topology import Topology

READY_S = 60.0
HOST_FAULTS: Mapping[str, Action] = {"pause": "pause", "stop": "stop", "kill": "kill"}
LINK_FAULTS = ("cut", "partition", "flap")
_DOWN = {"state": "down"}


class Fault:
    """Something that is wrong on purpose. Healed once, with the end of a `with` block or by `heal`."""

    def __init__(self, kind: str, targets: Sequence[str], hold: str, heal: Callable[[], object]) -> None:
        self.kind, self.targets, self.hold = kind, tuple(targets), hold
        self._heal: Callable[[], object] | None = heal

    def heal(self) -> None:
        """What it did is undone; what the topology declares, or was set meanwhile, holds again."""
        if self._heal:
            self._heal()
        self._heal = None

    def __enter__(self) -> Fault:
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()


class Faults:
    """`lasting` ("5s") ends a fault of a link by itself; unless one is to `outlive` this process, it ends with that."""

    def __init__(
        self, engine: Engine, instance: str, shape: Topology, agent: AgentClient, *, outlive: bool = False
    ) -> None:
        self._engine, self._instance, self._topology, self._agent = engine, instance, shape, agent
        self._holder = "" if outlive else process.me()

    # ---- hosts

    def pause(self, host: str) -> Fault:
        """Its processes stand still; its addresses answer nothing."""
        return self._host_fault("pause", host)

    def stop(self, host: str) -> Fault:
        """It ends as when asked to: it may say good-bye."""
        return self._host_fault("stop", host)

    def kill(self, host: str) -> Fault:
        """It ends in the middle of whatever it does."""
        return self._host_fault("kill", host)

    def restart(self, host: str) -> None:
        """Stopped and started; returns when it is wired and ready again."""
        with self._claimed("restart", host) as hold:
            self._engine.act(self._instance, host, "restart")
            self._until_ready(host)
            release(self._agent, hold)

    def _host_fault(self, kind: str, host: str) -> Fault:
        with self._claimed(kind, host) as hold:
            self._engine.act(self._instance, host, HOST_FAULTS[kind])
        return Fault(kind, [host], hold, lambda: self._mended(host, hold))

    @contextlib.contextmanager
    def _claimed(self, kind: str, host: str) -> Iterator[str]:
        """Nobody else may have a fault of this host; given back, and the host mended, when the block fails."""
        state = self._state(self._topology.host(host).name)
        hold = str(take(self._agent, kind, holder=self._holder, targets=[host])["hold"])
        try:
            if state != "running":
                raise InputError(f"{host} is {state}", remedy=f"mend it first: appbed fault heal {host}")
            yield hold
        except BaseException:
            if state == "running":
                self._mend(host)
            release(self._agent, hold)
            raise

    def _mended(self, host: str, hold: str) -> None:
        try:
            self._mend(host)
        finally:
            release(self._agent, hold)
        self._until_ready(host)

    def _mend(self, host: str) -> None:
        """Running again, whatever was done to it."""
        state = self._state(host)
        if state == "paused":
            self._engine.act(self._instance, host, "unpause")
        elif state not in ("running", "restarting"):
            self._engine.act(self._instance, host, "start")

    def _state(self, service: str) -> str:
        return self._engine.states(self._instance).get(service, "gone")

    def _until_ready(self, host: str) -> None:
        """The agent has wired it and its server answers."""
        deadline = time.monotonic() + READY_S
        answer: dict[str, Any] = {"missing": {host: "the agent"}}
        while host in answer["missing"]:
            if time.monotonic() > deadline:
                what = answer["missing"][host]
                raise CommandTimeout(f"{self._instance}: {host} was started again and is not ready: waited for {what}")
            threading.Event().wait(0.05)  # between two looks
            answer = self._agent.ask_again("status")

    # ---- links

    def cut(self, link: str, direction: str | None = None, *, lasting: str | None = None) -> Fault:
        """Nothing passes any more: `up` (from the host), `down` (to it), or neither way."""
        if direction not in (None, *DIRECTIONS):
            raise InputError(f"direction {direction!r} is unknown", remedy="write up or down, or none for both")
        name = str(self._topology.attachment(link))
        directions = [direction] if direction else list(DIRECTIONS)
        block = dict.fromkeys(directions, _DOWN)
        return self._link_fault("cut", [f"{name} {each}" for each in directions], {name: block}, lasting)

    def partition(self, *groups: Sequence[str], lasting: str | None = None) -> Fault:
        """Groups of hosts and networks that cannot reach each other; one group is parted from all the rest."""
        cut = partition.cables(self._topology, groups)
        targets = [f"{name} {direction}" for name in cut for direction in DIRECTIONS]
        return self._link_fault("partition", targets, dict.fromkeys(cut, _DOWN), lasting)

    def flap(self, link: str, *, down: str, up: str, lasting: str | None = None) -> Fault:
        """Cut for `down`, whole for `up`, again and again, by the agent's own clock."""
        name = str(self._topology.attachment(link))
        length = seconds(down)
        rhythm = {"for_s": length, "period_s": length + seconds(up)}
        if seconds(up) <= 0:
            raise InputError(f"up {up!r} leaves no time in which the link is up", remedy="use `fault cut`")
        return self._link_fault("flap", [f"{name} {each}" for each in DIRECTIONS], {name: _DOWN}, lasting, rhythm)

    def _link_fault(
        self,
        kind: str,
        targets: Sequence[str],
        links: Mapping[str, Mapping[str, object]],
        lasting: str | None,
        rhythm: Mapping[str, float] | None = None,
    ) -> Fault:
        step = {"links": links, "for_s": rhythm["for_s"] if rhythm else None}
        hold = take(
            self._agent,
            kind,
            holder=self._holder,
            targets=list(targets),
            steps=[step],
            for_s=None if lasting is None else seconds(lasting),
            period_s=rhythm["period_s"] if rhythm else None,
        )
        return Fault(kind, targets, hold["hold"], lambda: release(self._agent, hold["hold"]))

    # ---- what is wrong now, and an end to it

    def show(self) -> list[dict[str, Any]]:
        """Faults on record, each host's with the state the engine sees; and hosts that do not run without one on record."""
        states = self._engine.states(self._instance)
        shown = []
        for hold in self._holds():
            on_link = hold["kind"] in LINK_FAULTS
            state = ("down" if hold["links"] else "up") if on_link else states.get(hold["targets"][0], "gone")
            shown.append({**hold, "state": state})
        recorded = {target for fault in shown for target in fault["targets"]}
        for name, state in states.items():
            if state != "running" and name not in recorded:
                shown.append({"hold": None, "kind": "unknown", "targets": [name], "state": state, "left_behind": True})
        return shown

    def heal(self, *targets: str) -> list[str]:
        """Ends faults by host, host@network or number, or all of them, whoever began them; what was mended."""
        self._agent_runs()
        wrong = self.show()
        chosen = [fault for fault in wrong if not targets or any(_matches(fault, target) for target in targets)]
        for target in targets:
            if not any(_matches(fault, target) for fault in wrong):
                self._refuse_unknown(target, wrong)
        release(self._agent, *(fault["hold"] for fault in chosen if fault["kind"] in LINK_FAULTS))
        on_hosts = [fault for fault in chosen if fault["kind"] not in LINK_FAULTS]
        mended, failures = _each(on_hosts, lambda fault: self._mend(fault["targets"][0]))
        release(self._agent, *(fault["hold"] for fault in mended if fault["hold"]))
        _, late = _each(mended, lambda fault: self._until_ready(fault["targets"][0]))
        _raise_first([*failures, *late])
        return [f"{fault['kind']} of {', '.join(fault['targets'])}" for fault in chosen]

    def _refuse_unknown(self, target: str, wrong: Sequence[Mapping[str, Any]]) -> None:
        """A name that is none is a mistake; one that is well is none."""
        known = sorted({name for fault in wrong for name in (*fault["targets"], fault["hold"]) if name})
        if target.isdecimal():
            raise InputError(
                f"no fault {target}; known: {', '.join(known) or 'none'}", remedy="see `appbed fault show`"
            )
        host, at, network = target.partition("@")
        self._topology.host(host)
        if at:
            self._topology.host(host).attachment(network)

    def _agent_runs(self) -> None:
        """An agent that somebody stopped is not started again by the engine."""
        state = self._state(self._topology.agent)
        if state in ("exited", "created", "paused"):
            self._mend(self._topology.agent)
        self._agent.ask_again("status")

    def _holds(self) -> list[dict[str, Any]]:
        holds = self._agent.ask("holds")["holds"]
        return [hold for hold in holds if hold["kind"] in (*LINK_FAULTS, *HOST_FAULTS, "restart")]


def _each(
    faults: Sequence[Mapping[str, Any]], do: Callable[[Mapping[str, Any]], object]
) -> tuple[list[Mapping[str, Any]], list[AppbedError]]:
    """Those for which it could be done, and why it could not for the others: one does not keep the rest from it."""
    done, failures = [], []
    for fault in faults:
        try:
            do(fault)
        except AppbedError as error:
            failures.append(error)
        else:
            done.append(fault)
    return done, failures


def _raise_first(failures: Sequence[AppbedError]) -> None:
    """It tells of the others, too."""
    if failures:
        first, *others = failures
        first.message += "".join(f"; {other.message}" for other in others)
        raise first


def _matches(fault: Mapping[str, Any], target: str) -> bool:
    """By number; "client@campus" and "client@campus up" name a cable, "client" all that is wrong with the host."""
    names = {target for name in fault["targets"] for target in (name, name.partition(" ")[0], name.partition("@")[0])}
    return target == fault["hold"] or target in names
