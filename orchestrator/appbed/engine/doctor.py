"""`appbed doctor`: what this machine and its engine are able to do, each finding with a fix; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from appbed.engine import Engine as LabEngine
from appbed.engine import apt, kernel_checks, role_images
from appbed.engine.base_image import BASE
from appbed.engine.checks import Check
from appbed.engine.compose_plugin import MINIMUM, compose_version, dotted
from appbed.engine.computer import Computer, ThisComputer
from appbed.engine.daemon import Connect, connect_sdk
from appbed.engine.docker import DockerEngine
from appbed.engine.find_engine import Engine, NoEngine, find_engine
from appbed.engine.start_engine import how_to_install
from appbed.errors import AppbedError

_SETUP = "run `appbed setup`"


def doctor(
    root: Path, find_leftovers: Callable[[LabEngine], Sequence[object]], *,
    computer: Computer | None = None, connect: Connect = connect_sdk,
    open_lab_engine: Callable[[], LabEngine] = DockerEngine,
) -> list[Check]:  # fmt: skip
    """Every check, in the order a person should read them; what needs an engine is left out where none answers.

    What a leftover is, the floor above says (`leftovers.find`).
    """
    computer = computer or ThisComputer()
    engine, first = _engine(computer, connect)
    checks = [first, *_told("docker command", lambda: [_command(computer)])]
    checks += _told("compose", lambda: [_compose(computer, engine)])
    if engine is not None:
        found = engine
        checks += _told("images", lambda: _images(root, computer, found))
        checks += [_security(found), _user_namespaces(found), _cgroups(found), _bridge_filter(computer, found)]
        checks += _told("leftovers", lambda: [_leftovers(open_lab_engine(), find_leftovers)])
    checks += _told("addresses", lambda: [kernel_checks.addresses(computer, engine)])
    checks += kernel_checks.machine(computer, engine)
    return [*checks, _AGENT]


def _told(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """One check that cannot be made does not keep the others from being made."""
    try:
        return list(look())
    except AppbedError as error:
        return [Check(name, "fail", error.message, error.remedy)]


def _engine(computer: Computer, connect: Connect) -> tuple[Engine | None, Check]:
    try:
        engine = find_engine(computer, connect)
    except NoEngine as none:
        able = not none.startable or computer.which("dockerd") is not None or apt.available(computer)
        return None, Check("engine", "fail", none.message, none.remedy if able else how_to_install(computer))
    except AppbedError as error:
        return None, Check("engine", "fail", error.message, error.remedy)
    facts = engine.facts
    return engine, Check("engine", "ok", f"Docker Engine {facts.version}, API {facts.api}, at {engine.endpoint}")


def _command(computer: Computer) -> Check:
    path = computer.which("docker")
    return Check("docker command", "ok", path) if path else Check("docker command", "fail", "not installed", _SETUP)


def _compose(computer: Computer, engine: Engine | None) -> Check:
    found = compose_version(computer, engine.endpoint if engine else None)
    if found is None:
        return Check("compose", "fail", "no compose plugin", _SETUP)
    if found < MINIMUM:
        return Check("compose", "fail", f"Docker Compose {dotted(found)}, needed is {dotted(MINIMUM)}", _SETUP)
    return Check("compose", "ok", f"Docker Compose {dotted(found)}")


def _images(root: Path, computer: Computer, engine: Engine) -> Iterable[Check]:
    base = engine.daemon.image(BASE)
    if base is None:
        yield Check("base image", "fail", f"{BASE} is missing", _SETUP)
    else:
        yield Check(
            "base image", "ok", BASE + (", built with mmdebstrap" if base.labels.get("org.appbed.base") else "")
        )
    states = {
        image.image: role_images.state(image, engine.daemon)
        for image in role_images.find_role_images(root, computer.environment)
    }
    wrong = [f"{name} is {state}" for name, state in states.items() if state != "present"]
    missing = any(state == "missing" for state in states.values())
    if wrong:
        yield Check("role images", "fail" if missing else "warn", ", ".join(wrong), _SETUP)
    else:
        yield Check("role images", "ok", ", ".join(states) or "there are no roles")


def _security(engine: Engine) -> Check:
    modules = [name for name in ("apparmor", "selinux") if _has(engine, name)]
    if "selinux" in modules:
        return Check(
            "security module", "warn", "SELinux confines containers; the agent opens other containers' namespaces",
            "if `appbed up` says that the agent may not: `security_opt: [label=disable]` in images/agent/service.yaml",
        )  # fmt: skip
    return Check("security module", "ok", "AppArmor (docker-default)" if modules else "neither AppArmor nor SELinux")


def _user_namespaces(engine: Engine) -> Check:
    if _has(engine, "userns"):
        return Check(
            "user namespaces", "fail", "the engine remaps users (userns-remap): the agent may not share its namespaces",
            "remove userns-remap from /etc/docker/daemon.json and restart the engine",
        )  # fmt: skip
    if _has(engine, "rootless"):
        return Check(
            "user namespaces", "warn", "a rootless engine: labs are not tested on one",
            "if `appbed up` fails, use the machine's own engine (`docker context use default`)",
        )  # fmt: skip
    return Check("user namespaces", "ok", "not remapped, not rootless")


def _has(engine: Engine, name: str) -> bool:
    return any(option.split(",")[0] == f"name={name}" for option in engine.facts.security)


def _cgroups(engine: Engine) -> Check:
    return Check("cgroups", "ok", f"version {engine.facts.cgroup or 'unknown'}")


def _bridge_filter(computer: Computer, engine: Engine) -> Check:
    """Not a fault either way: the networks' recipe (routed mode) works with it and without, on engines old and new."""
    on = engine.facts.bridge_filter
    if on is None and kernel_checks.is_local(computer, engine):
        on = (computer.read("/proc/sys/net/bridge/bridge-nf-call-iptables") or "0").strip() == "1"
    if on is None:
        return Check("bridge filter", "ok", "unknown; the networks' routed mode works with it and without")
    if not on:
        return Check("bridge filter", "ok", "bridge-nf-call-iptables=0: bridged frames pass the firewall by")
    modern = engine.facts.api_version >= (1, 47)  # engine 27
    mode = "the networks' routed mode lets them through" if modern else "this engine lets them through"
    return Check("bridge filter", "ok", f"bridge-nf-call-iptables=1: bridged frames meet the firewall; {mode}")


def _leftovers(lab_engine: LabEngine, find: Callable[[LabEngine], Sequence[object]]) -> Check:
    left = [str(leftover) for leftover in find(lab_engine)]
    if left:
        return Check("leftovers", "warn", "; ".join(left), "run `appbed gc`")
    alive = sorted(instance.name for instance in lab_engine.instances())
    return Check("leftovers", "ok", f"none ({'running: ' + ', '.join(alive) if alive else 'no lab runs'})")


_AGENT = Check(
    "agent", "ok",
    "while a lab runs, its agent (four capabilities, the host's processes) is root-equivalent on the engine's machine",
)  # fmt: skip
