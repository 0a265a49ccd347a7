"""What a killed command left: instances whose owner is gone, and halves of instances."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

from appbed import process
from appbed.engine import Engine, Instance

_END_S, _MOMENT_S = 10.0, 1.0
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


def end_orphans() -> int:
    """Ends processes that still work for a command that is gone: Compose would go on creating what nobody will ever use."""
    ended = 0
    for pid, owner in process.having("APPBED_OWNER").items():
        if _OWNER.fullmatch(owner) and process.can_be_seen(owner) and not process.lives(owner):
            ended += process.ended(pid, "APPBED_OWNER", owner, _END_S)
    return ended


def settle(engine: Engine) -> None:
    """Waits until the engine has done what a killed command asked it for last, and nothing changes any more.

    A container that is removed while it is being started can leave its network counting it for ever (seen with 20.10).
    """
    deadline, seen = time.monotonic() + _END_S, None
    while time.monotonic() < deadline and seen != (now := engine.instances()):
        seen = now
        threading.Event().wait(_MOMENT_S)  # nothing tells when requests of somebody else are done


def _why(instance: Instance) -> str:
    owned = _OWNER.fullmatch(instance.owner) is not None  # a label that names no process is that of nobody
    if owned and _lives(instance.owner):
        return ""
    if not instance.running:
        return "none of its containers runs"
    if owned and not instance.lives_on:
        return "the command that brought it up is gone"
    return _half(instance) if owned else ""


def _half(instance: Instance) -> str:
    """Why an instance that was to live on cannot: a command was killed in the middle. What is started is started from the agent
    on, what is taken down is taken down from the agent on."""
    if any(container.state == "created" for container in instance.containers):
        return "the command that brought it up was killed half-way"
    agent = next((container for container in instance.containers if container.role == "agent"), None)
    gone = agent is None or agent.state in ("exited", "dead", "removing")  # one that was killed is "restarting"
    return "the command that took it down was killed half-way" if gone else ""


def _lives(owner: str) -> bool:
    """Another machine's process (a remote engine), or another container's, cannot be asked: it counts as alive."""
    return not process.can_be_seen(owner) or process.lives(owner)
