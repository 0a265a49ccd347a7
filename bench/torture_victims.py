"""What is killed: commands of ours at a random moment, the agent, single hosts; and what must hold afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import torture_machine

from appbed.analysis import Capture
from appbed.engine.docker import DockerEngine
from appbed.errors import AppbedError
from appbed.lab import Lab

PAIR = Path(__file__).resolve().parents[1] / "tests" / "topologies" / "pair.yaml"
SCENARIO, TOPOLOGY = "dns.message", "dns"  # a real run, on a small topology
PATIENCE_S = 120.0
LINK = "gateway@access"
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Command:
    """One of ours: its words, whether it needs a lab that is up, and what was its effect if it was not killed too early."""

    words: tuple[str, ...]
    lab: bool


@dataclass
class Scene:
    """Where it all happens: a folder of its own, an instance of its own, the machine as it was before."""

    folder: Path
    name: str
    engine: DockerEngine
    before: torture_machine.Machine
    evidence: Mapping[Path, str] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)  # instances of commands that run scenarios
    stuck: set[str] = field(default_factory=set)  # instances that the engine would not let go
    refusing: bool = False  # it would not let some go that were there before

    # ---- commands

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """One of ours; its files stay in the folder."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        with (self.folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "appbed.cli", *words],
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(temporary)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        self.runs.add(f"run-{TOPOLOGY}-{process.pid}")
        return process

    def run(self, *words: str, status: Sequence[int] = (0,)) -> str:
        """To its end; RuntimeError unless that is one of these."""
        process = self.start(*words)
        try:
            got = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"`appbed {' '.join(words)}` did not end in {PATIENCE_S:.0f} s") from None
        finally:
            process.kill()
            process.wait()
        said = self.said()
        if got not in status or "Traceback" in said or "defect" in said:
            raise RuntimeError(f"`appbed {' '.join(words)}` ended with {got}: {said.strip()[-300:]}")
        return said

    def gc(self) -> None:
        """Its refusal counts unless it is about an instance that was stuck before."""
        said = self.run("gc", status=(0, 3) if self.stuck or self.refusing else (0,))
        if any(name in said for name in self.ours()):
            raise RuntimeError(f"`appbed gc` said {said.strip()[-300:]}")

    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    def killed(self, words: Sequence[str], at_s: float) -> bool:
        """Starts it and kills it after so long; False if it had ended by then."""
        process = self.start(*words)
        try:
            process.wait(at_s)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait() == KILLED

    # ---- what is there

    def ours(self) -> list[str]:
        """Instances of this torture that the engine still holds something of."""
        mine = {self.name, *self.runs} - self.stuck
        return [one.name for one in self.engine.instances() if one.name in mine]

    def clear(self) -> None:
        """Takes down what there is; what will not go is remembered, so that later rounds fail for reasons of their own."""
        for name in self.ours():
            try:
                self.engine.down(name)
            except AppbedError:
                self.stuck.add(name)
                self.before = torture_machine.settled()

    def check_whole(self) -> None:
        """The lab is up as if nothing had happened; else RuntimeError."""
        try:
            lab = Lab.attach(self.engine, self.name)
            try:
                lab.agent.ask_again("status")  # it may just be starting again
                lab.wait_ready(30)
                lab.exec("client", *_fetch(lab))
            finally:
                lab.agent.close()
        except AppbedError as error:
            raise RuntimeError(f"the lab is there and not whole: {error}") from None

    def link(self) -> str:
        """The delay that is set on the link the commands change."""
        lab = Lab.attach(self.engine, self.name)
        try:
            lab.agent.ask_again("status")
            lab.wait_ready(30)
            return str(lab.link(LINK).show()["set"]["up"].get("delay", ""))
        finally:
            lab.agent.close()

    def problems(self) -> list[str]:
        """What is there although nothing is up, and what is no longer as it was."""
        found = [f"{name} is still there" for name in self.ours()]
        found += [str(each) for each in torture_machine.differences(self.before, torture_machine.seen())]
        found += [
            f"{path.name} was changed" for path, digest in self.evidence.items() if digests(path.parent)[path] != digest
        ]
        strays = [path.name for path in self.folder.iterdir() if path.name not in ("runs", "tmp", "said", "c.pcapng")]
        strays += [
            path.name
            for path in (self.folder / "tmp").iterdir()
            if not re.fullmatch(r"appbed-lease-\d+\.lock", path.name)
        ]
        return found + [f"the file {name} was left" for name in strays]


def _fetch(lab: Lab) -> tuple[str, ...]:
    return ("curl", "-s", "-o", "/dev/null", "--max-time", "10", f"http://{lab.topology.host('server').address}/")


def digests(folder: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()}


def first_process(name: str, service: str) -> int:
    """Of a container, as this machine sees it."""
    argv = ["docker", "inspect", "--format", "{{.State.Pid}}", f"{name}-{service}-1"]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


# ---- commands, and what must hold when they were killed


