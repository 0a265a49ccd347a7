"""A running engine where there was none: start the one that is installed, or install Debian's and start that.

An engine started here without systemd listens on the default socket, its log is /var/log/appbed-dockerd.log. Two
settings move it: APPBED_DATA_ROOT is the folder for all it keeps, DOCKER_HOST=unix://SOCKET (with it) where it listens.
Never beside a running one: engines share docker0 and the firewall's chains, and a second one takes them from the first
(measured: --bridge=none deletes docker0 under the other engine, a start with iptables flushes its isolation rules).
"""

from __future__ import annotations

from pathlib import Path

from appbed.engine import apt
from appbed.engine.computer import Computer
from appbed.engine.daemon import Connect, Unreachable
from appbed.engine.endpoints import DEFAULT_SOCKET, Endpoint
from appbed.engine.failures import log_end, remedy_for
from appbed.engine.find_engine import Engine, NoEngine, find_engine
from appbed.engine.steps import Step
from appbed.errors import EngineError

_START_S = 60.0
_RIVAL_S = 5.0
_LOG = Path("/var/log/appbed-dockerd.log")
_AGAIN = "then run `appbed setup` again"


def ensure_engine(computer: Computer, connect: Connect, step: Step) -> Engine:
    """The engine that answers; one that setup started if none did."""
    try:
        engine = find_engine(computer, connect)
    except NoEngine as none:
        if not none.startable:
            raise
        _start(computer, connect, none.endpoint, step)
        engine = find_engine(computer, connect)
        step.done(_told(engine))
    else:
        step.skipped(_told(engine))
    return engine


def _told(engine: Engine) -> str:
    return f"Docker Engine {engine.facts.version} (API {engine.facts.api}) at {engine.endpoint}"


def _start(computer: Computer, connect: Connect, endpoint: Endpoint, step: Step) -> None:
    if computer.which("dockerd") is None:
        if computer.system != "Linux" or not apt.available(computer):
            raise EngineError("no Docker engine is installed here", remedy=how_to_install(computer))
        step.say("no Docker engine here: installing Debian's (docker.io)")
        apt.install(computer, engine_packages(computer), step)
    elif not computer.is_root:
        raise EngineError(
            "the Docker engine is installed but does not run",
            remedy="start it with `sudo systemctl start docker` or run `sudo appbed setup`",
        )
    if _answers(connect, endpoint):  # a package's script may have started it
        return
    if computer.exists("/run/systemd/system") and not endpoint.chosen:
        _start_service(computer, connect, endpoint, step)
    else:
        _start_process(computer, connect, endpoint, step)


def engine_packages(computer: Computer) -> list[str]:
    """Debian split the docker command from docker.io after Debian 12."""
    return ["docker.io", "iptables", *(["docker-cli"] if apt.known(computer, "docker-cli") else [])]


def _start_service(computer: Computer, connect: Connect, endpoint: Endpoint, step: Step) -> None:
    step.say("systemctl start docker")
    result = computer.run(["systemctl", "start", "docker"], timeout_s=_START_S)
    if not result.ok or not computer.wait_until(lambda: _answers(connect, endpoint), _START_S):
        journal = computer.run(["journalctl", "--unit=docker", "--lines=5", "--output=cat", "--no-pager"], timeout_s=10)
        said = [*result.tail(), *journal.tail(5)]
        raise _not_started("systemctl start docker", said, "see `journalctl --unit=docker`")


def _start_process(computer: Computer, connect: Connect, endpoint: Endpoint, step: Step) -> None:
    default = Endpoint(DEFAULT_SOCKET, "default socket")
    if endpoint.url != DEFAULT_SOCKET and _answers(connect, default):
        raise EngineError(
            f"{endpoint}: no engine answers, and none is started there beside the one at {default}",
            remedy="unset DOCKER_HOST to use that one, or stop it first",
        )
    argv, log = _dockerd(computer.environment.get("APPBED_DATA_ROOT"), endpoint)
    step.say(f"starting dockerd, its log is {log}")
    process = computer.spawn(argv, log)
    try:
        computer.wait_until(lambda: _answers(connect, endpoint) or not process.runs(), _START_S)
        # One that a package's script started a moment ago has the pid file, and ours gave way to it.
        rival = not process.runs() and "pid file found" in (computer.read(str(log)) or "")
        started = computer.wait_until(lambda: _answers(connect, endpoint), _RIVAL_S if rival else 0)
    except BaseException:  # Ctrl-C: a daemon that nobody knows of yet, and whose pid file the next start would meet
        process.end()
        raise
    if started:
        return
    said = [line for line in (computer.read(str(log)) or "").splitlines() if line.strip() and "level=info" not in line]
    said = said[-5:]
    if process.runs():
        process.end()
        said.append(f"no answer after {_START_S:.0f} s")
    raise _not_started("dockerd", said, f"see {log}")


def _not_started(what: str, said: list[str], otherwise: str) -> EngineError:
    last = f": {said[-1]}" if said else ""
    remedy = remedy_for("\n".join(said), otherwise) + log_end(said)
    return EngineError(f"{what}: the Docker engine did not start{last}", remedy=remedy)


def _dockerd(folder: str | None, endpoint: Endpoint) -> tuple[list[str], Path]:
    """Its command line and its log."""
    if not folder:
        return ["dockerd"], _LOG
    argv, log = ["dockerd", f"--data-root={folder}/data"], Path(folder) / "dockerd.log"
    if endpoint.url != DEFAULT_SOCKET:
        argv += [f"--host={endpoint.url}", f"--exec-root={folder}/exec", f"--pidfile={folder}/dockerd.pid"]
    return argv, log


def _answers(connect: Connect, endpoint: Endpoint) -> bool:
    try:
        connect(endpoint)
    except Unreachable:
        return False
    return True


def how_to_install(computer: Computer) -> str:
    """What a person must do to have an engine on this system."""
    if computer.system == "Darwin":
        return f"install Docker Desktop or Colima (`brew install colima docker && colima start`), start it, {_AGAIN}"
    if computer.system != "Linux":
        return "use WSL2: `wsl --install -d Debian`, and in it `sudo appbed setup`"
    release = os_release(computer)
    family = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()
    if "microsoft" in computer.kernel.lower() and not computer.is_root:
        return f"run `sudo appbed setup`, or switch on Docker Desktop's WSL integration, {_AGAIN}"
    if "debian" in family or "ubuntu" in family:
        return f"run `sudo appbed setup`, or `sudo apt-get install docker.io iptables`, {_AGAIN}"
    if "fedora" in family or "rhel" in family:
        return f"`sudo dnf install moby-engine docker-compose && sudo systemctl enable --now docker`, {_AGAIN}"
    if "arch" in family:
        return f"`sudo pacman -S docker docker-compose && sudo systemctl enable --now docker`, {_AGAIN}"
    if "suse" in family or "opensuse" in family:
        return f"`sudo zypper install docker docker-compose && sudo systemctl enable --now docker`, {_AGAIN}"
    if "alpine" in family:
        return f"`sudo apk add docker docker-cli-compose && sudo rc-service docker start`, {_AGAIN}"
    return f"install Docker Engine 20.10 or newer for {release.get('PRETTY_NAME', 'this system')}, start it, {_AGAIN}"


def os_release(computer: Computer) -> dict[str, str]:
    """What /etc/os-release says."""
    lines = (computer.read("/etc/os-release") or "").splitlines()
    return {name: value.strip("\"'") for name, separator, value in (line.partition("=") for line in lines) if separator}
