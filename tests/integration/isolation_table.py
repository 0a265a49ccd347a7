"""What each role of a running lab may do, as the table of docs/reliability.md.

python -m tests.integration.isolation_table        brings `internet` up and writes the table into the page
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appbed import places
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `make isolation` -->\n", "<!-- end -->\n"
HEAD = ("role", "user", "capabilities", "new privileges", "root file system", "memory", "processes", "may write to")
# linux/capability.h, in the order of their numbers
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST "
    "NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM "
    "BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One role: what the engine was told of its containers, and what the kernel says of their first processes."""

    role: str
    user: str
    capabilities: str
    new_privileges: str
    root: str
    memory: str
    processes: str
    places: str

    def cells(self) -> tuple[str, ...]:
        return (
            self.role, self.user, self.capabilities, self.new_privileges, self.root, self.memory, self.processes, self.places
        )  # fmt: skip


def status(lab: Lab, host: str, told: Mapping[str, Any]) -> dict[str, str]:
    """Of a container's first process, as its kernel tells it (proc(5)); the agent sees the machine's numbers of processes."""
    first = told["State"]["Pid"] if told["HostConfig"]["PidMode"] == "host" else 1
    lines = lab.engine.exec(lab.name, host, ["cat", f"/proc/{first}/status"]).stdout.splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def held(mask: str) -> list[str]:
    """Names of the capabilities of a mask in hexadecimal."""
    number = int(mask, 16)
    return [name for bit, name in enumerate(CAPABILITIES.split()) if number >> bit & 1]


def rows(lab: Lab) -> list[Row]:
    """One for each role, sorted; hosts of one role that differ are rows of their own."""
    services = {**{name: host.role.name for name, host in lab.topology.hosts.items()}, lab.topology.agent: "agent"}
    told = _inspected({service: f"{lab.name}-{service}-1" for service in services})
    with ThreadPoolExecutor(6) as pool:
        seen = dict(zip(services, pool.map(lambda each: status(lab, each, told[each]), services), strict=True))
    found = {_row(role, told[service], seen[service]) for service, role in services.items()}
    return sorted(found, key=Row.cells)


def _inspected(names: Mapping[str, str]) -> dict[str, Any]:
    """What the engine says of containers, by what they are called here."""
    done = subprocess.run(["docker", "inspect", *names.values()], capture_output=True, text=True, check=True)
    return dict(zip(names, json.loads(done.stdout), strict=True))


def _row(role: str, told: Mapping[str, Any], seen: Mapping[str, str]) -> Row:
    host = told["HostConfig"]
    uid = seen["Uid"].split()[1]
    return Row(
        role,
        f"{told['Config']['User'] or 'root'} ({uid})",
        ", ".join(held(seen["CapBnd"])) or "none",
        "never" if seen["NoNewPrivs"] == "1" else "by setuid programs",
        "read-only" if host["ReadonlyRootfs"] else "writable",
        f"{host['Memory'] // 2**20} MiB",
        str(host["PidsLimit"]),
        ", ".join(sorted(_places(host.get("Tmpfs") or {}))) or "nothing else",
    )


def _places(tmpfs: Mapping[str, str]) -> Iterator[str]:
    """Places in memory and how large they may be; what is larger than the memory counts against that."""
    for place, options in tmpfs.items():
        size = re.search(r"size=(\w+)", options)
        yield f"{place} ({size[1]})" if size else place


def table(found: list[Row]) -> str:
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells() for row in found)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def written() -> str:
    """The table in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    with (
        DockerEngine() as engine,
        Lab.up(places.topology_file("internet"), engine, name=f"isolation-{os.getpid()}") as lab,
    ):
        made = table(rows(lab))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + made + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
