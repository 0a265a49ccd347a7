"""An engine in memory, with an agent that answers and failures on demand: for tests of everything above the engine."""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from appbed import loader, topology
from appbed.engine import Action, AddressTaken, Completed, Container, Instance, Project
from appbed.engine.fake_agent import FakeAgent
from appbed.engine.fake_calls import CountedCalls
from appbed.engine.fake_shell import FakeShell
from appbed.errors import EngineError
from appbed.loader import Document

GIVEN = "/appbed/topology.json"

_UP, _ANY = ("running",), ("created", "running", "exited")
_ACTIONS: dict[Action, tuple[tuple[str, ...], str]] = {  # from which states, and to which
    "start": (_ANY, "running"),
    "stop": ((*_ANY, "paused"), "exited"),
    "kill": ((*_UP, "paused"), "exited"),
    "pause": (_UP, "paused"),
    "unpause": (("paused",), "running"),
    "restart": ((*_ANY, "paused"), "running"),
}


@dataclass(slots=True)
class _Lab:
    """What the engine holds of one instance; a service's state is the engine's word."""

    project: Project
    document: Document
    networks: tuple[str, ...]
    states: dict[str, str] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    acted: Counter[str] = field(default_factory=Counter)  # by service, how often something was done to its container
    agent: FakeAgent | None = None


