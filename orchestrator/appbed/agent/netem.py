"""Cables of the kernel: netem on the engine's side of the veth for `down`, on an ifb fed by its ingress for `up`.

Parameters change in place (`tc qdisc change`): deleting a root qdisc would drop everything for a moment.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from appbed.agent.cables import Port
from appbed.impairment import Impairment, Link

HANDLE = "ab:"  # marks a qdisc as ours
_FULL_FRAME = 1514


def available() -> bool:
    """True if this kernel takes a netem qdisc, asked in a throw-away network namespace."""
    probe = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def arguments(it: Impairment) -> list[str]:
    """What follows `netem` on tc's command line (tc-netem(8)). Pure."""
    if it.state == "down":
        return ["limit", "1", "loss", "100%"]
    said = ["limit", str(limit_packets(it))]
    if it.delay_ms:
        said += ["delay", _us(it.delay_ms)]
        if it.jitter_ms:
            said += [_us(it.jitter_ms), *(["distribution", "normal"] if it.distribution == "normal" else [])]
    if it.burst:
        shares = (it.burst.p_pct, it.burst.r_pct, it.burst.bad_loss_pct, it.burst.good_loss_pct)
        said += ["loss", "gemodel", *(f"{share:.6f}%" for share in shares)]
    elif it.loss_pct:
        said += ["loss", "random", f"{it.loss_pct:.6f}%"]
    for word, share in (("duplicate", it.duplicate_pct), ("corrupt", it.corrupt_pct), ("reorder", it.reorder_pct)):
        if share:
            said += [word, f"{share:.6f}%"]
    if it.rate_bit:
        said += ["rate", f"{it.rate_bit:.0f}bit"]
    return said


def limit_packets(it: Impairment) -> int:
    """netem's limit counts delayed frames too: the declared queue plus what the delay holds of full frames at the rate.

    Of smaller frames the way holds more, and the queue has less; sized for those, a queue of full frames would be far too long.

    Without a rate nothing should ever be dropped; 1 000, the default, covers 12 ms of full frames at 1 Gbit/s.
    """
    if not it.rate_bit:
        return 1_000_000
    held = it.rate_bit * (it.delay_ms + 3 * it.jitter_ms) / 8000 / _FULL_FRAME
    if it.queue.packets is not None:
        return it.queue.packets + 1 + round(held)
    return max(1, round(it.rate_bit * (it.queue.ms or 0) / 8000 / _FULL_FRAME)) + 1 + round(held)


class NetemCables:
    """tc's back-end."""

    kind = "netem"

    def __init__(self) -> None:
        self._ports: dict[str, Port] = {}

    def plug(self, port: Port, link: Link) -> None:
        """Both directions or none: what was added before a failure, or by an agent that was killed, is taken away first."""
        self.unplug(port, gone=False)
        try:
            _run("ip", "link", "add", port.name, "type", "ifb")
            _run("ip", "link", "set", port.name, "up", "txqueuelen", "10000")
            _run("tc", "qdisc", "add", "dev", port.name, "root", "handle", HANDLE, "netem", *arguments(link.up))
            _run("tc", "qdisc", "add", "dev", port.veth_name, "clsact")
            _run(
                "tc",
                "filter",
                "add",
                "dev",
                port.veth_name,
                "ingress",
                "matchall",
                "action",
                "mirred",
                "egress",
                "redirect",
                "dev",
                port.name,
            )
            _run("tc", "qdisc", "add", "dev", port.veth_name, "root", "handle", HANDLE, "netem", *arguments(link.down))
        except OSError:
            self.unplug(port, gone=False)
            raise
        self._ports[port.name] = port

    def set(self, links: Mapping[str, Link]) -> None:
        for name, link in links.items():
            port = self._ports[name]
            _run("tc", "qdisc", "change", "dev", port.name, "root", "handle", HANDLE, "netem", *arguments(link.up))
            _run(
                "tc", "qdisc", "change", "dev", port.veth_name, "root", "handle", HANDLE, "netem", *arguments(link.down)
            )

    def unplug(self, port: Port, *, gone: bool) -> None:
        self._ports.pop(port.name, None)
        if not gone:
            for undo in (
                ("tc", "filter", "del", "dev", port.veth_name, "ingress"),
                ("tc", "qdisc", "del", "dev", port.veth_name, "clsact"),
                ("tc", "qdisc", "del", "dev", port.veth_name, "root"),
            ):
                _try(*undo)
        _try("ip", "link", "del", port.name)

    def counters(self) -> Mapping[str, Any]:
        """As the relay counts, read back from `tc -j -s qdisc`; netem does not tell loss from overflow."""
        return {
            name: {"up": _statistics(name), "down": _statistics(port.veth_name)} for name, port in self._ports.items()
        }


def _statistics(device: str) -> dict[str, int]:
    shown: list[dict[str, Any]] = json.loads(_run("tc", "-j", "-s", "qdisc", "show", "dev", device, "root") or "[]")
    found: dict[str, Any] = next((qdisc for qdisc in shown if qdisc.get("kind") == "netem"), {})
    sent, dropped = found.get("packets", 0), found.get("drops", 0)
    return {
        "frames_in": sent + dropped + found.get("qlen", 0),
        "frames_out": sent,
        "bytes_out": found.get("bytes", 0),
        "lost": dropped,
    }


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def _try(*argv: str) -> None:
    subprocess.run(argv, capture_output=True, check=False)


def _us(ms: float) -> str:
    return f"{ms * 1000:.3f}us"
