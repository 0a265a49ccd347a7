"""Compose files read by the loader, as its tests want them: the data, or the one line that refuses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appbed import loader
from appbed.errors import TopologyError

Write = Callable[..., Path]


def load(path: Path, *overrides: Path, **environment: str) -> dict[str, Any]:
    return loader.load(path, environment, *overrides).data


def refused(path: Path, *overrides: Path, **environment: str) -> str:
    with pytest.raises(TopologyError) as caught:
        load(path, *overrides, **environment)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)
