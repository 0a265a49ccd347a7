"""Lab: a running topology. Hosts, links and captures are its methods; whatever it starts, it stops.

with Lab.up(find("web")) as lab:
    lab.exec("client", "curl", "-s", "http://www.someschool.edu/")
    with lab.link("gateway@access").set(loss="1%"):
        ...
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appbed import bringup, loader, places, process, topology
from appbed.agent_client import AgentClient
from appbed.captured import Captured, fetch
from appbed.engine import Completed, Engine, Project
from appbed.errors import AgentError, AppbedError, CommandError, CommandTimeout, EngineError, StartError
from appbed.faults import Faults
from appbed.forgetting import Forgetting
from appbed.links import Link, change, held, plan
from appbed.shells import Shells
from appbed.topology import Topology

READY_S = 60.0
CALM_S = 15.0
_CALM, _MOMENT_S = 0.5, 0.25


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of coming up: what, and how long since `up` began."""

    what: str
    seconds: float


Say = Callable[[Progress], None]


class Lab:
    """A running instance of a topology."""

    def __init__(self, engine: Engine, instance: str, shape: Topology) -> None:
        self.engine = engine
        self.name = instance
        self.topology = shape
        self.agent = AgentClient(engine, instance, shape.agent)
        self._shells = Shells(engine, instance)
        self._forgetting = Forgetting(self._shells, shape)

    # ---- coming and going

    @classmethod
    def up(
        cls,
        file: Path,
        engine: Engine,
        *,
        name: str | None = None,
        overrides: Sequence[Path] = (),
        net: str | None = None,
        links: str = "auto",
        lives_on: bool = False,
        say: Say = lambda _: None,
        timeout_s: float = READY_S,
    ) -> Lab:
        """Starts an instance and waits until every host is ready; if it does not come up, it is gone again afterwards.

        `net` is the first two octets of its addresses (default: leased), `links` the back-end. Unless it `lives_on`, `gc` takes it
        for a leftover once this process is gone.
        """
        began = time.monotonic()
        shape = topology.load(file, os.environ, *overrides)
        instance = bringup.checked_name(name or shape.name)
        bringup.refuse_name_that_is_up(engine, instance)
        missing = engine.missing_images([host.image for host in shape.hosts.values()])
        if missing:
            raise EngineError(f"images missing: {', '.join(missing)}", remedy="run `appbed setup`")

        def told(what: str) -> None:
            say(Progress(what, time.monotonic() - began))

        environment = {
            "APPBED_LINKS": links,
            "APPBED_OWNER": process.me(),
            "APPBED_LIVES_ON": str(lives_on).lower(),
            "APPBED_TOPOLOGY": file.name,
            places.SHARE: os.environ.get(places.SHARE) or str(places.root()),
            "APPBED_WINDOW": os.environ.get("APPBED_WINDOW", ""),  # none named: any free ports
        }
        with contextlib.ExitStack() as undo:
            net = bringup.create(engine, Project(instance, (file, *overrides), environment), net, undo, told)
            variables = {**os.environ, **environment, "APPBED_NET": net, "COMPOSE_PROJECT_NAME": instance}
            document = loader.load(file, variables, *overrides)
            engine.copy_in(instance, shape.agent, bringup.GIVEN, json.dumps(document.data).encode())
            lab = cls(engine, instance, topology.resolve(document))
            undo.push(lab._closed_if_failed)
            engine.start(instance, lambda service: told(f"started {service}"))
            lab.wait_ready(timeout_s, told)
        return lab

    @classmethod
    def attach(cls, engine: Engine, name: str | None = None) -> Lab:
        """The instance `name`, or the only one there is; its topology as it was brought up with."""
        instance = bringup.the_one(engine.instances(), name)
        return cls(engine, instance.name, bringup.shape(engine, instance))

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def close(self) -> None:
        """Ends the talk with it; it stays up."""
        try:
            self.agent.close()
        finally:
            self._shells.close()

    def down(self) -> int:
        """Removes everything of the instance, whatever becomes of the streams; the number of objects that went."""
        try:
            self.close()
        finally:
            removed = bringup.take_down(self.engine, self.name)
        return removed

    def logs(self, host: str, *, tail: int | None = None) -> str:
        """What a host's server (or the agent) logged."""
        if host != self.topology.agent:
            self.topology.host(host)
        return self.engine.logs(self.name, host, tail=tail)

    def _closed_if_failed(self, failure: type[BaseException] | None, *_: object) -> bool:
        if failure:
            self.close()
        return False

    def wait_ready(self, timeout_s: float = READY_S, told: Callable[[str], None] = lambda _: None) -> None:
        """Until the agent has wired every host and its server answers; StartError quotes the last lines of one that does not."""
        deadline = time.monotonic() + timeout_s
        answer: dict[str, Any] = {"missing": {self.topology.agent: "the agent"}}
        while time.monotonic() < deadline:
            try:
                for answer in self._waiting(deadline):
                    if answer.get("done"):
                        return
                    told(
                        "waiting for "
                        + ", ".join(f"{host} ({what})" for host, what in list(answer["missing"].items())[:3])
                    )
                break
            except AppbedError:  # the agent itself is still starting
                self._refuse_dead(self.topology.agent)
                threading.Event().wait(0.05)  # between two looks: nothing tells us when it starts
        self._give_up(answer["missing"], timeout_s)

    def _waiting(self, deadline: float) -> Iterator[dict[str, Any]]:
        left = max(0.1, deadline - time.monotonic())
        for answer in self.agent.each("wait", timeout_s=left + 5, seconds=left):
            yield answer
            if not answer.get("waiting"):
                return

    def _refuse_dead(self, host: str) -> None:
        if self.engine.states(self.name).get(host, "gone") in ("gone", "exited", "dead", "restarting"):
            self._give_up({host: "its container, which ended"}, 0)

    def _give_up(self, missing: Mapping[str, str], waited_s: float) -> None:
        host, what = next(iter(missing.items()))
        said = self.engine.logs(self.name, host, tail=8).strip().splitlines()
        lines = "; its last lines: " + " | ".join(line.strip() for line in said[-8:]) if said else "; it logged nothing"
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        after = f" after {waited_s:.0f} s" if waited_s else ""
        raise StartError(
            f"{self.name}: {host} is not ready{after}: waited for {what}{others}{lines}",
            remedy="it was taken down again",
        )

    # ---- what can be done with it

    def exec(self, host: str, *argv: str, stdin: str = "", check: bool = True, timeout_s: float = 60.0) -> Completed:
        """Runs a command inside a host; CommandError if it fails and `check`."""
        if host != self.topology.agent:
            self.topology.host(host)
        done = self.engine.exec(self.name, host, argv, stdin=stdin, timeout_s=timeout_s)
        if check and done.status:
            raise CommandError(host, argv, done.status, done.stdout, done.stderr)
        return done

    def until(self, done: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        """Looks ten times a second until `done`; AppbedError says what was waited for."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline:
                raise CommandTimeout(f"{self.name}: {what}: not within {timeout_s:.0f} s")
            threading.Event().wait(0.1)

    def link(self, name: str) -> Link:
        """By "host" (if it has one network) or "host@network"."""
        return Link(self.agent, str(self.topology.attachment(name)))

    @contextlib.contextmanager
    def schedule(self, entries: Mapping[str, Sequence[str]], *, start: str | None = None) -> Iterator[None]:
        """`{"client@campus": ["at 2s for 5s: loss=5%"]}`: carried out by the agent's own clock, from now or from `start` on.

        It ends with the block, or with this process.
        """
        planned = plan({str(self.topology.attachment(name)): texts for name, texts in entries.items()}, start)
        with held(self.agent, "schedule", **planned):
            yield

    @property
    def faults(self) -> Faults:
        """Pause, stop, kill, restart, cut, partition, flap."""
        return Faults(self.engine, self.name, self.topology, self.agent)

    def links(self) -> list[dict[str, Any]]:
        return list(self.agent.ask("links")["links"])

    def start_capture(self, name: str, points: Sequence[str], **options: object) -> None:
        """Points: hosts, "host@network", networks, or "all". Returns when all are being read.

        Options: `filter` (pcap-filter(7)), `snaplen` (bytes kept of each frame), and dumpcap's `filesize` ("10MB": then a new file
        begins) and `files` (only the newest so many are kept).
        """
        self.agent.ask("capture-start", name=name, points=list(points), options=options)

    def stop_capture(self, name: str, to: Path) -> Captured:
        """Ends it and fetches its file to `to`; with a `filesize` it is several, beside `to`: NAME_00001_<time>.pcapng."""
        answer = self.agent.ask("capture-stop", name=name, timeout_s=120)
        return fetch(self.engine, self.name, self.topology.agent, name, answer, to)

    @contextlib.contextmanager
    def capture(self, to: Path, *points: str, **options: object) -> Iterator[Path]:
        """`with lab.capture(file, "client", "dns"):` the file is there after the block; AgentError if it ended before that."""
        name = to.stem
        self.start_capture(name, points or ("all",), **options)
        try:
            yield to
        except BaseException:
            self.stop_capture(name, to)
            raise
        captured = self.stop_capture(name, to)
        if captured.problem:
            raise AgentError(captured.problem, remedy=f"see {', '.join(map(str, captured.files))}")

    def reset(self, *hosts: str) -> None:
        """Servers forget what they were told (`/appbed/reset` of their role): `hosts`, or all that are no routers."""
        self._forgetting.reset(*hosts)

    def renewed(self) -> dict[str, Completed]:
        """All are reset; by host what it says it still knows (`/appbed/remembers` of its role), without those that cannot say."""
        return self._forgetting.renewed()

    def calm(self, timeout_s: float = CALM_S) -> float:
        """Waits until the processors are idle for half of a moment: what a reset starts goes on after the reset has answered.

        Returns the share that was busy in the last moment, also when time is up.
        """
        deadline, share = time.monotonic() + timeout_s, 1.0
        ticks = self.agent.ask("status")["processor"]
        while share > _CALM and time.monotonic() < deadline:
            threading.Event().wait(_MOMENT_S)  # the moment that is looked at
            before, ticks = ticks, self.agent.ask("status")["processor"]
            share = (ticks["busy"] - before["busy"]) / max(1, ticks["all"] - before["all"])
        return share

    def reset_links(self) -> None:
        """Every link goes back to what the topology declares."""
        self.change_links({str(attachment): {} for attachment in self.topology.attachments()}, base="declared")

    def change_links(self, changes: Mapping[str, Mapping[str, object]], *, base: str = "now") -> None:
        """Several links at once: `x-link` blocks by attachment, laid over each as it is `now`, as `declared`, or `clean`."""
        change(self.agent, changes, base=base)
