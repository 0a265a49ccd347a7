"""Who is measured and who is not, with hosts as a test says; test_measure.py has the real cables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from appbed import topology
from appbed.agent import measures
from appbed.agent.door import Door, Found
from appbed.agent.hosts import Hosts, Running
from appbed.agent.measures import Measures
from appbed.agent.netlink import Interface
from appbed.errors import AgentError
from small_lab import write_small

CLIENT, SERVER = "client@campus", "server@access"
SERIES: dict[str, list[dict[str, Any]]] = {"up": [], "down": []}


class Wired:
    """What the agent knows: both hosts run; the server's interface has just gone with its old container."""

    def __init__(self, folder: Path) -> None:
        self.topology = topology.load(write_small(folder), {})
        self.wanted = {str(at): at.link for at in self.topology.attachments()}
        self.bridges = {"campus": "br-campus", "access": "br-access"}
        self.running = {name: self._running(name, peer) for name, peer in (("client", 11), ("server", 99))}

    def _running(self, name: str, peer: int) -> Running:
        host = self.topology.host(name)
        return Running(host, Found(1, 1, 1), {host.attachments[0].network: interface(2, "eth0", peer)})

    def links(self) -> list[dict[str, Any]]:
        return [{"attachment": str(at), "cable": "bridge", "counters": None} for at in self.topology.attachments()]


def interface(index: int, name: str, peer: int = 0) -> Interface:
    return Interface(index, name, bytes(6), 1500, peer, 0, ())


class _Machine:
    """The machine's own interfaces."""

    def __enter__(self) -> _Machine:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def interfaces(self) -> list[Interface]:
        return [interface(11, "veth11"), interface(20, "br-campus"), interface(21, "br-access")]


class _Door:
    """Nobody is behind it who was found in namespace 0."""

    def socket(self, found: Found, kind: str) -> Any:
        if not found.namespace:
            raise LookupError("process 1 is no first process of this instance")
        return _Socket()


class _Socket:
    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr(measures, "Netlink", _Machine)
    monkeypatch.setattr(measures, "_here", _Socket)
    wired = Wired(tmp_path)
    mine = Measures(cast(Hosts, wired), cast(Door, _Door()), "relay")

    def answer(gone: tuple[str, ...] = (), **request: Any) -> dict[str, Any]:
        for host in gone:
            wired.running[host].found = Found(1, 1, 0)
        series = {CLIENT: SERIES, SERVER: SERIES}
        return asyncio.run(mine.answer({"op": "measure", "series": series, **request}))

    return answer


def test_a_host_that_is_just_being_started_again_does_not_keep_the_others_from_being_measured(
    measured: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(request: Mapping[str, Any], sockets: object, longest_s: float) -> dict[str, Any]:
        return {"lanes": [{} for _ in request["lanes"]]}

    monkeypatch.setattr(measures, "play", play)
    answer = measured()
    assert set(answer["measured"]) == {CLIENT}
    assert answer["absent"] == {SERVER: "its interface is no longer there: is its host being started again?"}


def test_a_host_that_ended_in_this_moment_is_absent(
    measured: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = measured(gone=("client",))
    assert answer["measured"] == {}
    assert set(answer["absent"]) == {CLIENT, SERVER}


def test_a_measurement_has_the_time_it_asks_for_and_says_which_link_took_longer(
    measured: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(request: object, sockets: object, longest_s: float) -> dict[str, Any]:
        raise TimeoutError

    monkeypatch.setattr(measures, "play", play)
    with pytest.raises(AgentError, match=r"^client@campus: not measured within 197 s$"):
        measured(seconds=197)
