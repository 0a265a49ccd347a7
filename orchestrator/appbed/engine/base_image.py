"""The image every role starts from: pulled where a registry is reached, built from Debian's packages where none is."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appbed.engine import apt
from appbed.engine.computer import Computer
from appbed.engine.endpoints import Endpoint
from appbed.engine.failures import failed, remedy_for
from appbed.engine.find_engine import Engine
from appbed.engine.start_engine import os_release
from appbed.engine.steps import Step
from appbed.errors import EngineError

BASE = "debian:bookworm-slim"
_SUITE = "bookworm"
_BUILD_S = 900.0

# What makes the official image slim, and what the roles' own `apt-get install` then inherits.
_SLIM = (
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=force-unsafe-io",
    '--aptopt=Acquire::Languages "none"',
)
# Two files of the official image: no package starts a server; apt keeps no archives (mmdebstrap itself must keep them).
_ADDED = (
    ("/usr/sbin", "policy-rc.d", "#!/bin/sh\nexit 101\n"),
    ("/etc/apt/apt.conf.d", "90no-archives", 'APT::Keep-Downloaded-Packages "false";\n'),
)


def ensure_base(computer: Computer, engine: Engine, step: Step) -> str:
    """The id of the base image."""
    if present := engine.daemon.image(BASE):
        step.skipped(f"{BASE} is here")
        return present.id
    step.say(f"pulling {BASE}")
    unreached = _pull(engine, step)
    if unreached is None:
        how = "pulled"
    else:
        how = "built with mmdebstrap"
        step.say(f"{BASE} cannot be pulled ({unreached}): building it from Debian's packages with mmdebstrap")
        _ensure_mmdebstrap(computer, unreached, step)
        _build(computer, engine.endpoint, step)
    image = engine.daemon.image(BASE)
    if image is None:
        raise EngineError(f"{BASE}: {how}, but the engine does not have it", remedy="see the engine's log")
    step.done(f"{BASE} {how}")
    return image.id


def _pull(engine: Engine, step: Step) -> str | None:
    """Why it did not come, None if it did."""
    try:
        engine.daemon.pull(BASE, step.say)
    except EngineError as error:
        return error.message
    return None


def _ensure_mmdebstrap(computer: Computer, unreached: str, step: Step) -> None:
    if computer.which("mmdebstrap"):
        return
    if not apt.available(computer):
        raise EngineError(
            f"{BASE}: cannot be pulled ({unreached}) and, without root on Debian or Ubuntu, not built",
            remedy=remedy_for(unreached, "make a registry that has it reachable, or bring it with `docker load`"),
        )
    # Only Debian itself is sure to have the keys that Debian's packages are signed with.
    keys = [] if os_release(computer).get("ID") == "debian" else ["debian-archive-keyring"]
    apt.install(computer, ["mmdebstrap", *keys], step)


def _build(computer: Computer, endpoint: Endpoint, step: Step) -> None:
    """In a folder of its own, and named only when whole: a build that was cut short leaves no image called BASE."""
    with tempfile.TemporaryDirectory(prefix="appbed-base-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt downloads as a user of its own
        tar = folder / "base.tar"
        argv = ["mmdebstrap", "--variant=minbase", "--format=tar", *_SLIM, *_added(folder), _SUITE, str(tar)]
        step.say(f"mmdebstrap --variant=minbase {_SUITE}")

        def follow(line: str) -> None:
            step.say(f"mmdebstrap: {line.removeprefix('I: ')}")

        result = computer.run(argv, timeout_s=_BUILD_S, environment={"TMPDIR": name}, on_line=follow)
        if not result.ok:
            raise failed("mmdebstrap", result, otherwise=f"bring {BASE} with `docker load`", lines=5)
        step.say(f"docker import as {BASE}")
        _import(computer, endpoint, tar)


def _added(folder: Path) -> Iterator[str]:
    for where, name, text in _ADDED:
        file = folder / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
        yield f"--customize-hook=copy-in {file} {where}"


def _import(computer: Computer, endpoint: Endpoint, tar: Path) -> None:
    argv = ["docker", "import", "--change", 'CMD ["bash"]', "--change", "LABEL org.appbed.base=mmdebstrap", str(tar)]
    result = computer.run(argv, timeout_s=_BUILD_S, environment=endpoint.environment())
    found = re.search(r"sha256:[0-9a-f]{64}", result.output)
    if not result.ok or found is None:
        raise failed("docker import", result, otherwise="see the engine's log")
    result = computer.run(["docker", "tag", found[0], BASE], timeout_s=30, environment=endpoint.environment())
    if not result.ok:
        raise failed(f"docker tag {BASE}", result, otherwise="see the engine's log")
