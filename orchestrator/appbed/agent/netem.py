"""Cables of the kernel: netem on the engine's side of the veth for `down`, on an ifb fed by its ingress for `up`.

Each direction is two of them, so that the limit of the second is the queue alone, whatever is on the way:

    ab: loss, corrupt, delay, jitter, reorder  ->  ac: rate, limit

The relay has the rate before the way; for a constant delay that is the same. (The limit of a netem counts its child's frames, so
the queue has to be the child.) The kernel refuses `duplicate` beside another netem on a device. With it all is said to one netem,
whose limit counts the way too, in full frames; setting or clearing `duplicate` loses what waits before the rate at that moment.
All else is changed in place. netem counts a queue in packets: one given in ms holds as many full frames. It may flip a bit of an
address too.
"""

from __future__ import annotations

import math
import os
import shutil
import socket
import subprocess
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

from appbed.agent.cables import Port
from appbed.agent.netlink import Netlink
from appbed.agent.tc import Tc, netems
from appbed.impairment import CLEAN, Impairment, Link

_FULL_FRAME = 1514
_ENDLESS = 1_000_000  # frames: nothing is ever dropped; the default of 1 000 covers 12 ms of full frames at 1 Gbit/s
_TRANSMIT_QUEUE = 10_000
_TABLE = 4096  # entries of a distribution's table, in units of 1/8192 of the jitter (tc-netem(8))
_FEW = 16  # devices shown one by one: the kernel lists all of them for each, but tc words only the one
_PROBE = (
    "qdisc add dev lo root handle ab: netem delay 1ms",
    "qdisc add dev lo parent ab:1 handle ac: netem rate 1mbit",
    "qdisc add dev lo clsact",
    "filter add dev lo ingress matchall action mirred egress redirect dev lo",
)


def available() -> bool:
    """True if this kernel takes all that a cable needs, asked in throw-away network namespaces."""
    alone = ("unshare", "--net")
    ifb = subprocess.run([*alone, "ip", "link", "add", "name", "ab", "type", "ifb"], capture_output=True, check=False)
    if ifb.returncode:
        return False
    asked = [*alone, "tc", "-batch", "-"]
    return not subprocess.run(asked, input="\n".join(_PROBE), text=True, capture_output=True, check=False).returncode


@dataclass(frozen=True, slots=True)
class Stage:
    """One netem: where it is, its part of the impairment, and how many frames it holds."""

    handle: str
    parent: str
    does: Impairment
    limit: int

    def words(self) -> str:
        """What follows `netem`. Zeros are said too: what `change` does not name stays as it was."""
        it = self.does
        said = [f"limit {self.limit}", f"delay {it.delay_ms * 1000:.3f}us {it.jitter_ms * 1000:.3f}us"]
        if it.jitter_ms:
            said.append(f"distribution {it.distribution}")
        if it.burst:
            shares = (it.burst.p_pct, it.burst.r_pct, it.burst.bad_loss_pct, it.burst.good_loss_pct)
            said.append(" ".join(["loss gemodel", *(f"{share:.6f}%" for share in shares)]))
        else:
            said.append(f"loss random {it.loss_pct:.6f}%")
        said += [f"duplicate {it.duplicate_pct:.6f}%", f"corrupt {it.corrupt_pct:.6f}%"]
        said += [f"reorder {it.reorder_pct:.6f}%", f"rate {it.rate_bit or 0:.0f}bit"]
        return " ".join(said)

    def numbers(self) -> dict[str, float]:
        """What `seen` reads back of it; a table of jitter is not shown by the kernel."""
        it = self.does
        burst = it.burst and (it.burst.p_pct, it.burst.r_pct, it.burst.bad_loss_pct, it.burst.good_loss_pct)
        return {
            "limit": self.limit,
            **{"delay_ms": it.delay_ms, "jitter_ms": it.jitter_ms},
            **dict(zip(_BURST, burst or (0.0,) * 4, strict=True)),
            "loss_pct": 0.0 if burst else it.loss_pct,
            **{"duplicate_pct": it.duplicate_pct, "corrupt_pct": it.corrupt_pct, "reorder_pct": it.reorder_pct},
            "rate_bit": it.rate_bit or 0.0,
        }


_BURST = ("p_pct", "r_pct", "1-h_pct", "1-k_pct")


