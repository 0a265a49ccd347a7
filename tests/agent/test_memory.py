"""What the agent knows again: whatever the disk does, it starts and goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from appbed.agent.memory import Memory


@pytest.mark.parametrize("left", ["", '{"bridges": {"campus"', "\0\0\0\0", "[]"])
def test_a_state_that_a_power_cut_spoiled_is_none(tmp_path: Path, left: str) -> None:
    (tmp_path / "state.json").write_text(left)
    memory = Memory(tmp_path)
    assert memory.state == {}
    memory.keep(bridges={"campus": "br0"})
    assert Memory(tmp_path).state["bridges"] == {"campus": "br0"}


def test_bytes_that_are_no_text_spoil_one_event(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"time": 1, "event": "host"}\n\xff\xfe\n')
    assert [event["event"] for event in Memory(tmp_path).events] == ["host"]


def test_on_a_full_disk_events_are_remembered_and_the_state_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(tmp_path)
    memory.keep(desired=1)
    with monkeypatch.context() as patch:
        for name in ("open", "write_text", "touch"):
            patch.setattr(Path, name, _full)
        memory.note("host", host="client")
        memory.sign_of_life()
        with pytest.raises(OSError, match="No space left"):
            memory.keep(desired=2)
    assert [event["event"] for event in memory.events] == ["host"]
    assert memory.state["desired"] == Memory(tmp_path).state["desired"] == 1


def _full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
