"""The first process of user-mode Linux: makes a machine of this kernel and the host's files, runs one command, turns it off.

It gets one argument: a folder of the host with request.json (see uml.py); the command's status is left there. Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tty
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_BIND, _FINIT_MODULE, _POWER_OFF = 4096, 313, 0x4321FEDC  # mount(2), finit_module(2) on x86-64, reboot(2)
_MODULES = Path("/usr/lib/uml/modules")
_HOST, _KEPT = (
    Path("/run/host"),
    Path("/run/kept"),
)  # the folder of the request; what the file systems in memory would hide
_IN_MEMORY = ("/tmp", "/var/tmp", "/dev/shm", "/root/.cache", "/etc/docker")


def main(folder: str) -> None:
    """Whatever happens, the machine goes off; without a status the caller knows that something did."""
    try:
        _file_systems()
        _HOST.mkdir()
        mount("none", _HOST, "hostfs", folder)
        request = json.loads((_HOST / "request.json").read_text())
        console = os.open("/dev/tty1", os.O_RDWR)
        tty.setraw(console)
        for fd in (1, 2):
            os.dup2(console, fd)
        (_HOST / "status").write_text(str(_obey(request)))
    finally:
        sys.stdout.flush()
        os.sync()
        _LIBC.reboot(_POWER_OFF)


def _file_systems() -> None:
    mount("proc", Path("/proc"), "proc")
    mount("sysfs", Path("/sys"), "sysfs")
    mount("tmpfs", Path("/run"), "tmpfs")
    if not Path("/dev/null").is_char_device():
        mount("devtmpfs", Path("/dev"), "devtmpfs")


def _obey(request: dict[str, Any]) -> int:
    kept = [*request["writable"], request["repository"]]
    for number, path in enumerate(kept):
        place = _KEPT / str(number)
        place.mkdir(parents=True)
        if path in request["writable"]:
            mount("none", place, "hostfs", path)
        else:
            mount(path, place, None, flags=_BIND)
    for folder in _IN_MEMORY:
        if Path(folder).is_dir():
            mount("tmpfs", Path(folder), "tmpfs")
    for number, path in reversed(list(enumerate(kept))):  # the repository first: a writable folder may be in it
        Path(path).mkdir(parents=True, exist_ok=True)
        mount(str(_KEPT / str(number)), Path(path), None, flags=_BIND)
    for module in request["modules"]:
        load(module)
    _tun()
    up = ["ip", "link", "set", "lo", "up"]
    subprocess.run(up, env=request["environment"], check=True)
    ran = subprocess.run(request["command"], cwd=request["repository"], env=request["environment"], check=False)
    return ran.returncode if ran.returncode >= 0 else 128 - ran.returncode


def _tun() -> None:
    device = Path("/dev/net/tun")
    if not device.exists():
        device.parent.mkdir(exist_ok=True)
        os.mknod(device, 0o20666, os.makedev(10, 200))


def mount(source: str, target: Path, kind: str | None, options: str | None = None, flags: int = 0) -> None:
    words = [None if word is None else word.encode() for word in (source, str(target), kind, options)]
    if _LIBC.mount(words[0], words[1], words[2], flags, words[3]):
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}: {os.strerror(ctypes.get_errno())}")


def load(name: str) -> None:
    """A kernel module and, before it, those it depends on (modules.dep names them in reverse order); one that is there is fine."""
    folder = _MODULES / os.uname().release
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        if Path(path).stem.replace("-", "_") == name:
            for each in [*reversed(others.split()), path]:
                _insert(folder / each)
            return
    if name not in (folder / "modules.builtin").read_text().replace("-", "_"):
        raise LookupError(f"{folder} has no module {name}")


def _insert(path: Path) -> None:
    with path.open("rb") as module:
        if _LIBC.syscall(_FINIT_MODULE, module.fileno(), b"", 0) and ctypes.get_errno() != 17:  # EEXIST
            raise OSError(ctypes.get_errno(), f"{path}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(sys.argv[1])
