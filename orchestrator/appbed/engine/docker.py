"""The one door to Docker: the SDK, and `docker compose` to create what a Compose file says."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO, Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from appbed.engine import Action, AddressTaken, Completed, Container, Instance, Project
from appbed.engine.computer import ThisComputer
from appbed.engine.docker_refusals import doing, reason, remedy, removed_by
from appbed.engine.docker_streams import SHELL, Chunks, Lines, Shell, attached, frames
from appbed.engine.find_engine import find_engine
from appbed.engine.kernel_checks import routes
from appbed.errors import EngineError

INSTANCE = "org.appbed.instance"
_PROJECT, _SERVICE, _FILES = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.project.config_files",
)
_ROLE = "org.appbed.role"
_DOWN_S, _EMPTY_S = 30.0, 3.0  # until networks are let go of; where no container was left to begin with
_LEAVE_S = 10  # for an agent to take its devices away
_TRIES = 5
_PARALLEL = 6  # starts at once: measured best on 2 cores, 20 at once is slower


class DockerEngine:
    """Engine protocol over one connection; its methods may be called from several threads."""

    def __init__(self) -> None:
        found = find_engine(ThisComputer())
        self._environment = found.endpoint.environment()
        self._local = found.endpoint.socket is not None
        try:
            self._client: Any = docker.from_env(environment=self._environment, timeout=600, max_pool_size=32)
        except (DockerException, requests.RequestException) as error:
            raise EngineError(f"{found.endpoint}: {reason(error)}", remedy="run `appbed setup`") from None

    def __enter__(self) -> DockerEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def version(self) -> str:
        return str(self._client.version()["Version"])

    def routes(self) -> list[IPv4Network]:
        found = [
            IPv4Network(config["Subnet"])
            for network in self._client.networks.list()
            for config in (network.attrs.get("IPAM") or {}).get("Config") or []
            if "." in config.get("Subnet", "")
        ]
        table = ThisComputer().read("/proc/net/route") if self._local else None
        return found + [network for network, _ in routes(table or "")]

    def missing_images(self, images: Sequence[str]) -> list[str]:
        present = {tag for image in self._client.images.list() for tag in image.tags}
        return sorted({image for image in images if image not in present})

    def create(self, project: Project) -> None:
        argv = ["docker", "compose", "-p", project.name]
        for file in project.files:
            argv += ["-f", str(file)]
        argv += ["create", "--no-build", "--pull", "never", "--quiet-pull"]
        environment = {**os.environ, **self._environment, **project.environment, "DOCKER_CLI_HINTS": "false"}
        try:
            done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise EngineError("there is no docker command", remedy="run `appbed setup`") from None
        if done.returncode:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            problem = next((line for line in reversed(said) if "rror" in line), said[-1] if said else "no reason given")
            if "overlap" in problem:
                raise AddressTaken(problem)
            raise EngineError(f"docker compose create: {problem}", remedy=remedy(problem))

    def start(self, name: str, started: Callable[[str], None]) -> None:
        containers = self._of(name)
        containers.sort(key=lambda container: container.labels.get(_ROLE) != "agent")  # it has the most to do

        def one(container: Any) -> None:
            with doing(f"start {container.name}"):
                container.start()
            started(container.labels[_SERVICE])

        with ThreadPoolExecutor(_PARALLEL) as pool:
            for done in [pool.submit(one, container) for container in containers]:
                done.result()

    def containers(self, name: str) -> list[Container]:
        return [_container(container) for container in self._of(name)]

    def states(self, name: str) -> dict[str, str]:
        with doing(f"list containers of {name}"):
            found = self._client.api.containers(all=True, filters={"label": f"{INSTANCE}={name}"})
        return {each["Labels"].get(_SERVICE, ""): each["State"] for each in found}

    def exec(self, name: str, host: str, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0) -> Completed:
        api = self._client.api
        with doing(f"exec in {host}"):
            execution = api.exec_create(self._one(name, host).id, list(argv), stdin=bool(stdin))
            with attached(api.exec_start(execution["Id"], socket=True)) as sock:
                if stdin:
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading all
                        sock.sendall(stdin.encode())
                        sock.shutdown(socket.SHUT_WR)
                output = {1: bytearray(), 2: bytearray()}
                deadline = time.monotonic() + timeout_s
                for channel, data in frames(sock, lambda: deadline - time.monotonic()):
                    output[channel] += data
            status = api.exec_inspect(execution["Id"])["ExitCode"]
        return Completed(
            status if status is not None else -1, *(output[channel].decode(errors="replace") for channel in (1, 2))
        )

    @contextlib.contextmanager
    def stream(self, name: str, host: str, argv: Sequence[str]) -> Iterator[Lines]:
        api = self._client.api
        with doing(f"exec in {host}"):
            execution = api.exec_create(self._one(name, host).id, list(argv), stdin=True)
            talk = attached(api.exec_start(execution["Id"], socket=True))
        with talk as sock:
            yield Lines(sock, lambda: self._runs(execution["Id"]))

    @contextlib.contextmanager
    def shell(self, name: str, host: str) -> Iterator[Shell]:
        with self.stream(name, host, SHELL) as talk:
            yield Shell(talk, host)

    def _runs(self, execution: str) -> bool:
        """A restarted container knows nothing of the commands that ran in it before."""
        with doing("look at a command"):
            try:
                return bool(self._client.api.exec_inspect(execution)["Running"])
            except NotFound:
                return False

    def logs(self, name: str, host: str, *, tail: int | None = None) -> str:
        with doing(f"logs of {host}"):
            return bytes(self._one(name, host).logs(tail=tail if tail is not None else "all")).decode(errors="replace")

    def copy_out(self, name: str, host: str, path: str, to: Path) -> None:
        with self._file(name, host, path) as content:
            try:
                with to.open("wb") as out:
                    while block := content.read(1 << 20):
                        out.write(block)
            except OSError as error:
                raise EngineError(
                    f"{to}: {error.strerror}", remedy="free some space or choose another folder"
                ) from None

    def read(self, name: str, host: str, path: str) -> bytes:
        with self._file(name, host, path) as content:
            return content.read()

    @contextlib.contextmanager
    def _file(self, name: str, host: str, path: str) -> Iterator[IO[bytes]]:
        with doing(f"copy {path} from {host}"):
            chunks, _ = self._one(name, host).get_archive(path)
        with tarfile.open(fileobj=Chunks(chunks), mode="r|") as archive:
            member = archive.next()
            content = archive.extractfile(member) if member else None
            if content is None:
                raise EngineError(f"{host}: {path} is no file")
            yield content

    def copy_in(self, name: str, host: str, path: str, content: bytes) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        with doing(f"copy {path} into {host}"):
            self._one(name, host).put_archive("/", buffer.getvalue())

    def act(self, name: str, host: str, action: Action) -> None:
        patience = {"timeout": 1} if action in ("stop", "restart") else {}
        with doing(f"{action} {host}"):
            for left in reversed(range(_TRIES)):
                try:
                    getattr(self._one(name, host), action)(**patience)
                    return
                except APIError as error:  # busy tasks do not always freeze at once
                    if not left or "unable to freeze" not in str(error.explanation):
                        raise

    def down(self, name: str) -> int:
        removed, label = 0, {"label": f"{INSTANCE}={name}"}
        patience_s = _DOWN_S if self._of(name) else _EMPTY_S
        deadline = time.monotonic() + patience_s
        while True:
            containers = sorted(self._of(name), key=lambda container: container.labels.get(_ROLE) != "agent")
            agents = [container for container in containers if container.labels.get(_ROLE) == "agent"]
            # The agent first: what has none is known for half an instance, should this be the last we do.
            removed += sum(map(_remove_container, agents))
            with ThreadPoolExecutor(_PARALLEL) as pool:
                removed += sum(pool.map(_remove_container, containers[len(agents) :]))
                networks = self._client.networks.list(filters=label)
                removed += sum(pool.map(lambda network: removed_by(network.remove), networks))
            removed += sum(removed_by(volume.remove) for volume in self._client.volumes.list(filters=label))
            still = [one.name for one in self._of(name)]
            left = [*still, *(one.name for one in self._client.networks.list(filters=label))]
            if not left:
                return removed
            if time.monotonic() > deadline:
                # An engine short of time can count an endpoint for ever whose container is long gone.
                remedy = "see `docker ps -a`" if still else "no container is in it any more: restart the engine"
                raise EngineError(
                    f"{name}: {', '.join(left[:5])} would not go within {patience_s:.0f} s",
                    remedy=f"{remedy}, then `appbed gc`",
                )
            threading.Event().wait(0.1)  # the engine lets go of a container's network some moments after the container

    def instances(self) -> list[Instance]:
        label = {"label": INSTANCE}
        containers = self._client.api.containers(all=True, filters=label)
        networks = self._client.networks.list(filters=label)
        volumes = self._client.volumes.list(filters=label)
        names = {c["Labels"][INSTANCE] for c in containers} | {n.attrs["Labels"][INSTANCE] for n in networks}
        names |= {volume.attrs["Labels"][INSTANCE] for volume in volumes}
        return [self._instance(name, networks, volumes) for name in sorted(names)]

    def _instance(self, name: str, networks: Sequence[Any], volumes: Sequence[Any]) -> Instance:
        containers = self._of(name)
        near = [network.attrs["Labels"] for network in networks if network.attrs["Labels"][INSTANCE] == name]
        labels: Mapping[str, str] = next(iter([*(one.labels for one in containers), *near]), {})
        shown = tuple(sorted((_container(container) for container in containers), key=lambda c: c.service))
        return Instance(
            name,
            tuple(Path(file) for file in labels.get(_FILES, "").split(",") if file),
            next((c.environment.get("APPBED_NET", "") for c in shown), ""),
            labels.get("org.appbed.owner", ""),
            shown,
            tuple(n.name for n in networks if n.attrs["Labels"][INSTANCE] == name),
            tuple(v.name for v in volumes if v.attrs["Labels"][INSTANCE] == name),
            labels.get("org.appbed.lives-on", "") == "true",
        )

    def _of(self, name: str) -> list[Any]:
        with doing(f"list containers of {name}"):
            return list(
                self._client.containers.list(all=True, ignore_removed=True, filters={"label": f"{INSTANCE}={name}"})
            )

    def _one(self, name: str, host: str) -> Any:
        filters = {"label": [f"{_PROJECT}={name}", f"{_SERVICE}={host}"]}
        found = self._client.containers.list(all=True, sparse=True, filters=filters)  # its id is all that is needed
        if not found:
            raise EngineError(f"{name} has no host {host!r}", remedy=f"see `appbed ps --name {name}`")
        return found[0]


def _container(container: Any) -> Container:
    state = container.attrs["State"]
    environment = dict(entry.partition("=")[::2] for entry in container.attrs["Config"]["Env"] or [])
    return Container(
        container.labels.get(_SERVICE, container.name),
        container.name,
        state["Status"],
        (state.get("Health") or {}).get("Status", ""),
        container.attrs["Config"]["Image"],
        environment,
        _published(container.attrs["NetworkSettings"].get("Ports") or {}),
        container.labels.get(_ROLE, ""),
    )


def _published(ports: Mapping[str, Sequence[Mapping[str, str]] | None]) -> dict[int, int]:
    """{80: 32768} of {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}], "53/udp": None}."""
    tcp = {port.removesuffix("/tcp"): bindings for port, bindings in ports.items() if port.endswith("/tcp")}
    return {int(port): int(bindings[0]["HostPort"]) for port, bindings in tcp.items() if bindings}


def _remove_container(container: Any) -> bool:
    """An agent that is killed leaves devices of netem's on the machine, so it is asked first; one that has none ends at once."""
    if container.labels.get(_ROLE) == "agent":
        with contextlib.suppress(DockerException, requests.RequestException):
            container.stop(timeout=_LEAVE_S)
    return removed_by(lambda: container.remove(force=True, v=True))
