"""Who a process is, so that another one on the same machine can tell later whether it still lives."""

from __future__ import annotations

import contextlib
import os
import select
import signal
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


def having(name: str) -> dict[int, str]:
    """By id, every process that has this variable in its environment and may be looked at, with its value."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        value = _variable(int(entry.name), name)
        if value is not None:
            found[int(entry.name)] = value
    return found


def ended(pid: int, name: str, value: str, timeout_s: float) -> bool:
    """Kills the process, if it still is the one with this variable, and waits for its end; False when there was nothing to end."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if _variable(pid, name) != value:  # another one by now
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        return bool(select.select([fd], [], [], timeout_s)[0])
    finally:
        os.close(fd)


def _variable(pid: int, name: str) -> str | None:
    mark = f"{name}=".encode()
    with contextlib.suppress(OSError):
        for setting in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if setting.startswith(mark):
                return setting[len(mark) :].decode(errors="replace")
    return None


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
