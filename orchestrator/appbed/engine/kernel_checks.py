"""What the doctor asks of the kernel under the engine: links, addresses, room on disk and in memory.

Only where that kernel is this machine's own: of an engine elsewhere (a remote one, Docker Desktop's virtual machine)
the agent finds out when a lab comes up.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network

from appbed import lease
from appbed.engine.checks import Check
from appbed.engine.computer import Computer
from appbed.engine.find_engine import Engine

_GIB = 1 << 30
_LATER = "unknown from here; the agent finds out when a lab comes up"


def is_local(computer: Computer, engine: Engine | None) -> bool:
    """Whether the engine runs on the kernel we run on (where none runs, one started here would)."""
    if engine is None:
        return computer.system == "Linux"
    return computer.system == "Linux" and engine.endpoint.socket is not None and engine.facts.kernel == computer.kernel


def machine(computer: Computer, engine: Engine | None) -> list[Check]:
    if not is_local(computer, engine):
        return [
            Check(name, "ok", f"{_LATER} (the engine runs on another kernel)") for name in ("links", "disk", "memory")
        ]
    links = _links(computer)
    return [
        links,
        _tun(computer, needed="netem" not in links.found.split()[:1]),
        _disk(computer, engine),
        _memory(computer),
    ]


def _links(computer: Computer) -> Check:
    """The agent's own question, asked the same way."""
    if not computer.is_root or not computer.which("unshare") or not computer.which("tc"):
        why = "not root" if not computer.is_root else "unshare or tc is not installed"
        return Check("links", "ok", f"netem or relay: {_LATER} ({why})")
    probe = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    result = computer.run(probe, timeout_s=10)
    if result.ok:
        return Check("links", "ok", "netem shapes them")
    return Check(
        "links", "warn", f"the relay shapes them: this kernel has no netem ({' '.join(result.tail())})",
        "nothing need be done; or `sudo modprobe sch_netem` (it may be in linux-modules-extra-*, kernel-modules-extra)",
    )  # fmt: skip


def _tun(computer: Computer, *, needed: bool) -> Check:
    if computer.exists("/dev/net/tun"):
        return Check("tun", "ok", "/dev/net/tun is there")
    fix = "`sudo modprobe tun`"
    return Check(
        "tun", "fail" if needed else "warn", "/dev/net/tun is missing: the relay and the agent's container need it", fix
    )


def _disk(computer: Computer, engine: Engine | None) -> Check:
    place = engine.facts.data_root if engine else "/var/lib"
    free = computer.free_bytes(place)
    if free is None:
        return Check("disk", "ok", f"{place}: free space unknown")
    found = f"{free / _GIB:.1f} GiB free at {place}"
    if free >= 4 * _GIB:
        return Check("disk", "ok", found)
    return Check(
        "disk", "fail" if free < _GIB else "warn", found, "free some; `docker system df` shows what Docker holds"
    )


def _memory(computer: Computer) -> Check:
    fields = dict(line.split(":", 1) for line in (computer.read("/proc/meminfo") or "").splitlines() if ":" in line)
    if "MemAvailable" not in fields:
        return Check("memory", "ok", "unknown")
    free = int(fields["MemAvailable"].split()[0]) * 1024
    found = f"{free / _GIB:.1f} GiB available"
    return (
        Check("memory", "ok", found)
        if free >= _GIB
        else Check("memory", "warn", found, "end something big before a large lab comes up")
    )


def addresses(computer: Computer, engine: Engine | None) -> Check:
    """Which addresses an instance can lease: an overlap with any route would break even bridged traffic."""
    held = _held(computer, engine)
    free = lease.free(network for network, _ in held)
    taken = {net: holder for net in lease.CHOICES for holder in _holders(net, held)}
    by = "; ".join(f"{net} taken by {holder}" for net, holder in list(taken.items())[:3])
    more = f"; and {len(taken) - 3} more" if len(taken) > 3 else ""
    if not free:
        return Check("addresses", "fail", f"none is free: {by}{more}", "narrow or remove that route (often a VPN's)")
    return Check("addresses", "ok", f"free: {_short(free)}" + (f" ({by}{more})" if by else ""))


def _holders(net: str, held: list[tuple[IPv4Network, str]]) -> list[str]:
    return [holder for network, holder in held if IPv4Network(f"{net}.0.0/16").overlaps(network)]


def _held(computer: Computer, engine: Engine | None) -> list[tuple[IPv4Network, str]]:
    held = []
    for name, subnets in (engine.daemon.subnets() if engine else {}).items():
        networks = (ipaddress.ip_network(subnet, strict=False) for subnet in subnets)
        held += [(network, f"the Docker network {name}") for network in networks if isinstance(network, IPv4Network)]
    if is_local(computer, engine):
        held += [
            (network, f"the route {network} on {device}")
            for network, device in routes(computer.read("/proc/net/route") or "")
        ]
    return held


def routes(table: str) -> list[tuple[IPv4Network, str]]:
    """/proc/net/route as (network, device), the default route left out."""
    found = []
    for fields in (line.split() for line in table.splitlines()[1:]):
        if len(fields) < 8 or int(fields[7], 16) == 0:
            continue
        destination, mask = (IPv4Address(bytes.fromhex(fields[column])[::-1]) for column in (1, 7))
        found.append((IPv4Network(f"{destination}/{mask}"), fields[0]))
    return found


def _short(nets: list[str]) -> str:
    """10.77, 10.79-10.126"""
    runs: list[list[str]] = []
    for index, net in enumerate(lease.CHOICES):
        if net not in nets:
            continue
        if runs and index and runs[-1][-1] == lease.CHOICES[index - 1]:
            runs[-1].append(net)
        else:
            runs.append([net])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
