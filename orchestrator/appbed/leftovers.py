"""What a killed command left: instances whose owner is gone, and halves of instances."""

from __future__ import annotations

import re
from dataclasses import dataclass

from appbed import process
from appbed.engine import Engine, Instance

_OWNER = re.compile(r"[^:]*:[0-9]*:[0-9]{1,10}:[0-9]*")  # as process.me writes it


@dataclass(frozen=True, slots=True)
class Leftover:
    """`instance` is the name to take down."""

    what: str
    why: str
    instance: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def find(engine: Engine) -> list[Leftover]:
    found = []
    for instance in engine.instances():
        why = _why(instance)
        if why:
            objects = len(instance.containers) + len(instance.networks) + len(instance.volumes)
            found.append(Leftover(f"{instance.name} ({objects} objects)", why, instance.name))
    return found


def remove(engine: Engine, leftover: Leftover) -> None:
    engine.down(leftover.instance)


def _why(instance: Instance) -> str:
    owned = _OWNER.fullmatch(instance.owner) is not None  # a label that names no process is that of nobody
    if owned and _lives(instance.owner):
        return ""
    if not instance.running:
        return "none of its containers runs"
    if owned and not instance.lives_on:
        return "the command that brought it up is gone"
    return ""


def _lives(owner: str) -> bool:
    """Another machine's process (a remote engine), or another container's, cannot be asked: it counts as alive."""
    return not process.can_be_seen(owner) or process.lives(owner)
