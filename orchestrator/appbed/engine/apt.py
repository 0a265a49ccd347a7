"""Packages for Debian and Ubuntu, where we are root; nothing is ever installed anywhere else."""

from __future__ import annotations

from collections.abc import Sequence

from appbed.engine.computer import Computer, Result
from appbed.engine.failures import failed
from appbed.engine.steps import Step

_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
_TIMEOUT_S = 900.0


def available(computer: Computer) -> bool:
    return computer.is_root and computer.which("apt-get") is not None and computer.which("dpkg") is not None


def known(computer: Computer, package: str) -> bool:
    """Whether the package lists offer `package`."""
    return computer.run(["apt-cache", "show", package], timeout_s=60).ok


def install(computer: Computer, packages: Sequence[str], step: Step) -> None:
    """Install, reading the package lists first where they are missing or too old to serve."""
    computer.run(
        ["dpkg", "--configure", "-a"], timeout_s=_TIMEOUT_S, environment=_QUIET
    )  # after a setup that was interrupted
    updated = None if all(known(computer, package) for package in packages) else _update(computer, step)
    step.say(f"apt-get install {' '.join(packages)}")
    result = _install(computer, packages)
    if not result.ok and updated is None:
        updated = _update(computer, step)
        result = _install(computer, packages)
    if result.ok:
        return
    if updated is not None and not updated.ok:  # told only now: one broken source among good ones need not matter
        raise failed("apt-get update", updated, otherwise="check the package sources under /etc/apt")
    raise failed(
        f"apt-get install {' '.join(packages)}", result, otherwise="install them by hand, then run `appbed setup` again"
    )


def _update(computer: Computer, step: Step) -> Result:
    step.say("apt-get update")
    return computer.run(["apt-get", "update", "--quiet"], timeout_s=_TIMEOUT_S, environment=_QUIET)


def _install(computer: Computer, packages: Sequence[str]) -> Result:
    argv = [
        "apt-get",
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=120",
        *packages,
    ]
    return computer.run(argv, timeout_s=_TIMEOUT_S, environment=_QUIET)
