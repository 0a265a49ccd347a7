"""Kills the orchestrator, the agent and hosts at random moments, and looks at what is left. Nothing may be.

    python -m bench.torture [--only orchestrator,agent,host] [--kills N] [--seed N] [--minutes M] [--anew] [--out FOLDER]

As root on the engine's machine, from the repository's folder. What was done is kept: the same command goes on where it was stopped, or
where --minutes ended it. Writes torture.json, and torture.jsonl with a line for each kill. Nobody else may bring labs up or down
meanwhile: interfaces, routes, firewall and sysctls of the machine are compared with those before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import torture_machine
from bench.torture_victims import AFTER, Scene, agent_killed, commands, digests, host_killed, prepare, timed

from appbed import leftovers
from appbed.engine.docker import DockerEngine
from appbed.errors import EngineError

KILLS: Mapping[str, int] = {"orchestrator": 200, "agent": 50, "host": 20}
COMMANDS = ("up", "link", "capture", "down", "run")
_EACH_LAB = 5  # kills of an agent in one lab: the engine waits longer before every next start


@dataclass(frozen=True)
class Round:
    """One kill: of what, at which moment of how long, what became of it, and what was wrong afterwards."""

    seed: int
    victim: str
    number: int
    command: str
    at_s: float
    of_s: float
    became: str
    problem: str
    seconds: float


class Journal:
    """What was done already, on disk line by line."""

    def __init__(self, folder: Path, seed: int, anew: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._seed = folder / "torture.jsonl", seed
        if anew:
            self._path.unlink(missing_ok=True)
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        self.rounds = [each for each in (Round(**json.loads(line)) for line in lines) if each.seed == seed]

    def add(self, done: Round) -> None:
        self.rounds.append(done)
        with self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(done)) + "\n")

    def of(self, victim: str) -> list[Round]:
        return [each for each in self.rounds if each.victim == victim]


class Torture:
    """Rounds on one scene; how long each command takes is measured before it is killed for the first time."""

    def __init__(self, scene: Scene, journal: Journal, seed: int) -> None:
        self.scene, self.journal, self.seed = scene, journal, seed
        self._took_s: dict[str, float] = {}
        self._at_s = 0.0  # the moment of this round's kill

    def round(self, victim: str, number: int) -> Round:
        name = COMMANDS[number % len(COMMANDS)] if victim == "orchestrator" else "link"
        began, chance = time.monotonic(), random.Random(f"{self.seed}/{victim}/{number}")
        became, problem = "", ""
        try:
            took_s = self._duration(name)
            if victim == "orchestrator":
                became = self._killed(name, number, chance, took_s)
            else:
                became = self._struck(victim, number, chance, took_s)
        except Exception as error:
            problem, took_s = f"{type(error).__name__}: {error}", self._took_s.get(name, 0.0)
            self.scene.clear()
        seconds = round(time.monotonic() - began, 1)
        return Round(self.seed, victim, number, name, round(self._at_s, 3), round(took_s, 3), became, problem, seconds)

    def _duration(self, name: str) -> float:
        if name not in self._took_s:
            command = commands(self.scene, 0)[name]
            prepare(self.scene, command)
            self._took_s[name] = timed(lambda: self.scene.run(*command.words))
            if name == "capture":
                self.scene.run("capture", "stop", "c.pcapng", "--name", self.scene.name)
            if name == "run":
                (run,) = (self.scene.folder / "runs").iterdir()
                self.scene.evidence = digests(run)
        return self._took_s[name]

    def _killed(self, name: str, number: int, chance: random.Random, took_s: float) -> str:
        """At a moment drawn anew until it was not over before that."""
        turn = number // len(COMMANDS)
        while True:
            command = commands(self.scene, turn)[name]
            prepare(self.scene, command)
            self._at_s = chance.random() * took_s
            killed = self.scene.killed(command.words, self._at_s)
            became = AFTER[name](self.scene, command)
            if not command.lab or name == "down":
                self._clean()
            if killed:
                return became

    def _struck(self, victim: str, number: int, chance: random.Random, took_s: float) -> str:
        if number % _EACH_LAB == 0 and self.scene.ours():
            self.scene.run("down", "--name", self.scene.name)
            self._clean()
        prepare(self.scene, commands(self.scene, 0)["link"])
        self._at_s = chance.random() * took_s
        strike = agent_killed if victim == "agent" else host_killed
        return strike(self.scene, self._at_s, number)

    def _clean(self) -> None:
        """Some things of the engine's go moments after it said so: a second for them, and then nothing more."""
        deadline = time.monotonic() + 1.0
        while problems := self.scene.problems():
            if time.monotonic() > deadline:
                raise RuntimeError("; ".join(problems))


