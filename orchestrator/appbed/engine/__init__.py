"""What appbed needs of a container engine: the protocol, its values. docker.py is the real one, fake.py stands in for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal, Protocol

from appbed.errors import EngineError


@dataclass(frozen=True, slots=True)
class Project:
    """One instance as Compose sees it: project name, files (the first one and what is laid over it), environment."""

    name: str
    files: tuple[Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended inside a host."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Container:
    """`state` is the engine's word: created, running, paused, restarting, exited, dead.

    `published` says on which port of 127.0.0.1 a port of the container can be reached, `role` is that of its label: "agent".
    """

    service: str
    name: str
    state: str
    health: str
    image: str
    environment: Mapping[str, str]
    published: Mapping[int, int] = field(default_factory=dict)
    role: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """Everything the engine holds that carries one instance's label.

    `files` are those Compose was given, `owner` is the process that brought it up; unless it `lives_on`, it ends with that.
    """

    name: str
    files: tuple[Path, ...]
    net: str
    owner: str
    containers: tuple[Container, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    lives_on: bool = False

    @property
    def running(self) -> int:
        return sum(container.state in ("running", "paused") for container in self.containers)

    @property
    def agent(self) -> str:
        """The service that is its agent; "" when none says so."""
        return next((container.service for container in self.containers if container.role == "agent"), "")


def pages(containers: Sequence[Container]) -> dict[str, str]:
    """Where a browser on the engine's machine finds pages of the lab, by the names they have there.

    PAGES of images/window says which page a port is. Names that end in localhost lead to the own machine (RFC 6761), and keep
    the cookies of two pages apart, which ports do not.
    """
    return {
        page: f"http://{page}.localhost:{container.published[int(port)]}/"
        for container in containers
        for port, _, page in (word.partition("=") for word in container.environment.get("PAGES", "").split())
        if page and port.isdecimal() and int(port) in container.published
    }


Action = Literal["start", "stop", "kill", "pause", "unpause", "restart"]


class AddressTaken(EngineError):
    """A subnet of the project is in use."""


class ShellEnded(EngineError):
    """A shell is gone, or there never was one: its host was started again, or its image has none."""


class Shell(Protocol):
    """A shell that stays in a host: a program starts there in milliseconds, where an exec costs the engine a tenth of a second."""

    def run(self, program: str, timeout_s: float) -> Completed:
        """Runs the program of this path, without arguments and input; ShellEnded when it will say no more."""


class Stream(Protocol):
    """A command's stdin and stdout as lines."""

    def send(self, line: str) -> None: ...

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Lines as they come; TimeoutError when none came in time, end of iteration when the command ended."""


class Engine(Protocol):
    """Every call raises EngineError when the engine refuses; `host` is a service's name."""

    def version(self) -> str: ...

    def routes(self) -> list[IPv4Network]:
        """Subnets the engine's machine already has routes to, other networks of the engine included."""

    def missing_images(self, images: Sequence[str]) -> list[str]: ...

    def create(self, project: Project) -> None:
        """Networks and containers, not started; AddressTaken when a subnet is no longer free."""

    def start(self, name: str, started: Callable[[str], None]) -> None:
        """All containers of a project at once; calls back with each service started."""

    def containers(self, name: str) -> list[Container]: ...

    def states(self, name: str) -> dict[str, str]:
        """By service, its container's state: a part of what `containers` says, for one question instead of one for each."""

    def exec(
        self, name: str, host: str, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0
    ) -> Completed: ...

    def stream(self, name: str, host: str, argv: Sequence[str]) -> AbstractContextManager[Stream]: ...

    def shell(self, name: str, host: str) -> AbstractContextManager[Shell]:
        """It ends with the block, and with this process."""

    def logs(self, name: str, host: str, *, tail: int | None = None) -> str: ...

    def copy_out(self, name: str, host: str, path: str, to: Path) -> None:
        """One file, owned by the caller."""

    def read(self, name: str, host: str, path: str) -> bytes:
        """One small file; EngineError when there is none."""

    def copy_in(self, name: str, host: str, path: str, content: bytes) -> None:
        """Writes one file into a container, also one that is not started yet."""

    def act(self, name: str, host: str, action: Action) -> None:
        """To one container; `stop` gives it a second to end by itself."""

    def down(self, name: str) -> int:
        """Removes everything that carries the instance's label, as often as it takes; the number of objects removed."""

    def instances(self) -> list[Instance]: ...
