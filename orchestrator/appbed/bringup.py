"""Instances of a topology as a whole: created on addresses of their own, undone when that fails, found again, taken down."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from appbed import lease, topology
from appbed.engine import AddressTaken, Engine, Instance, Project
from appbed.errors import AppbedError, EngineError, InputError, StartError
from appbed.loader import Document
from appbed.topology import Topology

GIVEN = "/appbed/topology.json"  # where the agent finds the topology it was brought up with
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_TRIES = 6  # nets, when other processes are quicker to create networks on them


def checked_name(name: str) -> str:
    """`name` if it can be an instance's."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:60]!r} is no instance name",
            remedy="use at most 41 of a-z, 0-9, '-' and '_', beginning with a letter or digit",
        )
    return name


def create(
    engine: Engine, project: Project, wanted: str | None, undo: contextlib.ExitStack, told: Callable[[str], None]
) -> str:
    """Creates networks and containers on a free net (the two octets that come back), the next one if somebody was quicker.

    What `undo` holds from the moment something is created takes it down again if the `with undo` block fails.
    """
    refused: list[str] = []
    with lease.held():
        refuse_name_that_is_up(engine, project.name)
        undo.enter_context(undone(engine, project.name))
        while True:
            net = _net(engine, wanted, refused)
            told(f"creating on {net}.0.0/16")
            try:
                engine.create(replace(project, environment={**project.environment, "APPBED_NET": net}))
                return net
            except AddressTaken:
                if wanted or len(refused) >= _TRIES:
                    raise
                refused.append(net)
                engine.down(project.name)


def refuse_name_that_is_up(engine: Engine, name: str) -> None:
    taken = next((one for one in engine.instances() if one.name == name), None)
    if taken:
        raise InputError(
            f"{name} is already up ({taken.running} containers)",
            remedy=f"`appbed down --name {name}`, or choose another --name",
        )


def _net(engine: Engine, wanted: str | None, refused: Sequence[str]) -> str:
    routes = engine.routes()
    if wanted:
        return lease.choose(routes, wanted)
    nets = [net for net in lease.free(routes) if net not in refused]
    return nets[0] if nets else lease.choose(routes)


def the_one(instances: Sequence[Instance], name: str | None) -> Instance:
    """The instance `name`, or the only one there is."""
    names = [instance.name for instance in instances]
    if name is not None:
        found = next((instance for instance in instances if instance.name == name), None)
        if found is None:
            raise InputError(
                f"no instance {name[:60]!r} is up; up: {', '.join(names) or 'none'}", remedy="see `appbed ps`"
            )
        return found
    if len(instances) != 1:
        raise InputError(
            f"{len(names)} instances are up: {', '.join(names) or 'none'}",
            remedy="name one with --name" if names else "bring one up, for example `appbed up web`",
        )
    return instances[0]


def shape(engine: Engine, instance: Instance) -> Topology:
    """The topology an instance was brought up with. Its agent keeps that; if `docker compose` brought it up, its files have it."""

    def of_files() -> Topology:
        if not instance.files:
            raise EngineError(
                f"{instance.name}: no container of it is its agent", remedy=f"`appbed down --name {instance.name}`"
            )
        environment = {**os.environ, "APPBED_NET": instance.net, "COMPOSE_PROJECT_NAME": instance.name}
        return topology.load(instance.files[0], environment, *instance.files[1:])

    try:
        data = json.loads(engine.read(instance.name, instance.agent or of_files().agent, GIVEN))
    except (EngineError, ValueError):  # ValueError: half of it, from an `up` that was killed meanwhile
        return of_files()
    return topology.resolve(Document(Path(f"{instance.name}:{GIVEN}"), data))


def take_down(engine: Engine, name: str) -> int:
    """Removes everything of an instance, also through a Ctrl-C; the number of objects that went."""
    with _uninterrupted():
        return engine.down(name)


@contextlib.contextmanager
def undone(engine: Engine, instance: str) -> Iterator[None]:
    """What was begun is taken down if it fails half-way, also by Ctrl-C."""
    try:
        yield
    except BaseException as error:
        try:
            take_down(engine, instance)
        except AppbedError as also:
            raise StartError(
                f"{str(error) or type(error).__name__}; and then {also.message}", remedy=also.remedy
            ) from error
        raise


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C does not stop the taking down; it takes seconds."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in ends]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
