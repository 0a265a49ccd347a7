"""Every bad input ends in one clear line naming file, path, value and remedy, in its exit code, and with nothing left running.

2 is for what a person wrote, 3 for a machine or an engine that is not able, 130 for Ctrl-C.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine import docker
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError
from appbed.lab import Lab
from command_line import Appbed
from small_lab import write_small

USE, MACHINE, INTERRUPTED = 2, 3, 130
CLIENT = '      campus: {ipv4_address: "${APPBED_NET:-10.77}.1.10"}\n'


# ---- topologies


@pytest.mark.parametrize(
    ("change", "place", "value", "remedy"),
    [
        pytest.param(
            (CLIENT, "      campus: {ipv4_address: 10.77.1.10, x-link: {dealy: 5ms}}\n"),
            "services.client.networks.campus.x-link.dealy", "unknown key", "known: delay, jitter, distribution",
            id="misspelt key of a link"),
        pytest.param(
            ("x-testbed: {", "x-tesbed: {"),
            "x-tesbed", "unknown key", "known: x-testbed",
            id="misspelt x-testbed"),
        pytest.param(
            (CLIENT, "      campus: {ipv4_address: 10.77.9.10}\n"),
            "services.client.networks.campus.ipv4_address", "10.77.9.10 is outside 10.77.1.0/24",
            "choose one from 10.77.1.1 to 10.77.1.254",
            id="address outside its subnet"),
        pytest.param(
            (CLIENT, "      campus: {ipv4_address: 10.77.1.2}\n"),
            "services.gateway.networks.campus.ipv4_address", "10.77.1.2 is already that of client", "give each its own",
            id="two hosts with one address"),
        pytest.param(
            ("    image: lab/client\n", ""),
            "services.client", "has no image", "extend a role of images/ or name an image: or a build:",
            id="a role without image"),
        pytest.param(
            (CLIENT, "      campus: {ipv4_address: 10.77.1.10, x-link: {delay: fast}}\n"),
            "services.client.networks.campus.x-link.delay", "'fast' is not a time", "20ms, 1.5s, 250us",
            id="a delay of fast"),
    ],
)  # fmt: skip
def test_a_wrong_topology(
    appbed: Appbed, engine: FakeEngine, tmp_path: Path, change: tuple[str, str], place: str, value: str, remedy: str
) -> None:
    path = write_small(tmp_path, change)
    done = appbed("up", str(path))
    assert done.status == USE
    assert done.complaint.startswith(f"{path}: {place}")
    assert value in done.complaint
    assert remedy in done.complaint
    assert engine.calls == [], "the engine was not even asked"


def test_a_slip_in_a_role_is_told_at_the_roles_own_file(appbed: Appbed, engine: FakeEngine, tmp_path: Path) -> None:
    role = tmp_path / "client.yaml"
    role.write_text("services: {browser: {image: lab/client, x-role: {name: client, redy: {tcp: 80}}}}\n")
    extends = "    extends: {file: client.yaml, service: browser}\n"
    path = write_small(tmp_path, ("    image: lab/client\n    x-role: {name: client}\n", extends))
    done = appbed("up", str(path))
    assert done.status == USE
    assert done.complaint.startswith(f"{role}: services.browser.x-role.redy: unknown key; known: name, ready, ")
    assert engine.calls == []


def test_an_unknown_topology(appbed: Appbed, engine: FakeEngine) -> None:
    done = appbed("up", "internett")
    assert done.status == USE
    assert done.complaint.startswith("no topology 'internett'; did you mean internet? known: access-link, ")
    assert engine.calls == []


@pytest.mark.parametrize("words", [["internett"], ["web", "--links", "fast"]])
def test_what_a_person_wrote_is_told_also_where_no_engine_is(
    appbed: Appbed, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def none() -> None:
        raise EngineError("no engine answers")

    monkeypatch.setattr(docker, "DockerEngine", none)
    assert appbed("up", *words).status == USE


def test_a_topology_file_that_is_not_there(appbed: Appbed) -> None:
    done = appbed("up", "mine.yaml")
    assert done.status == USE
    assert done.complaint.startswith("mine.yaml: no such file; shipped topologies: ")


@pytest.mark.parametrize(
    ("name", "said"), [("lab", "is a folder"), ("lab/notes.txt", "is no Compose file by its name")]
)
def test_a_path_that_is_no_topology_file(appbed: Appbed, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/notes.txt").touch()
    done = appbed("up", name)
    assert done.status == USE
    assert done.complaint == f"{name}: {said}; name a topology's file, which ends in .yaml or .yml"


@pytest.mark.parametrize("command", [["up", "web"], ["list"]])
def test_a_net_that_is_none_is_told_as_the_setting_it_is(
    appbed: Appbed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("APPBED_NET", "10.300")
    done = appbed(*command)
    assert done.status == USE
    assert done.complaint == "APPBED_NET='10.300' is no net; write the first two octets, for example 10.77"
    assert engine.calls == []


def test_a_topology_that_is_no_yaml(appbed: Appbed, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("services: {a: [\n")
    done = appbed("up", "mine.yaml")
    assert done.status == USE
    assert done.complaint.startswith(f"{path}: is not YAML: ")
    assert "line 2" in done.complaint


def test_a_file_laid_over_that_is_wrong_is_the_one_named(appbed: Appbed, small: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("services: {client: {networks: {campus: {x-link: {loss: 101%}}}}}")
    done = appbed("up", str(small), "-f", str(over))
    assert done.status == USE
    assert done.complaint.startswith(f"{over}: services.client.networks.campus.x-link.loss: '101%' is more than 100%; ")


# ---- names


def test_a_name_that_is_already_up(appbed: Appbed, up: FakeEngine, small: Path) -> None:
    done = appbed("up", str(small))
    assert (done.status, done.complaint) == (
        USE,
        "small is already up (4 containers); `appbed down --name small`, or choose another --name",
    )
    assert up.instances()[0].running == 4


def test_a_name_that_is_none(appbed: Appbed, small: Path) -> None:
    done = appbed("up", str(small), "--name", "My Lab\n")
    assert done.status == USE
    assert done.complaint.startswith("'My Lab\\n' is no instance name; use at most 41 of a-z, 0-9, '-' and '_'")


@pytest.mark.parametrize(
    "command",
    [
        ["down", "-n", "nosuch"],
        ["ps", "-n", "nosuch"],
        ["exec", "-n", "nosuch", "client", "--", "true"],
        ["logs", "client", "-n", "nosuch"],
        ["link", "show", "-n", "nosuch"],
        ["capture", "start", "all", "-n", "nosuch"],
    ],
)
def test_an_instance_that_is_not_up(appbed: Appbed, up: FakeEngine, command: list[str]) -> None:
    done = appbed(*command)
    assert done.status == USE
    assert done.complaint == "no instance 'nosuch' is up; up: small; see `appbed ps`"


HOST = "small: no host 'clinet'; known: client, gateway, server; did you mean client?"


@pytest.mark.parametrize(
    "command",
    [
        ["exec", "clinet", "--", "true"],
        ["logs", "clinet"],
        ["link", "show", "clinet"],
        ["link", "set", "clinet", "delay=5ms"],
        ["link", "reset", "clinet"],
        ["capture", "start", "clinet"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_host_that_is_none(appbed: Appbed, up: FakeEngine, command: list[str]) -> None:
    done = appbed(*command)
    assert done.status == USE
    assert done.complaint == HOST


def test_a_host_on_several_networks_needs_one_named(appbed: Appbed, up: FakeEngine) -> None:
    done = appbed("link", "set", "gateway", "delay=5ms")
    assert done.status == USE
    assert done.complaint == "gateway: is on several networks; known: campus, access; write gateway@campus"


def test_a_capture_that_does_not_run(appbed: Appbed, up: FakeEngine, tmp_path: Path) -> None:
    done = appbed("capture", "stop", "c.pcapng")
    assert done.status != 0
    assert done.complaint == "no capture 'capture' is running; running: none"
    assert not (tmp_path / "c.pcapng").exists()


# ---- Ctrl-C


def test_ctrl_c_at_any_call_until_all_is_up(appbed: Appbed, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after is in test_cli.py."""
    good = FakeEngine()
    Lab.up(small, good)
    for number in range(1, len(good.calls) + 1, 2):
        engine = FakeEngine()
        engine.fail("", KeyboardInterrupt(), nth=number, after=number % 4 == 1)
        monkeypatch.setattr(docker, "DockerEngine", lambda engine=engine: engine)
        done = appbed("up", str(small))
        assert done.status == INTERRUPTED
        assert done.complaint == "interrupted; what was begun was taken down"
        assert engine.instances() == [], f"interrupted at call {number}, {engine.calls[number - 1]}"
