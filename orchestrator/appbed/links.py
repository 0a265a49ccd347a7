"""Links of a running lab: shown, changed, and changed for a while; what is for a while is a hold, which the agent ends by itself."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from appbed import process, units
from appbed.agent_client import AgentClient
from appbed.errors import InputError, LinkError
from appbed.impairment import DIRECTIONS

_ENTRY = re.compile(r"\s*at\s+(?P<at>[^\s:]+)(?:\s+for\s+(?P<length>[^\s:]+))?\s*:\s*(?P<settings>.*\S)\s*", re.DOTALL)
_HOW = 'write "at 2s for 5s: loss=5%"'
_SETTING = re.compile(r"\s+(?=[a-z.]+=)")  # a value may have spaces in it: loss=gemodel 1% 10%


class Link:
    """One attachment's cable while the lab runs."""

    def __init__(self, agent: AgentClient, name: str) -> None:
        self._agent = agent
        self.name = name

    def show(self) -> dict[str, Any]:
        """What is declared, what is set, by which holds, what was counted."""
        lines = self._agent.ask("links")["links"]
        return dict(next(line for line in lines if line["attachment"] == self.name))

    @contextlib.contextmanager
    def set(self, **settings: object) -> Iterator[None]:
        """`delay="50ms", loss="1%", up={...}`: until the end of the `with` block, or of this process, however it ends."""
        with held(self._agent, "set", steps=[{"links": {self.name: settings}}]):
            yield

    def change(self, *, lasting: str | None = None, **settings: object) -> dict[str, Any]:
        """The settings not named stay. For `lasting` ("10s"), else until changed again or reset."""
        if lasting is None:
            return change(self._agent, {self.name: settings})[0]
        take(self._agent, "set", steps=[{"links": {self.name: settings}}], for_s=seconds(lasting))
        return self.show()

    def reset(self) -> dict[str, Any]:
        """Back to what the topology declares; what holds it otherwise ends."""
        return change(self._agent, {self.name: {}}, base="declared")[0]


def change(agent: AgentClient, blocks: Mapping[str, Mapping[str, object]], base: str = "now") -> list[dict[str, Any]]:
    """`x-link` blocks by attachment, all at once; LinkError where the cable does not do it."""
    lines = [dict(line) for line in agent.ask("link-change", changes=dict(blocks), base=base)["links"]]
    failed = [line for line in lines if line.get("failed")]
    if failed:
        links = ", ".join(line["attachment"] for line in failed)
        raise LinkError(f"{links}: {failed[0]['failed']}", remedy="the agent tries again: see `appbed link show`")
    return lines


def take(agent: AgentClient, kind: str, *, holder: str = "", **request: Any) -> dict[str, Any]:
    """A hold. Without a holder it stays until its time is over or somebody ends it."""
    return dict(agent.ask("hold", kind=kind, holder=holder, **request)["hold"])


def release(agent: AgentClient, *names: str) -> list[dict[str, Any]]:
    """Ends holds, also when the agent is just being started again; one that is over already is no mistake."""
    return list(agent.ask_again("release", holds=list(names))["released"])


@contextlib.contextmanager
def held(agent: AgentClient, kind: str, **request: Any) -> Iterator[dict[str, Any]]:
    """A hold of this process: ended with the block, or by the agent when this process is gone."""
    hold = take(agent, kind, holder=process.me(), **request)
    try:
        yield hold
    finally:
        release(agent, hold["hold"])


def plan(entries: Mapping[str, Sequence[str]], start: str | None = None) -> dict[str, Any]:
    """A schedule as the agent takes it: "at 2s for 5s: loss=5%" by attachment, `start` a time of day with its date.

    Without `for` a setting stays until the schedule is ended.
    """
    steps = [_step(link, entry) for link, texts in entries.items() for entry in texts]
    if not steps:
        raise InputError("the schedule is empty", remedy=_HOW)
    targets = [f"schedule of {link}" for link in entries]
    return {"steps": steps, "targets": targets, "start": None if start is None else units.moment_s(start)}


def _step(link: str, entry: str) -> dict[str, Any]:
    found = _ENTRY.fullmatch(entry)
    if not found:
        raise InputError(f"{link}: {entry!r} is no entry of a schedule", remedy=_HOW)
    length = seconds(found["length"]) if found["length"] else None
    settings = read_settings(_SETTING.split(found["settings"]))
    return {"at_s": seconds(found["at"]), "for_s": length, "links": {link: settings}}


def seconds(text: str) -> float:
    return units.duration_ms(text) / 1000


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """["delay=20ms", "up.loss=1%"] as an x-link block."""
    block: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} is no setting", remedy="write key=value, for example delay=20ms or up.loss=1%")
        direction, dot, inner = key.partition(".")
        if dot and direction not in DIRECTIONS:
            raise InputError(
                f"{word!r}: direction {direction!r} is unknown", remedy="write up.KEY=VALUE or down.KEY=VALUE"
            )
        if dot:
            block.setdefault(direction, {})[inner] = value
        else:
            block[key] = value
    return block
