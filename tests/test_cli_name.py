"""Which instance a command means, said by the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine.fake import FakeEngine
from command_line import Appbed


def test_the_environment_names_the_instance_like_the_option(
    appbed: Appbed, engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appbed("up", str(small))
    monkeypatch.setenv("APPBED_NAME", "mine")
    assert "mine is up" in appbed("up", str(small)).out
    assert appbed("down").out.startswith("mine is down")
    assert "mine" not in {instance.name for instance in engine.instances()}
    assert "no instance 'mine' is up" in appbed("link", "show").complaint


def test_the_option_is_stronger(appbed: Appbed, up: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = (instance.name for instance in up.instances())
    monkeypatch.setenv("APPBED_NAME", "another")
    assert appbed("down", "--name", name).status == 0
