"""Two hosts behind cables, once for each back-end the kernel has."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from wires import Wire

from needed import need_netem


@pytest.fixture(scope="module", params=["relay", "netem"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "netem" and os.geteuid() == 0:
        need_netem()
    return str(request.param)


@pytest.fixture(scope="module")
def shared(backend: str) -> Iterator[Wire]:
    with Wire(backend) as wire:
        yield wire


@pytest.fixture
def wire(shared: Wire) -> Iterator[Wire]:
    """Without cables, also afterwards: making another one would take longer than most tests."""
    yield shared
    shared.unplug()


@pytest.fixture
def own_wire(backend: str) -> Iterator[Wire]:
    """For a test that spoils it."""
    with Wire(backend) as wire:
        yield wire
