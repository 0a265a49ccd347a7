"""Where an engine may be: DOCKER_HOST, the docker command's context, the usual sockets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appbed.engine.computer import Computer
from appbed.errors import EngineError

DEFAULT_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an engine is looked for, and what made us look there."""

    url: str
    found_by: str
    chosen: bool = False  # a person chose it (DOCKER_HOST, a context), so no other one will do
    certificates: Path | None = None

    @property
    def socket(self) -> str | None:
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None

    def environment(self) -> dict[str, str]:
        """What makes `docker` and `docker compose` speak to this engine and no other."""
        tls = (
            {} if self.certificates is None else {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self.certificates)}
        )
        return {"DOCKER_HOST": self.url, **tls}

    def __str__(self) -> str:
        return f"{self.url} ({self.found_by})"


def endpoints(computer: Computer) -> list[Endpoint]:
    """Where to look, in order; just one place if a person chose it. The order is that of the docker command."""
    environment = computer.environment
    if host := environment.get("DOCKER_HOST"):
        verify, folder = environment.get("DOCKER_TLS_VERIFY"), environment.get("DOCKER_CERT_PATH")
        certificates = Path(folder) if folder else docker_folder(computer)
        return [Endpoint(host, "DOCKER_HOST", chosen=True, certificates=certificates if verify else None)]
    if context := _context(computer):
        return [context]
    usual = [Endpoint(DEFAULT_SOCKET, "default socket")]
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        usual.append(Endpoint(f"unix://{runtime}/docker.sock", "rootless socket"))
    usual.append(Endpoint(f"unix://{docker_folder(computer)}/run/docker.sock", "Docker Desktop's socket"))
    return usual


def docker_folder(computer: Computer) -> Path:
    """Where the docker command keeps its settings and plugins."""
    environment = computer.environment
    return Path(environment.get("DOCKER_CONFIG") or Path(environment.get("HOME", "/root")) / ".docker")


def _context(computer: Computer) -> Endpoint | None:
    folder = docker_folder(computer)
    name = computer.environment.get("DOCKER_CONTEXT") or _json(computer, folder / "config.json").get("currentContext")
    if not name or name == "default":
        return None
    key = hashlib.sha256(name.encode()).hexdigest()
    host = (
        _json(computer, folder / "contexts/meta" / key / "meta.json").get("Endpoints", {}).get("docker", {}).get("Host")
    )
    if not host:
        raise EngineError(
            f"{folder}: the current Docker context {name!r} names no engine",
            remedy="choose one with `docker context use default`",
        )
    certificates = folder / "contexts/tls" / key / "docker"
    secured = computer.exists(str(certificates))
    return Endpoint(host, f"context {name}", chosen=True, certificates=certificates if secured else None)


def _json(computer: Computer, path: Path) -> dict[str, Any]:
    text = computer.read(str(path))
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise EngineError(f"{path}: is not JSON: {error}", remedy="repair it or move it away") from None
    return value if isinstance(value, dict) else {}
