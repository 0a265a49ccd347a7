"""The roles' images: built when what they are made from has changed, two at a time.

What an image was made from is its label org.appbed.source: a hash over the Dockerfile, the files it copies, its build
arguments and the ids of the images it starts from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appbed import loader
from appbed.engine import build_context
from appbed.engine.build_context import Dockerfile
from appbed.engine.computer import Computer
from appbed.engine.daemon import Daemon
from appbed.engine.failures import failed
from appbed.engine.find_engine import Engine
from appbed.engine.steps import Emit, Step
from appbed.errors import InputError

SOURCE_LABEL = "org.appbed.source"
_AT_ONCE = 2
_BUILD_S = 1800.0
_LOG_LINES = 12
_PROGRESS = re.compile(r"^(?:Step \d+/\d+ : .*|#\d+ \[.*)")


@dataclass(frozen=True, slots=True)
class RoleImage:
    """An image as images/<role>/service.yaml declares it."""

    role: str
    image: str
    context: Path
    dockerfile: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""

    def parsed(self) -> Dockerfile:
        return build_context.parse(self.dockerfile.read_text(encoding="utf-8"), self.arguments)

    def source(self, daemon: Daemon) -> str:
        """The hash of all that the image is made from."""
        dockerfile = self.parsed()
        bases = [f"{base}={found.id if (found := daemon.image(base)) else ''}" for base in dockerfile.bases]
        arguments = [f"{name}={value}" for name, value in sorted(self.arguments.items())]
        text = self.dockerfile.read_text(encoding="utf-8")
        return build_context.fingerprint(self.context, dockerfile.sources, text, self.target, *arguments, *bases)


def find_role_images(root: Path, environment: Mapping[str, str]) -> list[RoleImage]:
    """Every images/<role>/ that has a Dockerfile; a service.yaml that says nothing buildable is an InputError."""
    folder = root / "images"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", remedy="run appbed in the project's folder, or name it")
    found: dict[str, RoleImage] = {}
    for path in sorted(folder.glob("*/Dockerfile")):
        for image in _declared(path.parent, environment):
            other = found.setdefault(image.image, image)
            if other != image:
                raise InputError(
                    f"{path.parent}/service.yaml: {image.image} is also built, differently, by {other.dockerfile}",
                    remedy="give each build an image name of its own",
                )
    return list(found.values())


def _declared(folder: Path, environment: Mapping[str, str]) -> list[RoleImage]:
    place = folder / "service.yaml"
    services: dict[str, dict[str, Any]] = loader.load(place, environment).data["services"]
    images = {}
    for name, service in services.items():
        if "build" not in service:
            continue
        if not service.get("image"):
            raise InputError(
                f"{place}: services.{name}: builds, but has no image",
                remedy=f"add `image: appbed/{folder.name}:${{APPBED_TAG:-dev}}`",
            )
        build = service["build"] if isinstance(service["build"], dict) else {"context": str(service["build"])}
        context = (folder / str(build.get("context", "."))).resolve()
        dockerfile = context / str(build.get("dockerfile", "Dockerfile"))
        if not dockerfile.is_file():
            raise InputError(
                f"{place}: services.{name}.build.dockerfile: {dockerfile} is not there",
                remedy="the path is relative to build.context",
            )
        images[service["image"]] = RoleImage(
            folder.name,
            service["image"],
            context,
            dockerfile,
            _arguments(build.get("args") or {}),
            str(build.get("target", "")),
        )
    if not images:
        raise InputError(
            f"{place}: no service builds the Dockerfile beside it", remedy="add `build: {context: .}` and `image:`"
        )
    return list(images.values())


def _arguments(declared: Any) -> dict[str, str]:
    """build.args, which Compose takes as a mapping or as a list of NAME=value."""
    if isinstance(declared, dict):
        return {str(name): str(value) for name, value in declared.items()}
    return {name: value for name, _, value in (str(entry).partition("=") for entry in declared)}


def ensure_role_images(computer: Computer, engine: Engine, images: list[RoleImage], emit: Emit) -> None:
    """Build what is missing or was made from something else; an image that starts from another of ours waits for it."""
    ours = {image.image for image in images}
    waiting = {image.image: set(image.parsed().bases) & ours - {image.image} for image in images}
    by_name = {image.image: image for image in images}
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="build")
    try:
        building: dict[Future[None], str] = {}
        while waiting or building:
            for name in [name for name, needs in waiting.items() if not needs]:
                del waiting[name]
                building[pool.submit(_ensure, computer, engine, by_name[name], emit)] = name
            if not building:
                raise InputError(
                    f"images/: {', '.join(sorted(waiting))} start from each other",
                    remedy="break the circle of FROM lines",
                )
            finished, _ = wait(building, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                built = building.pop(future)
                for needs in waiting.values():
                    needs.discard(built)
    except BaseException:  # one build failed, or Ctrl-C: the others end too
        computer.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ensure(computer: Computer, engine: Engine, image: RoleImage, emit: Emit) -> None:
    step = Step(f"image {image.image}", emit)
    source, present = image.source(engine.daemon), engine.daemon.image(image.image)
    if present is not None and present.labels.get(SOURCE_LABEL) == source:
        step.skipped(f"{image.image} is up to date")
        return
    step.say(f"building {image.image}")
    _build(computer, engine, image, source, step)
    built = engine.daemon.image(image.image)
    if present is not None and built is not None and built.id != present.id:
        _forget(engine.daemon, present.id)
    step.done(image.image)


def _build(computer: Computer, engine: Engine, image: RoleImage, source: str, step: Step) -> None:
    argv = [
        "docker",
        "build",
        "--force-rm",
        f"--label={SOURCE_LABEL}={source}",
        f"--tag={image.image}",
        f"--file={image.dockerfile}",
    ]
    argv += [f"--build-arg={name}={value}" for name, value in image.arguments.items()]
    argv += [f"--target={image.target}"] if image.target else []
    if "bridge" not in engine.daemon.subnets():  # an engine without a default bridge (dockerd --bridge=none)
        argv.append("--network=host")

    def follow(line: str) -> None:
        if _PROGRESS.match(line):
            step.say(line)

    result = computer.run(
        [*argv, str(image.context)], timeout_s=_BUILD_S, environment=engine.endpoint.environment(), on_line=follow
    )
    if not result.ok:
        raise failed(
            f"images/{image.role}: docker build", result, lines=_LOG_LINES, otherwise=f"mend {image.dockerfile}"
        )


def _forget(daemon: Daemon, image_id: str) -> None:
    """Take away the image that was replaced, unless it has got another name meanwhile."""
    old = daemon.image(image_id)
    if old is not None and not old.tags:
        daemon.remove_image(image_id)


def state(image: RoleImage, daemon: Daemon) -> str:
    """ "present", "missing" or "stale" (made from something else than what is here now)."""
    present = daemon.image(image.image)
    if present is None:
        return "missing"
    return "present" if present.labels.get(SOURCE_LABEL) == image.source(daemon) else "stale"