def commands(scene: Scene, number: int) -> dict[str, Command]:
    """By name; a link is set to another delay each time."""
    at = ("--name", scene.name)
    capture = ("capture", "stop", "c.pcapng", *at) if number % 2 else ("capture", "start", "all", *at)
    return {
        "up": Command(("up", str(PAIR), *at), lab=False),
        "link": Command(("link", "set", LINK, f"delay={10 + number % 50}ms", *at), lab=True),
        "capture": Command(capture, lab=True),
        "down": Command(("down", *at), lab=True),
        "run": Command(("run", SCENARIO, "--short", "--seed", "1"), lab=False),
    }


def prepare(scene: Scene, command: Command) -> None:
    """The lab is up if the command needs one, and captures if it is to stop that; else nothing is up."""
    if command.lab and not scene.ours():
        scene.run("up", str(PAIR), "--name", scene.name)
    if not command.lab and scene.ours():
        scene.run("down", "--name", scene.name)
    if command.words[:2] == ("capture", "stop"):
        scene.run("capture", "start", "all", "--name", scene.name)


def after_up(scene: Scene, command: Command) -> str:
    """`gc` removes it, unless it was up already: then it is whole, and `down` removes it."""
    scene.gc()
    kept = scene.ours() == [scene.name]
    if kept:
        scene.check_whole()
        scene.run("down", "--name", scene.name)
    return "was up already" if kept else "removed by gc"


def after_link(scene: Scene, command: Command) -> str:
    """It is set as before or as asked for, and can be set again."""
    wanted = command.words[3].removeprefix("delay=")
    found = scene.link()
    if not re.fullmatch(r"\d+ms", found):
        raise RuntimeError(f"the link's delay is {found!r}")
    scene.run("link", "set", LINK, f"delay={wanted}", "--name", scene.name)
    if scene.link() != wanted:
        raise RuntimeError(f"the link's delay is {scene.link()} after it was set to {wanted}")
    return "as asked" if found == wanted else "as before"


def after_capture(scene: Scene, command: Command) -> str:
    """It can be stopped, unless it never began or was fetched already; the next one is whole."""
    said = scene.run("capture", "stop", "c.pcapng", "--name", scene.name, status=(0, 3))
    scene.run("capture", "start", "all", "--name", scene.name)
    scene.run(
        "exec", "client", "--name", scene.name, "--", "curl", "-s", "--max-time", "10", f"http://{_server(scene)}/"
    )
    scene.run("capture", "stop", "c.pcapng", "--name", scene.name)
    if not Capture.open(scene.folder / "c.pcapng").http():
        raise RuntimeError("the next capture has not what was said")
    return "was running" if "no capture" not in said else "was over"


def _server(scene: Scene) -> str:
    return f"{next(one.net for one in scene.engine.instances() if one.name == scene.name)}.3.42"


def after_run(scene: Scene, command: Command) -> str:
    """`gc` removes the lab; what there is of the run can be judged, as far as it goes, without a stack trace."""
    scene.gc()
    done = [
        run for run in sorted((scene.folder / "runs").iterdir()) if run not in {path.parent for path in scene.evidence}
    ]
    for run in done:
        scene.run("check", str(run), status=(0, 2, 3, 4))
    return "removed by gc"


AFTER: Mapping[str, Callable[[Scene, Command], str]] = {
    "up": after_up,
    "link": after_link,
    "capture": after_capture,
    "down": after_up,
    "run": after_run,
}


# ---- the agent and single hosts


def struck(scene: Scene, words: Sequence[str], at_s: float, strike: Callable[[], None]) -> None:
    """A command during which something else is killed: it ends, in words."""
    process = scene.start(*words)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(at_s)
        strike()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    if "Traceback" in scene.said() or "defect" in scene.said():
        raise RuntimeError(f"`appbed {' '.join(words)}` said {scene.said().strip()[-300:]}")


def agent_killed(scene: Scene, at_s: float, number: int) -> str:
    """Killed while a link is set: the agent is back, the link is as before or as asked, frames pass."""
    command = commands(scene, number)["link"]
    before, pid = scene.link(), first_process(scene.name, "agent")
    struck(scene, command.words, at_s, lambda: os.kill(pid, signal.SIGKILL))
    found, wanted = scene.link(), command.words[3].removeprefix("delay=")
    if found not in (before, wanted):
        raise RuntimeError(f"the link's delay is {found!r}, neither {before!r} nor {wanted!r}")
    if first_process(scene.name, "agent") == pid:
        raise RuntimeError("the agent was not killed")
    scene.check_whole()
    return "as asked" if found == wanted else "as before"


def host_killed(scene: Scene, at_s: float, number: int) -> str:
    """Killed while a page is fetched: the others go on, it can be started again, and is wired as before."""
    host = ("server", "gateway", "client", "isp")[number % 4]
    before, pid = scene.link(), first_process(scene.name, host)
    words = ("exec", "client", "--name", scene.name, "--", "curl", "-s", "--max-time", "2", f"http://{_server(scene)}/")
    struck(scene, words, at_s, lambda: os.kill(pid, signal.SIGKILL))
    scene.run("ps", "--name", scene.name)
    scene.run("fault", "heal", host, "--name", scene.name)
    scene.check_whole()
    if scene.link() != before:
        raise RuntimeError(f"{host} is not as before")
    return f"{host} is back"


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
