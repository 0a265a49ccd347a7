"""Who a process is, so that another one on the same machine can tell later whether it still lives."""

from __future__ import annotations

import os
from pathlib import Path


def me() -> str:
    """This process: boot, process namespace, pid, start time."""
    return ":".join((boot(), _namespace(), str(os.getpid()), _started(os.getpid())))


def can_be_seen(who: str) -> bool:
    """Whether `lives` can tell: not for a process of another machine, or of a container with process ids of its own."""
    return who.split(":")[:2] == [boot(), _namespace()] and who.count(":") == 3 and "" not in who.split(":")


def lives(who: str) -> bool:
    """True while a process that can be seen runs; a pid that was given to another one since is not it."""
    _, _, pid, started = who.split(":")
    return _started(int(pid)) == started


def boot() -> str:
    """This boot of this machine; "" where the system does not say."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _started(pid: int) -> str:
    """In clock ticks since boot (proc(5)); "" for one that is gone, or has ended and was not asked for its status yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
