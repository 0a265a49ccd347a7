"""The one door to Docker: the SDK, and `docker compose` to create what a Compose file says."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
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

from appbed.engine import AddressTaken, Completed, Container, Instance, Project
from appbed.engine.computer import ThisComputer
from appbed.engine.find_engine import find_engine
from appbed.engine.kernel_checks import routes
from appbed.errors import EngineError

INSTANCE = "org.appbed.instance"
_PROJECT, _SERVICE, _FILES = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.project.config_files",
)
_DOWN_S = 30.0
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
            raise EngineError(f"{found.endpoint}: {_reason(error)}", remedy="run `appbed setup`") from None

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
            raise EngineError(f"docker compose create: {problem}", remedy=_remedy(problem))

    def start(self, name: str, started: Callable[[str], None]) -> None:
        containers = self._of(name)
        containers.sort(key=lambda container: container.labels[_SERVICE] != "agent")  # it has the most to do

        def one(container: Any) -> None:
            with _said(f"start {container.name}"):
                container.start()
            started(container.labels[_SERVICE])

        with ThreadPoolExecutor(_PARALLEL) as pool:
            for done in [pool.submit(one, container) for container in containers]:
                done.result()

    def containers(self, name: str) -> list[Container]:
        return [_container(container) for container in self._of(name)]

    def exec(self, name: str, host: str, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0) -> Completed:
        api = self._client.api
        with _said(f"exec in {host}"):
            execution = api.exec_create(self._one(name, host).id, list(argv), stdin=bool(stdin))
            with _attached(api.exec_start(execution["Id"], socket=True)) as sock:
                if stdin:
                    sock.sendall(stdin.encode())
                    sock.shutdown(socket.SHUT_WR)
                output = {1: bytearray(), 2: bytearray()}
                deadline = time.monotonic() + timeout_s
                for channel, data in _frames(sock, lambda: deadline - time.monotonic()):
                    output[channel] += data
            status = api.exec_inspect(execution["Id"])["ExitCode"]
        return Completed(
            status if status is not None else -1, *(output[channel].decode(errors="replace") for channel in (1, 2))
        )

    @contextlib.contextmanager
    def stream(self, name: str, host: str, argv: Sequence[str]) -> Iterator[_Lines]:
        api = self._client.api
        with _said(f"exec in {host}"):
            execution = api.exec_create(self._one(name, host).id, list(argv), stdin=True)
            attached = _attached(api.exec_start(execution["Id"], socket=True))
        with attached as sock:
            yield _Lines(sock)

    def logs(self, name: str, host: str, *, tail: int | None = None) -> str:
        with _said(f"logs of {host}"):
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
        with _said(f"copy {path} from {host}"):
            chunks, _ = self._one(name, host).get_archive(path)
        with tarfile.open(fileobj=_Chunks(chunks), mode="r|") as archive:
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
        with _said(f"copy {path} into {host}"):
            self._one(name, host).put_archive("/", buffer.getvalue())

    def restart(self, name: str, host: str) -> None:
        with _said(f"restart {host}"):
            self._one(name, host).restart(timeout=1)

    def down(self, name: str) -> int:
        removed, label = 0, {"label": f"{INSTANCE}={name}"}
        deadline = time.monotonic() + _DOWN_S
        while True:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                removed += sum(pool.map(_remove_container, self._of(name)))
                networks = self._client.networks.list(filters=label)
                removed += sum(pool.map(lambda network: _removed(network.remove), networks))
            removed += sum(_removed(volume.remove) for volume in self._client.volumes.list(filters=label))
            left = [one.name for one in (*self._of(name), *self._client.networks.list(filters=label))]
            if not left:
                return removed
            if time.monotonic() > deadline:
                raise EngineError(
                    f"{name}: {', '.join(left[:5])} would not go within {_DOWN_S:.0f} s",
                    remedy="see `docker ps -a`, then `appbed gc`",
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
        labels: Mapping[str, str] = containers[0].labels if containers else {}
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
        with _said(f"list containers of {name}"):
            return list(
                self._client.containers.list(all=True, ignore_removed=True, filters={"label": f"{INSTANCE}={name}"})
            )

    def _one(self, name: str, host: str) -> Any:
        filters = {"label": [f"{_PROJECT}={name}", f"{_SERVICE}={host}"]}
        found = self._client.containers.list(all=True, ignore_removed=True, filters=filters)
        if not found:
            raise EngineError(f"{name} has no host {host!r}", remedy=f"see `appbed ps --name {name}`")
        return found[0]


class _Lines:
    """Stream protocol over an exec's socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._rest = b""
        self._complaint = b""

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def lines(self, timeout_s: float) -> Iterator[str]:
        deadline = time.monotonic() + timeout_s
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                yield line.decode()
            try:
                channel, data = next(_frames(self._socket, lambda: deadline - time.monotonic()))
            except StopIteration:
                if self._complaint:
                    raise EngineError(self._complaint.decode(errors="replace").strip().splitlines()[-1]) from None
                return
            if channel == 1:
                self._rest += data
            else:
                self._complaint += data


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a file to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _frames(sock: socket.socket, left: Callable[[], float]) -> Iterator[tuple[int, bytes]]:
    """The engine's multiplexed stream: 8 bytes of header (channel, length), then data."""
    while True:
        header = _exactly(sock, 8, left())
        if not header:
            return
        channel, length = struct.unpack(">BxxxL", header)
        yield channel, _exactly(sock, length, left())


def _exactly(sock: socket.socket, count: int, timeout_s: float) -> bytes:
    data = b""
    while len(data) < count:
        if timeout_s <= 0:
            raise TimeoutError
        sock.settimeout(timeout_s)
        piece = sock.recv(count - len(data))
        if not piece:
            return b""
        data += piece
    return data


@contextlib.contextmanager
def _attached(stream: Any) -> Iterator[socket.socket]:
    """The socket of a started exec; the SDK wraps it twice, and each layer wants to be closed."""
    sock: socket.socket = getattr(stream, "_sock", stream)
    try:
        yield sock
    finally:
        if response := getattr(stream, "_response", None):
            response.close()
        stream.close()
        sock.close()


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
    )


def _remove_container(container: Any) -> bool:
    return _removed(lambda: container.remove(force=True, v=True))


def _removed(remove: Callable[[], Any]) -> bool:
    """True if it went; one that is gone already, or is going, is nobody's problem."""
    try:
        remove()
    except NotFound:
        return False
    except APIError as error:
        if error.status_code in (404, 409):
            return False
        if "has active endpoints" in str(error.explanation):
            return False
        raise EngineError(f"remove: {error.explanation}") from None
    return True


@contextlib.contextmanager
def _said(doing: str) -> Iterator[None]:
    """The engine's refusals as EngineError."""
    try:
        yield
    except NotFound as error:
        raise EngineError(f"{doing}: {_reason(error)}") from None
    except (DockerException, requests.RequestException) as error:
        raise EngineError(f"{doing}: {_reason(error)}", remedy=_remedy(str(error))) from None
    except TimeoutError:
        raise EngineError(f"{doing}: no answer in time") from None


def _reason(error: Exception) -> str:
    explanation = getattr(error, "explanation", None) or str(error)
    return str(explanation).strip().splitlines()[0] if str(explanation).strip() else type(error).__name__


def _remedy(problem: str) -> str:
    if "no space left" in problem.lower():
        return "free some disk space (`docker system df` shows what takes it)"
    if "No such image" in problem or "pull access denied" in problem:
        return "run `appbed setup`"
    return ""
