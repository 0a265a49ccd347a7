"""`appbed setup`: make this machine able to run a lab; what is there already is left as it is."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from appbed.engine.base_image import ensure_base
from appbed.engine.compose_plugin import ensure_compose
from appbed.engine.computer import Computer, ThisComputer
from appbed.engine.daemon import Connect, connect_sdk
from appbed.engine.endpoints import Endpoint
from appbed.engine.failures import remedy_for
from appbed.engine.role_images import ensure_role_images, find_role_images
from appbed.engine.start_engine import ensure_engine
from appbed.engine.steps import Emit, Event, Step
from appbed.errors import EngineError


@dataclass(frozen=True, slots=True)
class Machine:
    """What a lab can count on after `setup`."""

    endpoint: Endpoint
    engine: str
    api: str
    compose: str
    base_image: str
    images: tuple[str, ...]


def setup(root: Path, emit: Emit, *, computer: Computer | None = None, connect: Connect = connect_sdk) -> Machine:
    """Engine, Compose, base image, role images, in this order; `root` is the folder that holds images/.

    EngineError says what this machine lacks. Interrupted, it ends what it started; the next call goes on from there.
    """
    computer, emit = computer or ThisComputer(), _one_at_a_time(emit)
    images = find_role_images(root, computer.environment)
    try:
        engine = ensure_engine(computer, connect, Step("engine", emit))
        compose = ensure_compose(computer, engine.endpoint, Step("compose", emit))
        base = ensure_base(computer, engine, Step("base image", emit))
        ensure_role_images(computer, engine, images, emit)
    except OSError as error:  # a full disk, a folder that is not ours
        computer.stop()
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise EngineError(said, remedy=remedy_for(said, "make it writable")) from None
    except BaseException:
        computer.stop()
        raise
    return Machine(
        engine.endpoint, engine.facts.version, engine.facts.api, compose, base, tuple(image.image for image in images)
    )


def _one_at_a_time(emit: Emit) -> Emit:
    """Images are built in threads of their own; whoever listens need not know."""
    lock = threading.Lock()

    def emit_locked(event: Event) -> None:
        with lock:
            emit(event)

    return emit_locked