def seen(options: Mapping[str, Any]) -> dict[str, float]:
    """A netem as `tc -j qdisc show` describes it, in our units."""

    def of(block: str, key: str, times: float) -> float:
        return float(options.get(block, {}).get(key, 0)) * times

    return {
        "limit": float(options.get("limit", 0)),
        **{"delay_ms": of("delay", "delay", 1000), "jitter_ms": of("delay", "jitter", 1000)},
        **{key: of("loss-gemodel", key.removesuffix("_pct"), 100) for key in _BURST},
        "loss_pct": of("loss-random", "loss", 100),
        **{f"{word}_pct": of(word, word, 100) for word in ("duplicate", "corrupt", "reorder")},
        "rate_bit": of("rate", "rate", 8),
    }


def stages(it: Impairment) -> tuple[Stage, ...]:
    """The chain for one direction. Pure."""
    if it.state == "down":  # a duplicate would survive the loss of its original; what is on the way arrives
        it = replace(it, loss_pct=100.0, burst=None, duplicate_pct=0.0)
    if it.duplicate_pct:
        return (Stage("ab:", "root", it, _queue(it) + _on_the_way(it)),)
    return (
        Stage("ab:", "root", replace(it, rate_bit=None), _ENDLESS),
        Stage("ac:", "parent ab:1", replace(CLEAN, rate_bit=it.rate_bit), _queue(it)),
    )


def _queue(it: Impairment) -> int:
    """The declared queue and the frame that is being sent."""
    if not it.rate_bit:
        return _ENDLESS
    if it.queue.packets is not None:
        return it.queue.packets + 1
    return max(1, round(it.rate_bit * (it.queue.ms or 0) / 8000 / _FULL_FRAME)) + 1


def _on_the_way(it: Impairment) -> int:
    """What the delay holds of full frames at the rate. Of smaller frames it holds more, and the queue has less; a limit for those
    would be far too long a queue of full ones."""
    return round((it.rate_bit or 0) * (it.delay_ms + 3 * it.jitter_ms) / 8000 / _FULL_FRAME)


class NetemCables:
    """tc's back-end."""

    kind = "netem"
    unused: tuple[str, ...] = ("seed",)  # tc knows it from 6.6 on, Debian 12's is older

    def __init__(self) -> None:
        self._plugged: dict[str, tuple[Port, Link]] = {}
        tables = _tables()
        self._tc = Tc({**os.environ, "TC_LIB_DIR": str(tables)})
        weakref.finalize(self, _leave, self._tc, tables)

    def plug(self, port: Port, link: Link) -> None:
        """Both directions or none: what was added before a failure, or by an agent that was killed, is taken away first."""
        self.unplug(port, gone=False)
        try:
            _run("ip", "link", "add", "name", port.name, "type", "ifb")
            with Netlink() as netlink:
                ifb = socket.if_nametoindex(port.name)
                netlink.quiet_ipv6(ifb)
                netlink.set_link(ifb, up=True, queue=_TRANSMIT_QUEUE)
            redirect = f"action mirred egress redirect dev {port.name}"
            fed = (
                f"qdisc add dev {port.veth_name} clsact",
                f"filter add dev {port.veth_name} ingress matchall {redirect}",
            )
            self._tc.close()
            self._apply([*_lines(port, link), *fed], {port.name: (port, link)})
        except OSError:
            self.unplug(port, gone=False)
            raise
        self._plugged[port.name] = port, link

    def clean(self, port: Port) -> None:
        """Its device may have stayed where its host was made anew, and its qdiscs where somebody deleted the device."""
        left = [qdisc for qdisc in self._tc.say() if qdisc.get("dev") == port.veth_name and _ours(qdisc)]
        if left or port.name in (name for _, name in socket.if_nameindex()):
            self.unplug(port, gone=False)

    def set(self, links: Mapping[str, Link]) -> None:
        """All or none; read back from the kernel."""
        before = {name: self._plugged[name] for name in links}
        after = {name: (port, links[name]) for name, (port, _) in before.items()}
        try:
            self._apply(_changes(before, after), after)
        except OSError:
            with suppress(OSError):  # a port that is gone has nothing to be set back to
                self._tc.say(*_changes(after, before))
            raise
        self._plugged.update(after)

    def unplug(self, port: Port, *, gone: bool) -> None:
        self._plugged.pop(port.name, None)
        with suppress(OSError):
            if not gone:
                self._tc.say(f"qdisc del dev {port.veth_name} clsact", f"qdisc del dev {port.veth_name} root")
        with suppress(OSError):
            _run("ip", "link", "del", port.name)
        self._tc.close()

    def leave(self) -> None:
        """The qdiscs go with the hosts' interfaces; until then the kernel drops what it would redirect to a device that is gone."""
        for name in self._plugged:
            with suppress(OSError):
                _run("ip", "link", "del", name)

    def counters(self) -> Mapping[str, Any]:
        """As the relay counts; netem does not say how many frames it duplicated, corrupted or reordered."""
        shown = netems(self._tc.say())
        return {
            name: {"up": _counted(shown.get(name, {})), "down": _counted(shown.get(port.veth_name, {}))}
            for name, (port, _) in self._plugged.items()
        }

    def _apply(self, lines: Iterable[str], wanted: Mapping[str, tuple[Port, Link]]) -> None:
        """Says them to the kernel and reads back; OSError that names the first setting it shows differently."""
        devices = [device for port, _ in wanted.values() for device in (port.name, port.veth_name)]
        shown = netems(self._tc.say(*lines, devices=devices if len(devices) <= _FEW else ()))
        for port, link in wanted.values():
            for device, it in ((port.name, link.up), (port.veth_name, link.down)):
                for stage in stages(it):
                    options = shown.get(device, {}).get(stage.handle, {}).get("options", {})
                    for key, differs in _differences(stage.numbers(), seen(options)):
                        raise OSError(f"{port.attachment}: netem {stage.handle} of {device}: {key} is {differs}")


