"""setup's engine on machines of many kinds, none of them real."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from bare_machine import UNREACHED, BareMachine, able, last_words, refused, role, set_up

from appbed.engine.computer import Result
from appbed.engine.daemon import EngineFacts, Unreachable
from appbed.engine.endpoints import DEFAULT_SOCKET
from appbed.engine.find_engine import NoEngine

REASONS = {"forbidden": "group docker", "broken": "see what answers"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    return BareMachine(tmp_path / "home")


class TestFreshDebian:
    def test_everything_is_brought(self, root: Path, machine: BareMachine) -> None:
        role(root, "router")
        able_now, events = set_up(root, machine)
        assert able_now.engine == "20.10.24"
        assert able_now.compose == "5.6.1"
        assert able_now.images == ("appbed/router:dev",)
        assert last_words(events) == dict.fromkeys(
            ["engine", "compose", "base image", "image appbed/router:dev"], "done"
        )
        assert (machine.home / ".docker/cli-plugins/docker-compose").stat().st_mode & 0o111
        said = [event.detail for event in events if event.state == "progress"]
        assert any("installing Debian's (docker.io)" in detail for detail in said), "installing is announced"
        assert any(UNREACHED in detail and "mmdebstrap" in detail for detail in said), (
            "so is the other way to the base image"
        )

    def test_the_second_run_does_nothing(self, root: Path, machine: BareMachine) -> None:
        role(root, "router")
        set_up(root, machine)
        machine.ran.clear()
        _, events = set_up(root, machine)
        assert set(last_words(events).values()) == {"skipped"}
        assert machine.ran == ["docker compose version --short"]

    def test_missing_package_lists_are_read_first(self, root: Path, machine: BareMachine) -> None:
        offered = set(machine.packages)
        machine.packages.clear()
        machine.before = lambda command: machine.packages.update(
            offered if command.startswith("apt-get update") else ()
        )
        set_up(root, machine)
        assert machine.ran_any("apt-get update")

    def test_a_failing_package_source_is_named(self, root: Path, machine: BareMachine) -> None:
        machine.packages.clear()
        machine.failing["apt-get update"] = Result(("apt-get",), 100, "E: Failed to fetch: Temporary failure resolving")
        error = refused(root, machine)
        assert "apt-get update" in error.message
        assert "network" in error.remedy

    def test_newer_debian_has_the_command_in_a_package_of_its_own(self, root: Path, machine: BareMachine) -> None:
        machine.packages.add("docker-cli")
        set_up(root, machine)
        assert any(command.endswith("docker.io iptables docker-cli") for command in machine.ran)


class TestEngine:
    def test_a_running_one_is_left_as_it_is(self, root: Path, machine: BareMachine) -> None:
        able_now, events = set_up(root, able(machine))
        assert last_words(events) == {"engine": "skipped", "compose": "skipped", "base image": "skipped"}
        assert able_now.endpoint.url == DEFAULT_SOCKET

    def test_an_installed_one_is_started(self, root: Path, machine: BareMachine) -> None:
        able(machine).running.clear()
        set_up(root, machine)
        assert [argv for argv, _ in machine.spawned] == [["dockerd"]]
        assert not machine.ran_any("apt-get")

    def test_systemd_starts_it_where_it_runs(self, root: Path, machine: BareMachine) -> None:
        able(machine).running.clear()
        machine.files["/run/systemd/system"] = ""
        set_up(root, machine)
        assert machine.ran_any("systemctl start docker")
        assert machine.spawned == []

    def test_its_log_is_quoted_when_it_dies(self, root: Path, machine: BareMachine) -> None:
        able(machine).running.clear()
        machine.dockerd_starts = False
        error = refused(root, machine)
        assert "storage driver is nonsense" in error.message
        assert "/var/log/appbed-dockerd.log" in error.remedy

    def test_interrupted_while_it_starts_none_is_left(self, root: Path, machine: BareMachine) -> None:
        able(machine).running.clear()

        def interrupted(condition: object, timeout_s: float) -> bool:
            raise KeyboardInterrupt

        machine.wait_until = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            set_up(root, machine)
        assert machine.spawned[0][1].ended
        assert machine.stopped

    def test_the_rootless_socket_is_found(self, root: Path, machine: BareMachine) -> None:
        able(machine).running = {"unix:///run/user/1000/docker.sock"}
        machine.environment["XDG_RUNTIME_DIR"] = "/run/user/1000"
        able_now, _ = set_up(root, machine)
        assert able_now.endpoint.found_by == "rootless socket"

    def test_docker_host_is_the_only_place(self, root: Path, machine: BareMachine) -> None:
        able(machine).environment["DOCKER_HOST"] = "tcp://lab:2375"
        error = refused(root, machine)
        assert "tcp://lab:2375 (DOCKER_HOST)" in error.message
        assert "unset DOCKER_HOST" in error.remedy

    def test_the_current_context_is_the_only_place(self, root: Path, machine: BareMachine) -> None:
        folder = machine.home / ".docker"
        machine.files[f"{folder}/config.json"] = json.dumps({"currentContext": "colima"})
        error = refused(root, able(machine))
        assert "'colima' names no engine" in error.message

    def test_a_context_leads_to_its_engine(self, root: Path, machine: BareMachine) -> None:
        folder = machine.home / ".docker"
        key = hashlib.sha256(b"colima").hexdigest()
        machine.environment["DOCKER_CONTEXT"] = "colima"
        meta = {"Endpoints": {"docker": {"Host": "unix:///colima.sock"}}}
        machine.files[f"{folder}/contexts/meta/{key}/meta.json"] = json.dumps(meta)
        machine.files[f"{folder}/contexts/tls/{key}/docker"] = ""
        able(machine).running = {"unix:///colima.sock"}
        able_now, _ = set_up(root, machine)
        assert able_now.endpoint.environment() == {
            "DOCKER_HOST": "unix:///colima.sock",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": f"{folder}/contexts/tls/{key}/docker",
        }

    def test_a_data_root_of_its_own(self, root: Path, machine: BareMachine) -> None:
        able(machine).running.clear()
        machine.environment |= {"DOCKER_HOST": "unix:///d/docker.sock", "APPBED_DATA_ROOT": "/d"}
        set_up(root, machine)
        expected = [
            "--data-root=/d/data",
            "--host=unix:///d/docker.sock",
            "--exec-root=/d/exec",
            "--pidfile=/d/dockerd.pid",
        ]
        assert machine.spawned[0][0] == ["dockerd", *expected]

    def test_never_a_second_one_beside_a_running_one(self, root: Path, machine: BareMachine) -> None:
        able(machine).environment |= {"DOCKER_HOST": "unix:///d/docker.sock", "APPBED_DATA_ROOT": "/d"}
        error = refused(root, machine)
        assert "beside the one at unix:///var/run/docker.sock" in error.message
        assert machine.spawned == []

    @pytest.mark.parametrize("reason", ["forbidden", "broken"])
    def test_one_that_cannot_be_used_is_not_replaced(self, reason: str, root: Path, machine: BareMachine) -> None:
        able(machine).running.clear()
        machine.unreachable = Unreachable(reason, "said")  # type: ignore[arg-type]
        error = refused(root, machine)
        assert isinstance(error, NoEngine)
        assert REASONS[reason] in error.remedy
        assert machine.spawned == []

    @pytest.mark.parametrize(
        ("facts", "said"),
        [
            (EngineFacts("19.03.15", "1.40"), "Docker Engine 19.03.15 (API 1.40) is too old"),
            (EngineFacts("5.2.0", "1.41", name="Podman Engine"), "Podman 5.2.0 answers"),
            (EngineFacts("27.0.0", "1.46", operating_system="windows"), "runs windows containers"),
        ],
    )
    def test_one_that_will_not_do(self, facts: EngineFacts, said: str, root: Path, machine: BareMachine) -> None:
        able(machine).facts = facts
        assert said in refused(root, machine).message


class TestNotDebianRoot:
    @pytest.mark.parametrize(
        ("system", "release", "is_root", "hint"),
        [
            ("Darwin", "", False, "colima start"),
            ("Windows", "", False, "wsl --install"),
            ("Linux", "ID=debian", False, "sudo appbed setup"),
            ("Linux", "ID=linuxmint\nID_LIKE=ubuntu", False, "sudo appbed setup"),
            ("Linux", "ID=fedora", True, "dnf install"),
            ("Linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"', True, "dnf install"),
            ("Linux", "ID=arch", True, "pacman -S"),
            ("Linux", "ID=alpine", True, "apk add"),
            ("Linux", 'ID=nixos\nPRETTY_NAME="NixOS 24"', True, "for NixOS 24"),
        ],
    )
    def test_it_is_told_what_to_install(
        self, system: str, release: str, is_root: bool, hint: str, root: Path, machine: BareMachine
    ) -> None:
        machine.system, machine.is_root = system, is_root
        machine.files["/etc/os-release"] = release
        if "debian" not in release and "ubuntu" not in release:
            machine.programs.clear()
        assert hint in refused(root, machine).remedy
        assert machine.ran == []

    def test_wsl_has_a_second_way(self, root: Path, machine: BareMachine) -> None:
        machine.is_root, machine.kernel = False, "5.15.153.1-microsoft-standard-WSL2"
        assert "WSL integration" in refused(root, machine).remedy

    def test_an_installed_engine_needs_root_to_start(self, root: Path, machine: BareMachine) -> None:
        able(machine).running.clear()
        machine.is_root = False
        assert "sudo systemctl start docker" in refused(root, machine).remedy


def test_a_full_disk_anywhere_is_one_line(root: Path, machine: BareMachine) -> None:
    def full(command: str) -> None:
        raise OSError(28, "No space left on device", "/var/log/appbed-dockerd.log")

    able(machine).running.clear()
    machine.before = full
    error = refused(root, machine)
    assert error.message == "/var/log/appbed-dockerd.log: No space left on device"
    assert "disk is full" in error.remedy
