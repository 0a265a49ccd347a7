"""What the agent answers, with hosts that come and go as a test says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from appbed.agent.captures import Captures
from appbed.agent.control import Control
from appbed.agent.door import Door
from appbed.agent.hosts import Hosts
from appbed.agent.measures import Measures
from appbed.agent.memory import Memory
from appbed.agent.shaping import Shaping


class Coming:
    """A host that was started again: what the agent knows of it is the old one until it looks."""

    def __init__(self) -> None:
        self.running = {"server": "the old one"}
        self.looks = self.at_once = self.most_at_once = 0

    async def reconcile(self) -> bool:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.looks += 1
        self.running = {}
        self.at_once -= 1
        return False

    def missing(self) -> dict[str, str]:
        return {} if self.running else {"server": "its network namespace"}


def control(hosts: Coming, folder: Path) -> Control:
    measures = SimpleNamespace(backend="relay")
    captures = Captures(cast(Door, None), folder)
    return Control(cast(Hosts, hosts), cast(Shaping, None), cast(Memory, None), captures, cast(Measures, measures))


async def status(asked: Control) -> dict[str, Any]:
    return await anext(asked.answer({"op": "status"}, "stream 1"))


def test_status_tells_of_the_hosts_there_are_now_and_not_of_those_it_last_saw(tmp_path: Path) -> None:
    hosts = Coming()
    said = asyncio.run(status(control(hosts, tmp_path)))
    assert said["missing"] == {"server": "its network namespace"}
    assert said["hosts"] == []


def test_one_look_at_a_time(tmp_path: Path) -> None:
    async def several() -> None:
        asked = control(hosts, tmp_path)
        await asyncio.gather(*(status(asked) for _ in range(3)))

    hosts = Coming()
    asyncio.run(several())
    assert (hosts.looks, hosts.most_at_once) == (3, 1)
