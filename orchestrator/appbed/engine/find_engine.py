"""The engine that answers, or one error that says why none does and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from appbed.engine.computer import Computer
from appbed.engine.daemon import Connect, Daemon, EngineFacts, Unreachable, connect_sdk
from appbed.engine.endpoints import Endpoint, endpoints
from appbed.errors import EngineError

MINIMUM_API = (1, 41)  # engine 20.10


class NoEngine(EngineError):
    """No engine answers; `startable` tells whether `setup` may start one at `endpoint`."""

    def __init__(self, message: str, *, remedy: str, endpoint: Endpoint, startable: bool) -> None:
        super().__init__(message, remedy=remedy)
        self.endpoint = endpoint
        self.startable = startable


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine that is new enough, and where it is."""

    endpoint: Endpoint
    daemon: Daemon
    facts: EngineFacts


def find_engine(computer: Computer, connect: Connect | None = None) -> Engine:
    """The engine of DOCKER_HOST, of the current context, or at a usual socket; NoEngine says what to do about none."""
    silent: list[tuple[Endpoint, Unreachable]] = []
    for endpoint in endpoints(computer):
        try:
            daemon = (connect or connect_sdk)(endpoint)
            facts = daemon.facts()
        except Unreachable as error:
            silent.append((endpoint, error))
            continue
        _refuse_unfit(endpoint, facts)
        return Engine(endpoint, daemon, facts)
    # "Not for us" beats "not there": what a person must be told is the engine that does run.
    endpoint, reason = min(silent, key=lambda pair: pair[1].reason == "absent")
    raise _no_engine(computer, endpoint, reason)


def _refuse_unfit(endpoint: Endpoint, facts: EngineFacts) -> None:
    if "podman" in facts.name.lower():
        raise EngineError(
            f"{endpoint}: Podman {facts.version} answers, and appbed needs Docker Engine's networks",
            remedy="point DOCKER_HOST at a Docker Engine, 20.10 or newer",
        )
    if facts.operating_system != "linux":
        raise EngineError(
            f"{endpoint}: the engine runs {facts.operating_system} containers", remedy="switch it to Linux containers"
        )
    if facts.api_version < MINIMUM_API:
        raise EngineError(
            f"{endpoint}: Docker Engine {facts.version} (API {facts.api}) is too old",
            remedy="install Docker Engine 20.10 (API 1.41) or newer",
        )


def _no_engine(computer: Computer, endpoint: Endpoint, error: Unreachable) -> NoEngine:
    if error.reason == "forbidden":
        return NoEngine(
            f"{endpoint}: permission denied", endpoint=endpoint, startable=False,
            remedy="add yourself to the group docker (`sudo usermod -aG docker $USER`, then log in again) or use sudo",
        )  # fmt: skip
    if error.reason == "broken":
        return NoEngine(
            f"{endpoint}: {error.said}",
            remedy="see what answers there, or unset DOCKER_HOST",
            endpoint=endpoint,
            startable=False,
        )
    ours = endpoint.socket is not None and bool(computer.environment.get("APPBED_DATA_ROOT"))
    if endpoint.chosen and not (ours and endpoint.found_by == "DOCKER_HOST"):
        how = (
            "unset DOCKER_HOST"
            if endpoint.found_by == "DOCKER_HOST"
            else "choose another one with `docker context use default`"
        )
        return NoEngine(
            f"{endpoint}: no engine answers",
            remedy=f"start the engine there, or {how}",
            endpoint=endpoint,
            startable=False,
        )
    return NoEngine(
        f"{endpoint}: no Docker engine answers", remedy="run `appbed setup`", endpoint=endpoint, startable=True
    )
