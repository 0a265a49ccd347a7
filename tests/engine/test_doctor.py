"""What the doctor finds on machines that are not there; it must change none of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import pytest
from bare_machine import BareMachine, able, role

from appbed import leftovers
from appbed.engine import Engine as LabEngine
from appbed.engine import Instance
from appbed.engine.checks import Check
from appbed.engine.computer import Result
from appbed.engine.daemon import ImageFacts, Unreachable
from appbed.engine.doctor import doctor
from appbed.engine.kernel_checks import routes
from appbed.engine.setup import setup

CHANGES = (
    "apt-get",
    "pip",
    "docker build",
    "docker import",
    "docker tag",
    "docker pull",
    "systemctl",
    "dpkg",
    "mmdebstrap",
)
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
VPN = "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"
OFFICE = "br-1\t00014E0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"


class NoLab:
    """An engine with the instances it is given."""

    def __init__(self, *instances: Instance) -> None:
        self._instances = list(instances)

    def instances(self) -> list[Instance]:
        return self._instances


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    (tmp_path / "images").mkdir()
    machine = able(BareMachine(tmp_path / "home"))
    machine.programs |= {"unshare", "tc"}
    machine.files |= {"/dev/net/tun": "", "/proc/net/route": ROUTES, "/proc/meminfo": "MemAvailable: 8000000 kB\n"}
    return machine


def examine(machine: BareMachine, *instances: Instance) -> dict[str, Check]:
    lab = cast(LabEngine, NoLab(*instances))
    checks = doctor(
        machine.home.parent, leftovers.find, computer=machine, connect=machine.connect, open_lab_engine=lambda: lab
    )
    assert not any(command.startswith(CHANGES) for command in machine.ran), "nothing is changed"
    assert not machine.spawned
    assert all(check.fix for check in checks if check.state != "ok"), "each finding has its fix"
    return {check.name: check for check in checks}


def test_an_able_machine(machine: BareMachine) -> None:
    checks = examine(machine)
    assert {name: check.state for name, check in checks.items() if check.state != "ok"} == {}
    assert checks["engine"].found.startswith("Docker Engine 20.10.24, API 1.41")
    assert checks["compose"].found == "Docker Compose 2.24.0"
    assert checks["links"].found == "netem shapes them"
    assert "root-equivalent" in checks["agent"].found
    json.dumps([asdict(check) for check in checks.values()])


def test_a_bare_machine_is_told_to_run_setup(machine: BareMachine) -> None:
    machine.running.clear()
    machine.programs -= {"docker", "dockerd"}
    machine.compose = ""
    checks = examine(machine)
    assert [checks[name].state for name in ("engine", "docker command", "compose")] == ["fail"] * 3
    assert checks["engine"].fix == "run `appbed setup`"
    assert "base image" not in checks, "what needs an engine is left out"
    machine.is_root = False
    assert "sudo appbed setup" in examine(machine)["engine"].fix


def test_a_socket_that_is_not_ours(machine: BareMachine) -> None:
    machine.running.clear()
    machine.unreachable = Unreachable("forbidden", "permission denied")
    assert "group docker" in examine(machine)["engine"].fix


def test_an_old_compose(machine: BareMachine) -> None:
    machine.compose = "1.29.2"
    assert examine(machine)["compose"].found == "Docker Compose 1.29.2, needed is 2.23.1"


class TestImages:
    def test_missing_then_present_then_stale(self, machine: BareMachine) -> None:
        folder = role(machine.home.parent, "web")
        assert examine(machine)["role images"].found == "appbed/web:dev is missing"
        setup(machine.home.parent, lambda event: None, computer=machine, connect=machine.connect)
        machine.ran.clear()
        assert examine(machine)["role images"] == Check("role images", "ok", "appbed/web:dev")
        (folder / "Dockerfile").write_text("FROM debian:bookworm-slim\nUSER nobody\n", encoding="utf-8")
        stale = examine(machine)["role images"]
        assert (stale.state, stale.found) == ("warn", "appbed/web:dev is stale")

    def test_the_base_image(self, machine: BareMachine) -> None:
        machine.images = {"debian:bookworm-slim": ImageFacts("sha256:1", {"org.appbed.base": "mmdebstrap"})}
        assert examine(machine)["base image"].found.endswith("built with mmdebstrap")
        machine.images.clear()
        assert examine(machine)["base image"].state == "fail"

    def test_a_broken_service_hides_nothing_else(self, machine: BareMachine) -> None:
        (role(machine.home.parent, "web") / "service.yaml").write_text("services: [", encoding="utf-8")
        checks = examine_with_broken_role(machine)
        assert checks["images"].state == "fail"
        assert "images/web/service.yaml" in checks["images"].found
        assert checks["memory"].state == "ok"


def examine_with_broken_role(machine: BareMachine) -> dict[str, Check]:
    lab = cast(LabEngine, NoLab())
    found = doctor(
        machine.home.parent, leftovers.find, computer=machine, connect=machine.connect, open_lab_engine=lambda: lab
    )
    return {check.name: check for check in found}


class TestKernel:
    def test_without_netem_the_relay_shapes_the_links(self, machine: BareMachine) -> None:
        machine.failing["unshare"] = Result((), 2, "Error: Specified qdisc kind is unknown.")
        links = examine(machine)["links"]
        assert links.state == "warn"
        assert links.found.startswith("the relay shapes them")
        del machine.files["/dev/net/tun"]
        assert examine(machine)["tun"].state == "fail", "the relay cannot do without"

    def test_not_root_it_cannot_know(self, machine: BareMachine) -> None:
        machine.is_root = False
        links = examine(machine)["links"]
        assert links.state == "ok"
        assert "the agent finds out" in links.found
        assert not machine.ran_any("unshare")

    def test_of_another_kernel_nothing_is_said(self, machine: BareMachine) -> None:
        machine.facts = replace(machine.facts, kernel="6.10.14-linuxkit")
        checks = examine(machine)
        assert "another kernel" in checks["disk"].found
        assert not machine.ran_any("unshare")

    @pytest.mark.parametrize(
        ("free", "state"), [(50 << 30, "ok"), (2 << 30, "warn"), (100 << 20, "fail"), (None, "ok")]
    )
    def test_disk(self, free: int | None, state: str, machine: BareMachine) -> None:
        machine.free = free
        assert examine(machine)["disk"].state == state

    def test_memory(self, machine: BareMachine) -> None:
        machine.files["/proc/meminfo"] = "MemTotal: 2000000 kB\nMemAvailable:     300000 kB\n"
        assert examine(machine)["memory"].found == "0.3 GiB available"
        assert examine(machine)["memory"].state == "warn"

    @pytest.mark.parametrize(
        ("told", "api", "said"),
        [
            (True, "1.41", "=1: bridged frames meet the firewall; this engine lets them"),
            (True, "1.50", "=1: bridged frames meet the firewall; the networks' routed mode"),
            (False, "1.41", "=0"),
            (None, "1.52", "=0"),
        ],
    )
    def test_the_bridge_filter(self, told: bool | None, api: str, said: str, machine: BareMachine) -> None:
        machine.facts = replace(machine.facts, bridge_filter=told, api=api)
        check = examine(machine)["bridge filter"]
        assert f"bridge-nf-call-iptables{said}" in check.found


class TestAddresses:
    def test_all_are_free(self, machine: BareMachine) -> None:
        assert examine(machine)["addresses"].found == "free: 10.77-10.126"

    def test_a_route_takes_one(self, machine: BareMachine) -> None:
        machine.files["/proc/net/route"] = ROUTES + OFFICE
        found = examine(machine)["addresses"].found
        assert found == "free: 10.77, 10.79-10.126 (10.78 taken by the route 10.78.1.0/24 on br-1)"

    def test_a_network_takes_one(self, machine: BareMachine) -> None:
        machine.networks["web_campus"] = ("10.77.1.0/24", "fd00::/64")
        assert "10.77 taken by the Docker network web_campus" in examine(machine)["addresses"].found

    def test_a_vpn_takes_all(self, machine: BareMachine) -> None:
        machine.files["/proc/net/route"] = ROUTES + VPN
        check = examine(machine)["addresses"]
        assert check.state == "fail"
        assert "10.0.0.0/8 on tun0" in check.found
        assert "and 47 more" in check.found

    def test_the_default_route_takes_none(self) -> None:
        assert [str(network) for network, _ in routes(ROUTES)] == ["192.0.2.0/24"]


class TestEngineSettings:
    @pytest.mark.parametrize(
        ("options", "name", "state"),
        [
            (("name=apparmor", "name=seccomp,profile=default"), "security module", "ok"),
            (("name=selinux",), "security module", "warn"),
            (("name=userns",), "user namespaces", "fail"),
            (("name=rootless",), "user namespaces", "warn"),
        ],
    )
    def test_security_options(self, options: tuple[str, ...], name: str, state: str, machine: BareMachine) -> None:
        machine.facts = replace(machine.facts, security=options)
        assert examine(machine)[name].state == state


def test_leftovers(machine: BareMachine) -> None:
    dead = Instance("web-1", files=(), net="10.77", owner="", containers=(), networks=("web-1_campus",), volumes=())
    check = examine(machine, dead)["leftovers"]
    assert (check.state, check.fix) == ("warn", "run `appbed gc`")
    assert "web-1" in check.found
