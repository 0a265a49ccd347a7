"""A machine or an engine that is not able ends in one clear line with a remedy, in exit code 3, and with nothing left running."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from appbed.engine import docker
from appbed.engine.docker import DockerEngine
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError
from command_line import Appbed

USE, MACHINE, INTERRUPTED = 2, 3, 130


# ---- the machine


def test_an_image_that_was_not_built(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    engine.images = {"lab/client", "lab/web"}
    done = appbed("up", str(small))
    assert (done.status, done.complaint) == (MACHINE, "images missing: lab/router; run `appbed setup`")
    assert engine.instances() == []


def test_an_engine_that_is_not_there(appbed: Appbed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(docker, "DockerEngine", DockerEngine)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    for command in (["ps"], ["up", "web"], ["gc"], ["down", "--all"]):
        done = appbed(*command)
        assert done.status == MACHINE
        assert done.complaint == (
            f"unix://{tmp_path}/docker.sock (DOCKER_HOST): no engine answers; "
            "start the engine there, or unset DOCKER_HOST"
        )


class OldEngine(BaseHTTPRequestHandler):
    """Docker Engine 17.05, as far as anybody asks."""

    def do_GET(self) -> None:
        body = (
            b"OK"
            if self.path.endswith("/_ping")
            else json.dumps(
                {
                    "Version": "17.05.0-ce",
                    "ApiVersion": "1.29",
                    "MinAPIVersion": "1.12",
                    "OSType": "linux",
                    "Os": "linux",
                }
            ).encode()
        )
        self.send_response(200)
        self.send_header("Api-Version", "1.29")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def old_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("e") / "old.sock"  # a socket's path may have only 107 bytes

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), OldEngine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join()


def test_an_engine_that_is_too_old(appbed: Appbed, monkeypatch: pytest.MonkeyPatch, old_engine: str) -> None:
    monkeypatch.setattr(docker, "DockerEngine", DockerEngine)
    monkeypatch.setenv("DOCKER_HOST", old_engine)
    done = appbed("ps")
    assert done.status == MACHINE
    assert done.complaint == (
        f"{old_engine} (DOCKER_HOST): Docker Engine 17.05.0-ce (API 1.29) is too old; "
        "install Docker Engine 20.10 (API 1.41) or newer"
    )


def test_a_net_that_overlaps_a_route(
    appbed: Appbed, engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPBED_NET", "10.90")
    engine.taken = [IPv4Network("10.90.3.0/24")]
    done = appbed("up", str(small))
    assert done.status == MACHINE
    assert done.complaint == (
        "APPBED_NET=10.90: this machine has a route to 10.90.3.0/24; free are 10.77, 10.78, 10.79, ..."
    )
    assert "create" not in engine.calls


@pytest.mark.parametrize("net", ["fast", "10.77.1", "10.300"])
def test_a_net_that_is_none(
    appbed: Appbed, engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch, net: str
) -> None:
    monkeypatch.setenv("APPBED_NET", net)
    done = appbed("up", str(small))
    assert done.status == USE
    assert net in done.complaint
    assert "10.77" in done.complaint
    assert engine.instances() == []


# ---- a full disk


@pytest.mark.parametrize("call", ["create", "create one", "copy_in", "start one"])
def test_a_disk_that_is_full_for_the_engine(appbed: Appbed, engine: FakeEngine, small: Path, call: str) -> None:
    engine.fail(call, EngineError("mkdir /var/lib/x: no space left on device", remedy="free some disk space"))
    done = appbed("up", str(small))
    assert (done.status, done.complaint) == (
        MACHINE,
        "mkdir /var/lib/x: no space left on device; free some disk space",
    )
    assert engine.instances() == []


@pytest.mark.parametrize(
    ("said", "complaint", "remedy"),
    [
        (
            "Error response from daemon: write /var/lib/docker/tmp: no space left on device",
            "no space left on device",
            "free some disk space",
        ),
        ("Error response from daemon: No such image: appbed/web:dev", "No such image: appbed/web:dev", "appbed setup"),
        ("Network a Creating\nerror: something\nNetwork a Removed", "error: something", ""),
        ("", "no reason given", ""),
    ],
)
def test_what_compose_says_is_told_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, complaint: str, remedy: str
) -> None:
    create = compose_that_says(monkeypatch, tmp_path, said)
    with pytest.raises(EngineError) as caught:
        create()
    assert complaint in caught.value.message
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


def compose_that_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str) -> Callable[[], None]:
    """The real create with a `docker` that fails; no engine is asked."""
    from appbed.engine import Project

    (tmp_path / "said").write_text(said)
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n/bin/cat '{tmp_path}/said' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    engine = DockerEngine.__new__(DockerEngine)
    engine._environment = {}
    return lambda: engine.create(Project("x", (tmp_path / "x.yaml",)))


def full(folder: Path, name: str) -> Path:
    """A file in `folder` on a disk without room."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full, which stands for a full disk: run the test on Linux")
    (folder / name).symlink_to("/dev/full")
    return folder / name


def test_a_disk_that_is_full_for_a_capture(appbed: Appbed, up: FakeEngine, tmp_path: Path) -> None:
    up.captured = b"packets"
    appbed("capture", "start", "client")
    done = appbed("capture", "stop", str(full(tmp_path, "c.pcapng")))
    assert done.status == MACHINE
    assert done.complaint == (f"{tmp_path}/c.pcapng: No space left on device; free some space or choose another folder")


def test_a_disk_that_is_full_for_a_verdict(appbed: Appbed, saved: Path) -> None:
    full(saved, "verdict.partial")
    done = appbed("check", str(saved))
    assert done.status == MACHINE
    assert done.complaint.startswith(f"{saved}/verdict.json: No space left on device; ")
    assert "have room" in done.complaint
