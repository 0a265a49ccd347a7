"""What every link should be at a moment: as declared, as changed by hand, and the holds over that. Pure.

Every operation gives a new Desired or an error, so what was asked for is there as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from appbed import impairment
from appbed.agent import holds
from appbed.agent.holds import FAULTS, Block, Hold
from appbed.errors import InputError
from appbed.impairment import DIRECTIONS, Link
from appbed.topology import Topology

GONE = "gone"  # a holder of which nothing else is known


@dataclass(frozen=True, slots=True)
class Desired:
    """`changed` and `holds` in the order they came; `number` is the last hold's."""

    topology: Topology
    changed: Mapping[str, Link] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    number: int = 0

    def links(self, now: float) -> dict[str, Link]:
        """Every attachment's link; InputError when holds do not go together."""
        found = {str(at): self.changed.get(str(at), at.link) for at in self.topology.attachments()}
        for hold in self.holds.values():
            for step in hold.active(now):
                for name, block in step.links.items():
                    found[name] = impairment.change(found[name], block, f"{hold}: {name}")
        return found

    def change(self, changes: Mapping[str, Block], base: str, now: float) -> Desired:
        """Laid over each link as it is `now` below its holds; or as `declared` or `clean`, then its holds end too."""
        changed = dict(self.changed)
        for name, settings in changes.items():
            at = self.topology.attachment(name)
            if base == "now":
                _refuse_covered(str(at), settings, self.on([str(at)]), now)
            under = {"now": changed.get(str(at), at.link), "declared": at.link, "clean": Link()}[base]
            link = impairment.change(under, settings, f"link {at}")
            if link == at.link:
                changed.pop(str(at), None)
            else:
                changed[str(at)] = link
        kept = self if base == "now" else self.without(self.on(str(self.topology.attachment(name)) for name in changes))
        return replace(kept, changed=changed)._checked(now)

    def hold(self, request: Mapping[str, Any], now: float, clock: float) -> Desired:
        """With one hold more; it is the last in `holds`."""
        hold = holds.planned(str(self.number + 1), request, self.topology, now, clock)
        for other in self.holds.values():
            for target in hold.targets:
                if target in other.targets:
                    raise _held(target, other, now)
        for step in hold.steps:
            for name, block in step.links.items():
                _refuse_covered(name, block, [other for other in self.on([name]) if other.kind in FAULTS], now)
        return replace(self, holds={**self.holds, hold.name: hold}, number=self.number + 1)._checked(now)

    def without(self, ended: Iterable[Hold]) -> Desired:
        names = {hold.name for hold in ended}
        return replace(self, holds={name: hold for name, hold in self.holds.items() if name not in names})

    def orphaned(self, left: Iterable[Hold]) -> Desired:
        """These holds have no holder any more."""
        names = {hold.name for hold in left}
        return replace(
            self,
            holds={name: replace(hold, holder=GONE) if name in names else hold for name, hold in self.holds.items()},
        )

    def on(self, links: Iterable[str]) -> list[Hold]:
        """The holds that have to do with any of these attachments."""
        names = set(links)
        return [hold for hold in self.holds.values() if names & set(hold.links)]

    def standing(self, now: float) -> Desired:
        """Without the holds that are over, and without those that mean nothing on what is left."""
        left = replace(self, holds={})
        for hold in self.holds.values():
            more = replace(left, holds={**left.holds, hold.name: hold})
            with contextlib.suppress(InputError):
                more.links(now)
                left = left if hold.over(now) else more
        return left

    def next_change(self, now: float) -> float | None:
        """When a step or a hold begins or ends."""
        return min((moment for hold in self.holds.values() for moment in hold.moments(now)), default=None)

    def _checked(self, now: float) -> Desired:
        """Itself, when its links mean something now and at every moment that is planned."""
        for moment in sorted({now, *(moment for hold in self.holds.values() for moment in hold.moments(now))}):
            self.links(moment)
        return self

    # ---- kept over the agent's own death

    def plain(self) -> dict[str, Any]:
        return {
            "changed": {name: link.settings() for name, link in self.changed.items()},
            "holds": [hold.plain() for hold in self.holds.values()],
            "number": self.number,
        }

    def restored(self, plain: Mapping[str, Any]) -> Desired:
        kept = [holds.restored(each) for each in plain["holds"]]
        return replace(
            self,
            changed={name: impairment.resolve(name, settings) for name, settings in plain["changed"].items()},
            holds={hold.name: hold for hold in kept},
            number=plain["number"],
        )


def _held(target: str, hold: Hold, now: float) -> InputError:
    """Who holds it, for how long, and what ends it."""
    words = [str(hold), "until it is ended" if math.isinf(hold.until) else f"for {hold.until - now:.1f} s more"]
    if hold.holder.count(":") == 3:
        words.append(f"by process {hold.holder.split(':')[2]}")
    command = "link reset" if hold.kind in ("set", "schedule") else "fault heal"
    link = target.removeprefix("schedule of ").partition(" ")[0]
    return InputError(f"{target} is held by {' '.join(words)}", remedy=f"wait, or end it: appbed {command} {link}")


def _refuse_covered(name: str, settings: Block, above: Iterable[Hold], now: float) -> None:
    """What was asked for takes effect or is refused: a hold over it would hide it."""
    asked = set(_keys(settings))
    for hold in above:
        for step in hold.steps:
            for direction, key in sorted(asked & set(_keys(step.links.get(name, {})))):
                raise _held(f"{name} {direction}.{key}", hold, now)


def _keys(block: Block) -> Iterator[tuple[str, str]]:
    for key, value in block.items():
        if key in DIRECTIONS and isinstance(value, Mapping):
            yield from ((key, str(inner)) for inner in value)
        else:
            yield from ((direction, key) for direction in DIRECTIONS)