def left_by_others(engine: DockerEngine) -> bool:
    """Removes what killed commands left before; True if the engine will not let go of all of it."""
    leftovers.end_orphans()
    refused = False
    for leftover in leftovers.find(engine):
        try:
            leftovers.remove(engine, leftover)
        except EngineError as error:
            print(f"torture: left as it is: {error}", flush=True)
            refused = True
    return refused


@contextmanager
def scene() -> Iterator[Scene]:
    """A folder and an instance of its own; both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="appbed-torture-") as folder, DockerEngine() as engine:
        refusing = left_by_others(engine)
        here = Scene(Path(folder), f"torture-{os.getpid()}", engine, torture_machine.settled(), refusing=refusing)
        (here.folder / "runs").mkdir()
        (here.folder / "tmp").mkdir()
        try:
            yield here
        finally:
            here.clear()


def tortured(journal: Journal, planned: Mapping[str, int], seed: int, minutes: float) -> None:
    """All that is planned and not done yet, or as much of it as the minutes allow."""
    end, session, left = time.monotonic() + 60 * minutes, 0, sum(planned.values())
    left -= sum(min(len(journal.of(victim)), kills) for victim, kills in planned.items())
    with scene() as here:
        torture, began = Torture(here, journal, seed), time.monotonic()
        for victim, kills in planned.items():
            for number in range(len(journal.of(victim)), kills):
                if time.monotonic() > end:
                    return
                done = torture.round(victim, number)
                journal.add(done)
                session, left = session + 1, left - 1
                to_go = (time.monotonic() - began) / session * left / 60
                told = f"PROBLEM {done.problem}" if done.problem else done.became
                killed = f"{victim} {number + 1}/{kills} {done.command} at {done.at_s:.2f} of {done.of_s:.2f} s"
                print(f"{killed}: {told} ({done.seconds:.0f} s; {to_go:.0f} min left)", flush=True)
        if here.ours():
            here.run("down", "--name", here.name)
        torture._clean()


def figures(journal: Journal, planned: Mapping[str, int]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for victim, kills in planned.items():
        rounds = journal.of(victim)[:kills]
        good = sum(not each.problem for each in rounds)
        figure = f"kills of the {victim} with nothing left"
        found.append({"figure": figure, "unit": f"of {kills}", "value": good, "bar": kills, "met": good == kills})
        for command in COMMANDS if victim == "orchestrator" else ():
            of = [each for each in rounds if each.command == command]
            good = sum(not each.problem for each in of)
            found.append(
                {
                    "figure": f"  {command}",
                    "unit": f"of {len(of)}",
                    "value": good,
                    "bar": len(of),
                    "met": good == len(of),
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(KILLS), help="what is killed, of " + ", ".join(KILLS))
    parser.add_argument(
        "--kills", type=int, help="how often; default: " + ", ".join(f"{v} {k}" for k, v in KILLS.items())
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="go on next time after so long")
    parser.add_argument("--anew", action="store_true", help="forget what was done before")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    asked = parser.parse_args()
    chosen = asked.only.split(",")
    if unknown := set(chosen) - set(KILLS):
        parser.error(f"--only {', '.join(unknown)}: known are {', '.join(KILLS)}")
    if os.geteuid() != 0:
        sys.exit("torture: processes of containers are killed by root of the engine's machine; run it as root there")
    planned = {victim: asked.kills or KILLS[victim] for victim in chosen}
    journal = Journal(asked.out, asked.seed, asked.anew)
    tortured(journal, planned, asked.seed, asked.minutes)
    found = figures(journal, planned)
    (asked.out / "torture.json").write_text(json.dumps(found, indent=2) + "\n")
    for line in found:
        print(f"{line['figure']:<44} {line['value']:>5} {line['unit']:<8} {line['met']}")
    sys.exit(any(each.problem for each in journal.rounds))


if __name__ == "__main__":
    main()
