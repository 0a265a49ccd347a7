"""Runs a command on a kernel that has netem, where this machine's has none: user-mode Linux with this machine's files.

    .venv/bin/python -m tests.netem.uml [--write FOLDER] [--seconds 600] -- COMMAND...

The command sees the files of this machine read-only, at their places; what it writes goes to memory, or to the folders named by
`--write`. It runs as root of that kernel, in the repository, without any network but its own loopback. Its output and exit status
become this command's. Where user-mode Linux cannot be had, that is said with the remedy, and the status is 0, or 1 with
APPBED_NETEM_NEEDED=1 in the environment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).with_name("guest.py")
LINK_MODULES = ("sch_netem", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge", "tun")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NotInstalled(Exception):
    """User-mode Linux cannot be had here; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kernel is given: memory, modules, a file as its first disk, folders it may write to."""

    memory_mb: int = 1024
    modules: tuple[str, ...] = LINK_MODULES
    disk: Path | None = None
    writable: tuple[Path, ...] = ()


def run(command: Sequence[str], machine: Machine | None = None, *, seconds: float = 600) -> int:
    """The command's exit status; its output goes where this process's goes. TimeoutError when time is up."""
    with _booted(command, machine or Machine(), program()) as (process, folder):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{' '.join(command)}: not done within {seconds:g} s in user-mode Linux") from None
        status = folder / "status"
        if not status.exists():
            raise OSError(
                f"user-mode Linux ended before the command did:\n{(folder / 'kernel.log').read_text()[-4000:]}"
            )
        return int(status.read_text())


def skipped(why: NotInstalled) -> int:
    """The exit status of a command that was not run: a failure where somebody said that netem is needed."""
    print(f"skipped: {why}")
    return int(os.environ.get("APPBED_NETEM_NEEDED") == "1")


def program() -> str:
    """The kernel. NotInstalled when there is none, or this user may not use what it needs."""
    found = shutil.which("linux.uml")
    if not found:
        raise NotInstalled("linux.uml is not installed; as root on Debian or Ubuntu: apt-get install user-mode-linux")
    return found


@contextlib.contextmanager
def _booted(command: Sequence[str], machine: Machine, kernel: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A session of its own, so that all its processes end with it, however this block is left."""
    with tempfile.TemporaryDirectory(prefix="appbed-netem-") as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(_request(command, machine)))
        with (folder / "kernel.log").open("wb") as log:
            process = subprocess.Popen(
                _argv(kernel, folder, machine),
                stdin=subprocess.DEVNULL,
                stderr=log,
                cwd=folder,
                env={"PATH": _PATH, "TMPDIR": "/dev/shm" if Path("/dev/shm").is_dir() else name},
                start_new_session=True,
            )
        try:
            yield process, folder
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _argv(kernel: str, folder: Path, machine: Machine) -> list[str]:
    """Kernel messages go nowhere (tty0); tty1 is the command's output. The words after -- are the first process's."""
    disk = [f"ubd0={machine.disk}"] if machine.disk else []
    return [
        kernel,
        f"mem={machine.memory_mb}M",
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        *disk,
        *("con=null", "con0=null", "con1=null,fd:1", "quiet", "loglevel=1", "panic=-1"),
        *(f"uml_dir={folder}", "umid=uml"),
        f"init={sys.executable}",
        *("--", str(GUEST), str(folder)),
    ]


def _request(command: Sequence[str], machine: Machine) -> dict[str, object]:
    return {
        "command": list(command),
        "repository": str(REPOSITORY),
        "writable": [str(path.resolve()) for path in machine.writable],
        "modules": machine.modules,
        "environment": {
            "PATH": f"{Path(sys.executable).parent}:{_PATH}",
            "HOME": str(Path.home()),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "APPBED_NETEM_NEEDED": "1",
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="run a command on a kernel that has netem")
    parser.add_argument("--write", action="append", default=[], type=Path, metavar="FOLDER", help="it may write there")
    parser.add_argument("--seconds", type=float, default=600, help="it is ended after that time")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, as after Ctrl-C
    try:
        return run(asked.command, Machine(writable=tuple(asked.write)), seconds=asked.seconds)
    except NotInstalled as error:
        return skipped(error)
    except TimeoutError as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
