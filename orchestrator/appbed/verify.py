"""Measures the links of a running lab against what is set: all at once and quickly, or each with full statistics."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from appbed import fidelity, impairment
from appbed.fidelity import Checked, Measured, Series
from appbed.fidelity.bounds import each
from appbed.fidelity.judge import FULL, QUICK, TESTS, Allowance
from appbed.impairment import Impairment
from appbed.lab import Lab

_AT_ONCE = 3  # cables that full statistics measure at the same time: two processors carry that without delaying it
_AGAIN = 5  # times a link that does not seem as set is measured again: a busy machine delays frames too
_PROBES_AGAIN = 40  # the longer, the surer one of them finds the machine awake
_BUSY_S = 60.0  # so much later than planned a machine may send and take what it has to

_TURN_S = 30.0  # for the agent to begin and to answer

Plans = Callable[[Impairment, int, int], tuple[Series, ...]]


def quick(lab: Lab) -> Measured:
    """Ten probes and a train through both directions of every link, all at once."""
    longer = functools.partial(fidelity.quick, probes=_PROBES_AGAIN)
    return _repeated(lab, attachments(lab, ()), fidelity.quick, longer, QUICK)


def _repeated(
    lab: Lab, names: Sequence[str], plans: Plans, plans_again: Plans, allowed: Allowance, family: int = 0
) -> Measured:
    """What does not seem as set is measured again."""
    first = _measured(lab, names, plans, allowed, family)
    checked, absent = {(one.attachment, one.direction): one for one in first.checked}, dict(first.absent)
    for _ in range(_AGAIN):
        doubtful = {one.attachment for one in checked.values() if any(reading.again for reading in one.readings)}
        if not doubtful:
            break
        together = family or len(checked)
        again = _measured(lab, sorted(doubtful), plans_again, allowed, together)
        for one in again.checked:
            which = (one.attachment, one.direction)
            checked[which] = one.after(checked[which], each(TESTS * together), allowed)
        absent.update(again.absent)
    return Measured(tuple(checked.values()), absent)


def attachments(lab: Lab, names: Sequence[str]) -> list[str]:
    """ "host@network" as it is, all of "host", and all there are if nothing is named."""
    if not names:
        return [str(at) for at in lab.topology.attachments()]
    found = [[lab.topology.attachment(name)] if "@" in name else lab.topology.host(name).attachments for name in names]
    return list(dict.fromkeys(str(at) for several in found for at in several))


def full(lab: Lab, wanted: Sequence[str], say: Callable[[str], None] = lambda _: None) -> Iterator[Measured]:
    """Full statistics of attachments, a few at a time; the bounds are those of all together."""
    for first in range(0, len(wanted), _AT_ONCE):
        group = wanted[first : first + _AT_ONCE]
        say(f"{first + len(group)} of {len(wanted)}: {', '.join(group)}")
        yield _repeated(lab, group, _full, _full, FULL, 2 * len(wanted))


def _full(it: Impairment, mtu: int, turn: int) -> tuple[Series, ...]:
    return fidelity.full(it, mtu)


def _measured(lab: Lab, names: Sequence[str], plans: Plans, allowed: Allowance, family: int = 0) -> Measured:
    """`family` is how many directions are judged together, if more than these."""
    lines = {line["attachment"]: line for line in lab.links() if line["attachment"] in names and line["running"]}
    links = {name: impairment.resolve(name, line["set"]) for name, line in lines.items()}
    planned: dict[str, dict[str, tuple[Series, ...]]] = {}
    for turn, (name, line) in enumerate(lines.items()):
        up, down = plans(links[name].up, line["mtu"], 2 * turn), plans(links[name].down, line["mtu"], 2 * turn + 1)
        planned[name] = {"up": up, "down": down}
    series = {
        name: {way: [asdict(one) for one in plan] for way, plan in ways.items()} for name, ways in planned.items()
    }
    longest_s = _BUSY_S + max((_longest_s(plan) for ways in planned.values() for plan in ways.values()), default=0.0)
    answer = lab.agent.ask("measure", series=series, seconds=longest_s, timeout_s=longest_s + _TURN_S)
    error = each(TESTS * max(family, 2 * len(names)))
    checked = []
    for name, found in answer["measured"].items():
        for way, it in (("up", links[name].up), ("down", links[name].down)):
            counters = [counted[way] if counted else None for counted in found["counters"]]
            sampled = fidelity.sample(it, planned[name][way], found[way], counters)
            readings = fidelity.judge(it, sampled, error, allowed)
            checked.append(Checked(name, way, found["cable"], it, (sampled,), readings))
    stopped = {name: "its host is not running" for name in names if name not in lines}
    return Measured(tuple(checked), {**stopped, **answer["absent"]})


def _longest_s(plan: Sequence[Series]) -> float:
    """One series after another is sent; the answer comes when nothing of any is waited for."""
    return sum(series.longest_s for series in plan)


# Several rounds by one command: a command that begins would disturb the next one's pings.
_PINGS = 'for round in 1 2 3 4 5 6 7 8 9; do ping -n -q -c 5 -i 0.02 -W 2 "$0"; done'
_ECHO_BYTES = 98  # Ethernet 14, IP 20, ICMP 8, ping's own 56
_QUICKEST = re.compile(r"min/avg/max/\S+ = ([0-9.]+)/")


def idle(lab: Lab, host: str, to: str) -> dict[str, Any] | None:
    """How long a round trip between two hosts takes while nothing else happens: the median of the quickest ping of each round.

    Kernels answer pings, so no server has a part in it; other work on the machine only ever adds time. None where the host
    cannot say.
    """
    said = lab.exec(host, "sh", "-c", _PINGS, str(lab.topology.host(to).address), check=False).stdout
    found = [float(quickest) / 1000 for quickest in _QUICKEST.findall(said)]
    return {"from": host, "to": to, "round_trip_s": median(found), "frame_bytes": _ECHO_BYTES} if found else None


class Watch:
    """A run's network, looked at from before it until after it: what the conditions then say of it."""

    def __init__(self, lab: Lab) -> None:
        """Hosts get to know each other, so that nobody waits for ARP, and every link is measured."""
        self._lab = lab
        lab.agent.ask("introduce")
        self._before = quick(lab)
        self._counters: list[dict[str, Any]] = []

    def count(self) -> None:
        """Reads the cables' own counters: before and after a capture begins, and before and after it ends."""
        lines = self._lab.links()
        self._counters.append({line["attachment"]: line["counters"] for line in lines if line["counters"]})

    def ended(self) -> dict[str, Any]:
        """Measures again; both measurements and the counters, for the conditions."""
        measured = {"before": self._before.plain(), "after": quick(self._lab).plain()}
        return {"measured": measured, "counters": self._counters}