class FakeEngine(CountedCalls):
    """The Engine protocol without an engine. Set what it has and what goes wrong, then look at `calls`.

    Beside the protocol's calls these count as calls of their own, so that something can go wrong between them: "create one",
    "start one" and "remove one" for each container, "send", "lines" and "hang up" of a stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.images: set[str] | None = None  # None: every image is there
        self.taken: list[IPv4Network] = []  # routes of the machine
        self.raced: set[str] = set()  # nets that look free and are not: create raises AddressTaken
        self.dead: set[str] = set()  # services whose container ends as soon as it runs
        self.ticks: list[dict[str, int]] = []  # what the agent says of the processors, one for each time it is asked
        self.unready: dict[str, str] = {}  # hosts that never get ready, and what is waited for
        self.agent_late = 0  # streams to the agent that end because it does not listen yet
        self.log: dict[str, str] = {}  # by host
        self.published: dict[
            str, dict[int, int]
        ] = {}  # by service: ports of a container, and where they are on 127.0.0.1
        self.captured = b""  # what a capture's file holds
        self.capture_options: dict[str, Any] = {}  # of the latest
        self.capture_problem = ""  # why captures end before they are stopped
        self.dropped = 0  # frames no capture point had room for
        self.on_exec: Callable[[str, tuple[str, ...], str], Completed] = lambda host, argv, stdin: Completed(0, "", "")
        self.open_streams = 0
        self._labs: dict[str, _Lab] = {}

    # ---- the protocol

    def version(self) -> str:
        with self._call("version"):
            return "0 (fake)"

    def routes(self) -> list[IPv4Network]:
        with self._call("routes"):
            return [*self.taken, *(IPv4Network(f"{_net(lab)}.0.0/16") for lab in self._labs.values())]

    def missing_images(self, images: Sequence[str]) -> list[str]:
        with self._call("missing_images"):
            return [] if self.images is None else sorted(set(images) - self.images)

    def create(self, project: Project) -> None:
        with self._call("create"):
            environment = {**os.environ, "COMPOSE_PROJECT_NAME": project.name, **project.environment}
            document = loader.load(project.files[0], environment, *project.files[1:])
            if project.name in self._labs:
                raise EngineError(f"network {project.name} exists with other addresses and needs to be removed")
            lab = self._labs[project.name] = _Lab(project, document, tuple(topology.resolve(document).networks))
            if _net(lab) in self.raced:  # the networks before the one that is taken stay, as with Compose
                raise AddressTaken(f"Pool overlaps with other one on this address space: {_net(lab)}")
            for service in document.data["services"]:
                with self._call("create one"):
                    lab.states[service] = "created"

    def start(self, name: str, started: Callable[[str], None]) -> None:
        with self._call("start"):
            lab = self._lab(name)
            for service in lab.states:
                with self._call("start one"):
                    lab.states[service] = "exited" if service in self.dead else "running"
                started(service)
            given = [Document(Path(path), json.loads(data)) for (_, path), data in lab.files.items() if path == GIVEN]
            lab.agent = FakeAgent(self, topology.resolve(given[0] if given else lab.document), lab.files)

    def containers(self, name: str) -> list[Container]:
        with self._call("containers"):
            return self._containers(name)

    def states(self, name: str) -> dict[str, str]:
        with self._call("states"):
            return dict(self._labs[name].states) if name in self._labs else {}

    def exec(self, name: str, host: str, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0) -> Completed:
        with self._call("exec"):
            files = self._running(name, host).files
            if tuple(argv[:2]) == ("rm", "-f"):
                for path in argv[2:]:
                    files.pop((host, path), None)
            return self.on_exec(host, tuple(argv), stdin)

    def stream(self, name: str, host: str, argv: Sequence[str]) -> FakeStream:
        with self._call("stream"):
            agent = self._running(name, host).agent
            assert agent is not None
            self.agent_late -= 1
            return FakeStream(self, agent, late=self.agent_late >= 0)

    def shell(self, name: str, host: str) -> FakeShell:
        with self._call("shell"):
            self._running(name, host)
            return FakeShell(self, name, host)

    def logs(self, name: str, host: str, *, tail: int | None = None) -> str:
        with self._call("logs"):
            self._state(name, host)
            lines = self.log.get(host, "").splitlines(keepends=True)
            return "".join(lines if tail is None else lines[-tail:])

    def copy_out(self, name: str, host: str, path: str, to: Path) -> None:
        with self._call("copy_out"):
            files = self._lab(name).files
            if (host, path) not in files:
                raise EngineError(f"{host}: {path} is no file")
            try:
                to.write_bytes(files[host, path])
            except OSError as error:
                raise EngineError(
                    f"{to}: {error.strerror}", remedy="free some space or choose another folder"
                ) from None

    def read(self, name: str, host: str, path: str) -> bytes:
        with self._call("read"):
            self._state(name, host)
            files = self._lab(name).files
            if (host, path) not in files:
                raise EngineError(f"{host}: {path} is no file")
            return files[host, path]

    def copy_in(self, name: str, host: str, path: str, content: bytes) -> None:
        with self._call("copy_in"):
            self._state(name, host)
            self._lab(name).files[host, path] = content

    def act(self, name: str, host: str, action: Action) -> None:
        with self._call(action):
            state, (before, after) = self._state(name, host), _ACTIONS[action]
            if state not in before:
                raise EngineError(f"{action} {host}: container {name}-{host}-1 is {state}")
            self._lab(name).states[host] = after
            self._lab(name).acted[host] += 1

    def down(self, name: str) -> int:
        with self._call("down"):
            if name not in self._labs:
                return 0
            lab = self._labs[name]
            count = len(lab.states) + len(lab.networks)
            for service in list(lab.states):
                with self._call("remove one"):
                    del lab.states[service]
            del self._labs[name]
            return count

    def instances(self) -> list[Instance]:
        with self._call("instances"):
            return [self._instance(name, lab) for name, lab in sorted(self._labs.items())]

    # ---- what a test looks at

    def files(self, name: str) -> dict[tuple[str, str], bytes]:
        """What was copied into an instance, or captured in it, by host and path."""
        return self._lab(name).files

    def acted(self, name: str, host: str) -> int:
        """How often something was done to a host's container."""
        self._state(name, host)
        return self._lab(name).acted[host]

    def agent(self, name: str) -> FakeAgent:
        found = self._lab(name).agent
        assert found is not None
        return found

    def _instance(self, name: str, lab: _Lab) -> Instance:
        services = lab.document.data["services"].values()
        labels = {key: str(value) for service in services for key, value in (service.get("labels") or {}).items()}
        return Instance(
            name,
            lab.project.files,
            _net(lab),
            labels.get("org.appbed.owner", ""),
            tuple(self._containers(name)),
            lab.networks,
            (),
            lives_on=labels.get("org.appbed.lives-on", "").lower() == "true",
        )

    def _containers(self, name: str) -> list[Container]:
        if name not in self._labs:
            return []
        lab = self._labs[name]
        services = lab.document.data["services"]
        return [
            Container(
                service,
                f"{name}-{service}-1",
                state,
                "",
                str(services[service].get("image", "")),
                {key: str(value) for key, value in (services[service].get("environment") or {}).items()},
                self.published.get(service, {}),
                str((services[service].get("labels") or {}).get("org.appbed.role", "")),
            )
            for service, state in sorted(lab.states.items())
        ]

    def _lab(self, name: str) -> _Lab:
        if name not in self._labs:
            raise EngineError(f"no such project: {name}")
        return self._labs[name]

    def _state(self, name: str, host: str) -> str:
        if host not in self._lab(name).states:
            raise EngineError(f"{name} has no host {host!r}", remedy=f"see `appbed ps --name {name}`")
        return self._lab(name).states[host]

    def _running(self, name: str, host: str) -> _Lab:
        if self._state(name, host) != "running":
            raise EngineError(f"exec in {host}: container {name}-{host}-1 is not running")
        return self._lab(name)


class FakeStream:
    """A talk with the agent. If that is `late` it ends with a complaint, and then takes no more questions."""

    def __init__(self, engine: FakeEngine, agent: FakeAgent, *, late: bool) -> None:
        self._engine, self._agent, self._late = engine, agent, late
        self._answers: deque[str] = deque()
        self._ended = False

    def __enter__(self) -> FakeStream:
        self._engine.open_streams += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.open_streams -= 1
        with self._engine._call("hang up"):
            self._ended = True

    def send(self, line: str) -> None:
        with self._engine._call("send"):
            if self._ended:
                raise BrokenPipeError
            self._answers.extend(json.dumps(answer) for answer in self._agent.answers(json.loads(line)))

    def lines(self, timeout_s: float) -> Iterator[str]:
        with self._engine._call("lines"):
            if self._late:
                self._ended = True
                raise EngineError("/run/appbed/control.sock: No such file or directory")
        while self._answers:
            yield self._answers.popleft()


def _net(lab: _Lab) -> str:
    return lab.project.environment.get("APPBED_NET", "10.77")
