"""What a killed command left: instances whose owner is gone, halves of instances, devices of agents that are no more."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appbed.engine import Engine, Instance


@dataclass(frozen=True, slots=True)
class Leftover:
    """`instance` is the name to take down."""

    what: str
    why: str
    instance: str


def me() -> str:
    """This process, so that another one can tell whether it still lives: boot, pid, start time."""
    return f"{_boot()}:{os.getpid()}:{_started(os.getpid())}"


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
    if instance.owner and _lives(instance.owner):
        return ""
    if not instance.running:
        return "none of its containers runs"
    if instance.owner and not instance.lives_on:
        return "the command that brought it up is gone"
    return ""


def _lives(owner: str) -> bool:
    """Another machine's process (a remote engine) cannot be asked: it counts as alive."""
    boot, _, rest = owner.partition(":")
    if boot != _boot():
        return True
    pid, _, started = rest.partition(":")
    return _started(int(pid)) == started


def _boot() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else "unknown"


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""
