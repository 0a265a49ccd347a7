"""What an engine says of itself, and the few things `setup` and `doctor` ask of it, through its SDK."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.tls import TLSConfig

from appbed.engine.endpoints import Endpoint
from appbed.errors import EngineError

_ANSWER_S = 10
_STALL_S = 20  # a pull that says nothing for so long will not get there


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine says of itself and of the kernel it runs on."""

    version: str
    api: str
    name: str = "Docker"
    operating_system: str = "linux"
    kernel: str = ""
    data_root: str = "/var/lib/docker"
    security: tuple[str, ...] = ()
    cgroup: str = ""
    memory_bytes: int = 0
    bridge_filter: bool | None = None  # bridge-nf-call-iptables, where the engine still tells

    @property
    def api_version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.api.split("."))


@dataclass(frozen=True, slots=True)
class ImageFacts:
    id: str
    labels: Mapping[str, str]
    tags: tuple[str, ...] = ()


class Daemon(Protocol):
    """A running engine."""

    def facts(self) -> EngineFacts: ...
    def image(self, reference: str) -> ImageFacts | None: ...
    def pull(self, reference: str, say: Callable[[str], None]) -> None: ...
    def remove_image(self, image_id: str) -> None:
        """Quietly: an image in use stays."""
        ...

    def subnets(self) -> Mapping[str, tuple[str, ...]]:
        """Network name -> its subnets."""
        ...


class Unreachable(Exception):
    """No answer from an endpoint: nothing is there, it is not for us, or it is but cannot be used."""

    def __init__(self, reason: Literal["absent", "forbidden", "broken"], said: str) -> None:
        super().__init__(said)
        self.reason = reason
        self.said = said


Connect = Callable[[Endpoint], Daemon]


def connect_sdk(endpoint: Endpoint) -> Daemon:
    """Reach an engine through its SDK; Unreachable tells why not."""
    return _SdkDaemon(endpoint)


class _SdkDaemon:
    """One connection for each question: nothing stays open, and threads may ask at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._version = "auto"
        try:
            _knock(endpoint)
            with closing(self._client(_ANSWER_S)) as api:
                self._version = api.api_version
        except (DockerException, OSError, ValueError) as error:  # requests' errors are OSErrors
            raise _unreachable(error) from error

    def _client(self, timeout_s: int) -> docker.APIClient:
        url, folder = self._endpoint.url, self._endpoint.certificates
        tls = folder and TLSConfig(
            ca_cert=str(folder / "ca.pem"), client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")), verify=True
        )
        return docker.APIClient(
            base_url=url, version=self._version, timeout=timeout_s, tls=tls or False, use_ssh_client=True
        )

    @contextmanager
    def _asked(self, timeout_s: int = _ANSWER_S) -> Iterator[docker.APIClient]:
        try:
            with closing(self._client(timeout_s)) as api:
                yield api
        except (DockerException, requests.RequestException) as error:
            said = (isinstance(error, APIError) and error.explanation) or str(error)
            raise EngineError(f"{self._endpoint.url}: {said}", remedy="see the engine's log") from error

    def facts(self) -> EngineFacts:
        with self._asked() as api:
            version, info = api.version(api_version=False), api.info()
        components = [part.get("Name", "") for part in version.get("Components") or []]
        return EngineFacts(
            version=version.get("Version", ""),
            api=version.get("ApiVersion", "0"),
            name=next((name for name in components if "podman" in name.lower()), "Docker"),
            operating_system=info.get("OSType", "linux"),
            kernel=info.get("KernelVersion", ""),
            data_root=info.get("DockerRootDir", ""),
            security=tuple(info.get("SecurityOptions") or ()),
            cgroup=info.get("CgroupVersion", ""),
            memory_bytes=info.get("MemTotal", 0),
            bridge_filter=info.get("BridgeNfIptables"),
        )

    def image(self, reference: str) -> ImageFacts | None:
        with self._asked() as api:
            try:
                found: dict[str, Any] = api.inspect_image(reference)  # type: ignore[no-untyped-call]
            except ImageNotFound:
                return None
        labels = (found.get("Config") or {}).get("Labels") or {}
        return ImageFacts(found["Id"], labels, tuple(found.get("RepoTags") or ()))

    def pull(self, reference: str, say: Callable[[str], None]) -> None:
        with self._asked(_STALL_S) as api:
            for record in api.pull(reference, stream=True, decode=True):
                if "error" in record:
                    raise EngineError(f"{reference}: {record['error']}")
                if done := record.get("progress"):
                    say(f"{record.get('status', '')} {done}")

    def remove_image(self, image_id: str) -> None:
        with suppress(EngineError), self._asked() as api:
            api.remove_image(image_id)

    def subnets(self) -> Mapping[str, tuple[str, ...]]:
        with self._asked() as api:
            networks = api.networks()
        return {
            network["Name"]: tuple(
                entry["Subnet"] for entry in (network.get("IPAM") or {}).get("Config") or () if "Subnet" in entry
            )
            for network in networks
        }


def _knock(endpoint: Endpoint) -> None:
    """Is anything there at all? The SDK, refused, would leave its socket open."""
    if endpoint.socket is not None:
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(_ANSWER_S)
            knocking.connect(endpoint.socket)


def _unreachable(error: BaseException) -> Unreachable:
    """The reason at the bottom of the SDK's chain of exceptions."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, PermissionError):
        return Unreachable("forbidden", "permission denied")
    if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
        return Unreachable("absent", "nothing is there")
    said = str(error).removeprefix("Error while fetching server API version: ")
    if "paramiko" in said:
        said = "ssh:// needs the package paramiko (`pip install paramiko`)"
    return Unreachable("broken", said)
