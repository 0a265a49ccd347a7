"""Keeps every link as it should be: changes and holds on request, plans by the clock, holds whose holder is gone.

A holder is a process; while the agent can see it, its life decides. Of one on another machine it sees only the stream its request
came over, and that decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from appbed import process
from appbed.agent.desired import GONE, Desired
from appbed.agent.holds import Block, Hold
from appbed.agent.hosts import Hosts
from appbed.agent.memory import Memory
from appbed.errors import AgentError

_AGAIN_S = 1.0  # until what failed is tried again
_LOST_WITH_US = "its holder's stream broke when the agent ended"


class Shaping:
    """`moved` is set whenever the next moment of the plans may be another one."""

    def __init__(self, hosts: Hosts, memory: Memory) -> None:
        self.moved = asyncio.Event()
        self._hosts, self._memory = hosts, memory
        self._desired = Desired(hosts.topology)
        self._due: float | None = None
        self._unkept = False  # the disk did not take what is desired
        now = time.monotonic()
        if kept := memory.state.get("desired"):
            before = self._desired.restored(kept)
            cut_off = [
                hold for hold in before.holds.values() if not memory.same_boot or hold.holder.startswith("stream")
            ]
            lost = [hold for hold in cut_off if hold.steps]
            self._desired = before.without(lost).orphaned(cut_off).standing(now)
            for hold in before.holds.values():
                if hold.name not in self._desired.holds:
                    memory.note("release", hold=str(hold), why=_LOST_WITH_US if hold in lost else "its time was over")
        hosts.wanted.update(self._desired.links(now))

    # ---- on request

    def change(self, changes: Mapping[str, Block], base: str) -> list[dict[str, Any]]:
        """All or none: every value is read, for now and for every planned moment, before anything is touched."""
        names = [str(self._hosts.topology.attachment(name)) for name in changes]
        back = base == "declared" and not any(changes.values())  # that is always possible, also for who does not run
        if not back:
            self._refuse_absent(names)
        now = time.monotonic()
        desired = self._desired.change(changes, base, now)
        ended = [hold for name, hold in self._desired.holds.items() if name not in desired.holds]
        self._become(desired, now, by=["request"], whole=not back, again=names)
        self._say_released(ended, "the link was reset")
        return self.lines(names)

    def hold(self, request: Mapping[str, Any], stream: str) -> dict[str, Any]:
        """Takes a hold, whole or not at all."""
        holder = str(request.get("holder") or "")
        if holder and not (process.can_be_seen(holder) and process.lives(holder)):
            holder = stream
        now = time.monotonic()
        desired = self._desired.hold({**request, "holder": holder}, now, time.time())
        hold = desired.holds[str(desired.number)]
        self._refuse_absent(hold.links)
        over = list(hold.links)
        self._memory.note("hold", hold=str(hold), targets=list(hold.targets), over=over, seconds=_seconds(hold, now))
        try:
            self._become(desired, now, by=[str(hold)], again=hold.links)
        except AgentError as error:
            self._memory.note("release", hold=str(hold), why=f"could not begin: {error.message}")
            raise
        return self._shown(hold, now)

    def release(self, names: Iterable[str], why: str = "on request") -> list[dict[str, Any]]:
        """Ends holds; those already over are no mistake. What can be put back is put back, whatever fails."""
        now = time.monotonic()
        ended = [hold for name in names if (hold := self._desired.holds.get(name))]
        self._become(self._desired.without(ended).standing(now), now, by=[str(hold) for hold in ended], whole=False)
        self._say_released(ended, why)
        return [self._shown(hold, now) for hold in ended]

    def holds(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [self._shown(hold, now) for hold in self._desired.holds.values()]

    def lines(self, names: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Links as the hosts have them, with the holds that lie over each."""
        wanted = set(names)
        return [
            line | {"holds": [str(hold) for hold in self._desired.on([line["attachment"]])]}
            for line in self._hosts.links()
            if not wanted or line["attachment"] in wanted
        ]

    # ---- by itself

    def tick(self) -> float | None:
        """Does what is due, and again what failed; the next moment something will be, on the monotonic clock."""
        now = time.monotonic()
        late_ms = None if self._due is None or self._due > now else round((now - self._due) * 1000, 1)
        desired = self._desired.standing(now)
        over = [hold for name, hold in self._desired.holds.items() if name not in desired.holds]
        self._become(desired, now, whole=False, late_ms=late_ms, again=list(self._hosts.failed))
        self._say_released([hold for hold in over if hold.over(now)], "its time is over")
        self._say_released([hold for hold in over if not hold.over(now)], "it means nothing on what is left")
        self._due = self._desired.next_change(now)
        if not (self._hosts.failed or self._unkept):
            return self._due
        return now + _AGAIN_S if self._due is None else min(self._due, now + _AGAIN_S)

    def look_after_holders(self) -> None:
        """Ends what holders left behind. A host fault stays: only the engine can mend it, and `fault show` says so."""
        gone = [hold.name for hold in self._desired.holds.values() if hold.steps and not _alive(hold)]
        if gone:
            self.release(gone, "its holder is gone")

    def hung_up(self, stream: str) -> None:
        """The stream is gone, and with it the holders that are known by it alone."""
        left = [hold for hold in self._desired.holds.values() if hold.holder == stream]
        if left:
            self._desired = self._desired.orphaned(left)
            self.release([hold.name for hold in left if hold.steps], "its holder's stream ended")

    def _become(
        self,
        desired: Desired,
        now: float,
        *,
        by: Iterable[str] = (),
        whole: bool = True,
        late_ms: float | None = None,
        again: Iterable[str] = (),
    ) -> None:
        """`by` names who wanted it; else it is the plans of the holds on these links. `again`: also where it failed before."""
        wanted, before = desired.links(now), dict(self._hosts.wanted)
        failed = set(again) & set(self._hosts.failed)
        changed = {name: link for name, link in wanted.items() if link != before[name] or name in failed}
        if desired != self._desired or self._unkept:
            self._keep(desired, whole=whole)
        if changed:
            try:
                self._hosts.apply(changed, whole=whole)
            except AgentError:
                self._keep(self._desired, whole=False)
                self.moved.set()  # what could not be put back is tried again
                raise
        done = [name for name in changed if name not in failed or name not in self._hosts.failed]
        if done:
            links = {name: str(changed[name]) for name in done}
            late = {} if late_ms is None else {"late_ms": late_ms}
            self._memory.note("links", links=links, by=list(by) or [*map(str, self._desired.on(done))], **late)
        if desired != self._desired:
            self._desired = desired
            self.moved.set()

    def _keep(self, desired: Desired, *, whole: bool) -> None:
        """Before it is done: what is asked for outlives the agent or is refused. What ends, ends also on a full disk."""
        try:
            self._memory.keep(desired=desired.plain())
            self._unkept = False
        except OSError as error:
            if whole:
                raise AgentError(f"cannot be kept: {error}; nothing was changed", remedy="free some space") from None
            self._unkept = True

    def _say_released(self, ended: Iterable[Hold], why: str) -> None:
        for hold in ended:
            self._memory.note("release", hold=str(hold), targets=list(hold.targets), why=why)

    def _refuse_absent(self, names: Iterable[str]) -> None:
        for name in names:
            host = self._hosts.topology.attachment(name).host
            if host not in self._hosts.running:
                raise AgentError(f"{host} is not running", remedy=f"start it first: appbed fault heal {host}")

    def _shown(self, hold: Hold, now: float) -> dict[str, Any]:
        clock = time.time() - now
        return {
            "hold": hold.name,
            "kind": hold.kind,
            "targets": list(hold.targets),
            "links": {name: step.links[name] for step in hold.active(now) for name in step.links},
            "over": list(hold.links),
            "began": round(hold.began + clock, 3),
            "seconds_left": _seconds(hold, now),
            "holder": hold.holder,
            "left_behind": not _alive(hold),
        }


def _seconds(hold: Hold, now: float) -> float | None:
    return None if hold.until == float("inf") else round(hold.until - now, 3)


def _alive(hold: Hold) -> bool:
    """A stream's end is told by `hung_up`; a hold that nobody was to hold needs no one."""
    if hold.holder == GONE:
        return False
    return not process.can_be_seen(hold.holder) or process.lives(hold.holder)
