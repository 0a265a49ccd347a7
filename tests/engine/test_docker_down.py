"""What is asked of the engine to remove an instance, and whose it takes an instance for that is only half there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError

from appbed.engine.docker import INSTANCE, DockerEngine, _remove_container


class Container:
    """Remembers what it was told; one that `refuses` cannot be stopped."""

    def __init__(self, role: str, *, refuses: bool = False) -> None:
        self.labels = {"org.appbed.role": role}
        self.told: list[str] = []
        self._refuses = refuses

    def stop(self, *, timeout: int) -> None:
        assert timeout > 0
        self.told.append("stop")
        if self._refuses:
            raise APIError("it is paused")

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v
        self.told.append("remove")


@pytest.mark.parametrize("refuses", [False, True])
def test_an_agent_may_take_its_devices_away_and_goes_in_any_case(refuses: bool) -> None:
    agent = Container("agent", refuses=refuses)
    assert _remove_container(agent)
    assert agent.told == ["stop", "remove"]


def test_of_other_containers_nobody_waits_for_the_end() -> None:
    host = Container("web")
    assert _remove_container(host)
    assert host.told == ["remove"]


class Of(DockerEngine):
    """An engine that holds just these containers and networks of one instance."""

    def __init__(self, containers: list[Any], networks: list[Any]) -> None:
        self.removed: list[str] = []
        self._held = [*containers]
        empty = SimpleNamespace(list=lambda **_: [])
        self._client = SimpleNamespace(networks=SimpleNamespace(list=lambda **_: networks), volumes=empty)

    def _of(self, name: str) -> list[Any]:
        return list(self._held)


def test_the_agent_is_the_first_to_go_so_that_a_killed_down_is_known_by_its_absence() -> None:
    gone: list[str] = []

    class Held(Container):
        def remove(self, *, force: bool, v: bool) -> None:
            gone.append(self.labels["org.appbed.role"])
            engine._held.remove(self)

    engine = Of([Held(role) for role in ("web", "client", "agent", "router")], [])
    assert engine.down("x") == 4
    assert gone[0] == "agent"


def test_networks_say_whose_they_are_while_no_container_is_there_yet() -> None:
    """Else `gc` would take them from an `up` that has just begun."""
    labels = {INSTANCE: "x", "org.appbed.owner": "boot:1:2:3", "org.appbed.lives-on": "true"}
    network = SimpleNamespace(name="x_lan", attrs={"Labels": labels})
    found = Of([], [])._instance("x", [network], [])
    assert (found.owner, found.lives_on, found.networks) == ("boot:1:2:3", True, ("x_lan",))
