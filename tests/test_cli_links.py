"""A link that is not as it should be is shown so, and no command says that it did it."""

from __future__ import annotations

from typing import Any

import pytest

from appbed.engine.fake import FakeEngine
from appbed.engine.fake_agent import FakeAgent
from command_line import Appbed

ACCESS = "gateway@access"


def test_a_link_that_is_not_as_set_is_marked_and_its_reset_has_failed(
    appbed: Appbed, up: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = FakeAgent._line

    def failed(agent: FakeAgent, name: str) -> dict[str, Any]:
        return line(agent, name) | {"failed": "Cannot find device" if name == ACCESS else None}

    monkeypatch.setattr(FakeAgent, "_line", failed)
    assert appbed("link", "show").out.count("(failed)") == 2
    for done in (appbed("link", "reset"), appbed("link", "set", ACCESS, "loss=1%")):
        assert done.status not in (0, None)
        assert f"{ACCESS}: Cannot find device" in done.err
        assert "(failed)" in done.out
    assert appbed("link", "reset", "client").status == 0