def _ours(qdisc: Mapping[str, Any]) -> bool:
    return qdisc["kind"] == "clsact" or qdisc.get("handle") == "ab:"


def _lines(port: Port, link: Link) -> Iterable[str]:
    for device, it in ((port.name, link.up), (port.veth_name, link.down)):
        for stage in stages(it):
            yield f"qdisc replace dev {device} {stage.parent} handle {stage.handle} netem {stage.words()}"


def _changes(before: Mapping[str, tuple[Port, Link]], after: Mapping[str, tuple[Port, Link]]) -> Iterable[str]:
    """`replace` with the handle that is there changes in place."""
    for name, (port, link) in after.items():
        old = before[name][1]
        for device, was, it in ((port.name, old.up, link.up), (port.veth_name, old.down, link.down)):
            if len(stages(it)) < len(stages(was)):
                yield f"qdisc del dev {device} parent ab:1"
        yield from _lines(port, link)


def _differences(wanted: Mapping[str, float], found: Mapping[str, float]) -> Iterable[tuple[str, str]]:
    """tc rounds times to 1 us and rates to whole bytes, the kernel shares to 2^-32."""
    for key, value in wanted.items():
        slack = {"ms": 0.002, "bit": 8.0}.get(key.rpartition("_")[2], 1e-6)
        if not math.isclose(value, found[key], rel_tol=1e-3, abs_tol=slack):
            yield key, f"{found[key]:g} instead of {value:g}"


def _counted(chain: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """A drop in the child is one of its parent too; so is a frame inside, but before Linux 6.13 only until it reaches the child."""
    nothing: Mapping[str, Any] = {}
    first, queue = chain.get("ab:", nothing), chain.get("ac:", nothing)
    inside = max(first.get("qlen", 0), queue.get("qlen", 0))
    sent, dropped, overflowed = first.get("packets", 0), first.get("drops", 0), queue.get("drops", 0)
    return {
        "frames_in": sent + dropped + inside,
        "frames_out": sent,
        "bytes_out": first.get("bytes", 0),
        "lost": dropped - overflowed,
        "overflowed": overflowed,
    }


def _tables() -> Path:
    """tc has no word to go back from a table to the kernel's uniform jitter, so that is a table too."""
    folder = Path(tempfile.mkdtemp(prefix="appbed-tc-"))
    normal = NormalDist()
    for name, share in (("uniform", lambda p: 2 * p - 1), ("normal", normal.inv_cdf)):
        values = (round(share((entry + 0.5) / _TABLE) * 8192) for entry in range(_TABLE))
        (folder / f"{name}.dist").write_text("\n".join(map(str, values)), encoding="ascii")
    return folder


def _leave(tc: Tc, tables: Path) -> None:
    tc.close()
    shutil.rmtree(tables, ignore_errors=True)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
