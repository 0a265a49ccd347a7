"""What is asked of the engine to remove a container."""

from __future__ import annotations

import pytest
from docker.errors import APIError

from appbed.engine.docker import _remove_container


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
