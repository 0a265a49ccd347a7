"""A lab on real containers whose links are the kernel's netem: an engine of its own inside user-mode Linux, with this one's images.

    .venv/bin/python -m tests.netem.lab [COMMAND...]

The command (default: the tests of tests/integration/test_netem.py) runs beside that engine. The images are taken from this
machine's engine, which is otherwise left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.netem import uml

from appbed import loader

PAIR = uml.REPOSITORY / "tests/topologies/pair.yaml"
TESTS = ("pytest", "-q", "--color=no", "-p", "no:cacheprovider", "--timeout=800", "tests/integration/test_netem.py")
MODULES = (
    *uml.LINK_MODULES,
    *("overlay", "br_netfilter", "iptable_nat", "iptable_filter", "nf_nat"),
    *("xt_MASQUERADE", "xt_conntrack", "xt_addrtype"),
)
_CONTROLLERS = ("cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls", "pids")
_DATA, _LOG = Path("/run/engine"), Path("/run/dockerd.log")
_STARTS_S = 120
_PACKAGES = "docker.io iptables e2fsprogs"


def main() -> int:
    """On this machine: images and an empty disk, then the other half below inside."""
    command = sys.argv[1:] or list(TESTS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        uml.program()
        images = sorted({service["image"] for service in loader.load(PAIR, os.environ).data["services"].values()})
        with tempfile.TemporaryDirectory(prefix="appbed-netem-") as name:
            folder = Path(name)
            _save(images, folder / "images.tar")
            disk = _disk(folder / "disk", bytes_=4 << 30)
            machine = uml.Machine(3072, MODULES, disk, (folder,))
            inside = [sys.executable, "-m", "tests.netem.lab", "--inside", str(folder / "images.tar"), *command]
            return uml.run(inside, machine, seconds=900)
    except uml.NotInstalled as error:
        return uml.skipped(error)
    except TimeoutError as error:
        print(error)
        return 1


def _save(images: list[str], archive: Path) -> None:
    for program in ("docker", "dockerd", "mkfs.ext4", "iptables-legacy"):
        if not shutil.which(program):
            raise uml.NotInstalled(
                f"{program} is not installed; as root on Debian or Ubuntu: apt-get install {_PACKAGES}"
            )
    done = subprocess.run(["docker", "save", "-o", str(archive), *images], capture_output=True, text=True, check=False)
    if done.returncode:
        raise uml.NotInstalled(f"docker save: {done.stderr.strip()}; run `appbed setup`")


def _disk(path: Path, bytes_: int) -> Path:
    """An empty ext4 file system in a sparse file."""
    with path.open("wb") as file:
        file.truncate(bytes_)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", str(path)], check=True)
    return path


def inside(archive: str, command: list[str]) -> int:
    """In user-mode Linux: an engine, the images, the command."""
    began = time.monotonic()
    with _engine():
        subprocess.run(["docker", "load", "--quiet", "--input", archive], stdout=subprocess.DEVNULL, check=True)
        print(f"an engine with the images, on Linux {os.uname().release}: {time.monotonic() - began:.0f} s", flush=True)
        return subprocess.run(command, check=False).returncode


@contextlib.contextmanager
def _engine() -> Iterator[None]:
    _DATA.mkdir()
    _mount("/dev/ubda", _DATA, "ext4")
    _mount("tmpfs", Path("/sys/fs/cgroup"), "tmpfs")
    for controller in _CONTROLLERS:
        folder = Path("/sys/fs/cgroup", controller)
        folder.mkdir()
        _mount("cgroup", folder, "cgroup", controller)
    legacy = Path("/run/legacy")  # this kernel has no nft NAT
    legacy.mkdir()
    for name in ("iptables", "ip6tables"):
        (legacy / name).symlink_to(shutil.which(f"{name}-legacy") or name)
    os.environ["PATH"] = f"{legacy}:{os.environ['PATH']}"
    with _LOG.open("wb") as log:
        daemon = subprocess.Popen(["dockerd", "--data-root", str(_DATA)], stdout=log, stderr=log)
    try:
        _wait_for(daemon)
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


def _wait_for(daemon: subprocess.Popen[bytes]) -> None:
    """Until it answers; its log when it does not."""
    deadline = time.monotonic() + _STARTS_S
    socket = Path("/run/docker.sock")
    while not (socket.exists() and not subprocess.run(["docker", "version"], capture_output=True).returncode):
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise OSError(f"no engine within {_STARTS_S} s:\n{_LOG.read_text()[-4000:]}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(0.2)


def _mount(source: str, target: Path, kind: str, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), str(target).encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(sys.argv[2], sys.argv[3:]))
    sys.exit(main())
