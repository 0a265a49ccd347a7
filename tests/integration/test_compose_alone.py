"""Plain `docker compose up`, no Python of ours on the host: the same lab, links shaped as declared."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path

import pytest
from pytest_docker.plugin import Services

from appbed import lease, places
from appbed.engine.docker import DockerEngine

from .conftest import objects_of

pytestmark = pytest.mark.docker


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(places.topology_file("internet"))


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return f"test-compose-{os.getpid()}"


@pytest.fixture(scope="session")
def docker_setup(engine: DockerEngine) -> list[str]:
    """Compose has only the environment to take the addresses from."""
    os.environ["APPBED_NET"] = lease.choose(engine.routes())
    os.environ["APPBED_WINDOW"] = ""  # any free ports: another lab may have the usual ones
    return ["up --detach --no-build"]


@pytest.fixture(scope="module", autouse=True)
def net() -> Iterator[None]:
    """The other tests lease theirs."""
    yield
    for name in ("APPBED_NET", "APPBED_WINDOW"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return ["down --timeout 1"]


def _compose(project: str, *argv: str) -> str:
    done = subprocess.run(["docker", "compose", "-p", project, *argv], capture_output=True, text=True, check=True)
    return done.stdout


def _events(project: str) -> list[dict[str, object]]:
    lines = _compose(project, "logs", "--no-log-prefix", "agent").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _started(project: str, host: str) -> float:
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.StartedAt}}", f"{project}-{host}-1"],
        capture_output=True,
        text=True,
        check=True,
    )
    return datetime.fromisoformat(shown.stdout.strip()[:26] + "+00:00").timestamp()


def _wired(project: str, host: str) -> float:
    """When the agent last had the host's addresses, routes and links in place."""
    return max(
        (
            float(str(event["time"]))
            for event in _events(project)
            if event["event"] == "host" and event.get("host") == host
        ),
        default=0,
    )


def _round_trip_ms(project: str) -> float:
    server = f"{os.environ['APPBED_NET']}.3.42"
    said = _compose(project, "exec", "-T", "client", "ping", "-n", "-c", "3", "-i", "0.1", server)
    return float(said.rsplit("=", 1)[1].split("/")[0])  # the least of three: what the link alone takes


def test_links_are_shaped_soon_after_the_start_and_after_a_restart(
    docker_services: Services, docker_compose_project_name: str
) -> None:
    project = docker_compose_project_name
    docker_services.wait_until_responsive(
        lambda: _wired(project, "client") > 0 and _wired(project, "gateway") > 0, timeout=20, pause=0.1
    )
    begun = max(_started(project, "gateway"), _started(project, "agent"))
    assert _wired(project, "gateway") - begun < 2.0
    assert 30 <= _round_trip_ms(project) < 36

    _compose(project, "restart", "--timeout", "1", "gateway")
    restarted = _started(project, "gateway")
    docker_services.wait_until_responsive(lambda: _wired(project, "gateway") > restarted, timeout=10, pause=0.1)
    assert _wired(project, "gateway") - restarted < 1.0
    assert 30 <= _round_trip_ms(project) < 36


def test_names_resolve_and_a_page_comes_through_the_proxy(
    docker_services: Services, docker_compose_project_name: str
) -> None:
    project, net = docker_compose_project_name, os.environ["APPBED_NET"]
    get = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", "-x", f"{net}.1.20:3128")

    def page() -> bool:
        try:
            return _compose(project, "exec", "-T", "client", *get, "http://www.someschool.edu/") == "200"
        except subprocess.CalledProcessError:
            return False

    docker_services.wait_until_responsive(page, timeout=20, pause=0.2)


def test_pages_can_be_looked_at_from_this_machine(docker_services: Services, docker_compose_project_name: str) -> None:
    def shown(port: int) -> bool:
        published = _compose(docker_compose_project_name, "port", "window", str(port)).strip()
        connection = HTTPConnection(published, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    docker_services.wait_until_responsive(
        lambda: all(shown(port) for port in (8081, 8082, 8083)), timeout=20, pause=0.2
    )


def test_nothing_is_left_after_down(docker_compose_project_name: str, tmp_path: Path) -> None:
    _compose(docker_compose_project_name, "-f", str(places.topology_file("internet")), "down", "--timeout", "1")
    assert objects_of(docker_compose_project_name) == []
