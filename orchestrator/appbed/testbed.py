"""What a test holds: a running lab by its names, with everything that a test began ended when it is over.

def test_the_proxy_answers_from_its_copy(testbed):
    proxy = f"{testbed.host('proxy').address}:3128"
    with testbed.capture("proxy") as packets:
        testbed.host("client").run("curl", "-sf", "-x", proxy, "http://www.someschool.edu/")
    assert [exchange.response.status for exchange in packets.http()] == [200, 200]
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from appbed import fidelity, runner, scenario, verify
from appbed.analysis import Capture, ladder, ladder_text
from appbed.engine import Completed
from appbed.errors import AppbedError, InputError
from appbed.evidence import write
from appbed.faults import HOST_FAULTS, LINK_FAULTS, Fault
from appbed.lab import Lab
from appbed.links import Link
from appbed.verdict import Outcome, Verdict

FAULTS = (*HOST_FAULTS, *LINK_FAULTS)
_WHOLE_TEST = "testbed"  # the capture that becomes part of a failed test's bundle
_LIMITS = {"filesize": "20MB", "files": 2}
_LOG_LINES = 200
_LADDER_WIDTH = 160


class Inconclusive(AppbedError):
    """The test's world was not as it should have been: whatever it found says nothing about what it tests."""

    exit_code = 4


class Recorded(Capture):
    """What a `with testbed.capture(...)` block captured; readable after it."""

    def __init__(self) -> None:
        """Empty: the file is read when the block is over."""

    def __getattr__(self, name: str) -> Any:
        raise InputError(f"packets.{name}: the capture is still running", remedy="ask after the `with` block")

    def read(self, file: Path) -> None:
        """Raises Inconclusive where frames are missing."""
        vars(self).update(vars(Capture.open(file)))
        for why in self.incomplete:
            raise Inconclusive(why)


class Host:
    """A host of the lab."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab, self.name = lab, name
        self.address = str(lab.topology.host(name).addresses[0])

    def run(self, *argv: str, stdin: str = "", check: bool = True, timeout_s: float = 60.0) -> Completed:
        """Its status, stdout and stderr; CommandError with what it said if the status is not 0 and `check`."""
        return self._lab.exec(self.name, *argv, stdin=stdin, check=check, timeout_s=timeout_s)

    def logs(self, *, tail: int | None = None) -> str:
        return self._lab.logs(self.name, tail=tail)


class Testbed:
    """`folder` takes what a test's captures and scenarios leave."""

    __test__ = False  # its name begins as those of tests do

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self._folder = lab, folder
        self._captures = 0

    @property
    def name(self) -> str:
        """The instance's, as `appbed ps` shows it."""
        return self.lab.name

    def host(self, name: str) -> Host:
        return Host(self.lab, name)

    def link(self, name: str) -> Link:
        """`with testbed.link("client").set(delay="50ms"):`; by "host" if it has one network, else "host@network"."""
        return self.lab.link(name)

    def schedule(self, entries: Mapping[str, Sequence[str]]) -> AbstractContextManager[None]:
        """`{"client@campus": ["at 2s for 5s: loss=5%"]}`, until the end of the block."""
        return self.lab.schedule(entries)

    def fault(self, kind: str, *targets: Any, **options: Any) -> Fault:
        """`with testbed.fault("cut", "client", "up"):`; what a test does not heal is healed before the next one."""
        if kind not in FAULTS:
            raise InputError(f"fault {kind!r} is unknown", remedy=f"known: {', '.join(FAULTS)}")
        begun: Fault = getattr(self.lab.faults, kind)(*targets, **options)
        return begun

    @contextlib.contextmanager
    def capture(self, *points: str, **options: object) -> Iterator[Recorded]:
        """`with testbed.capture("client") as packets:` and after the block `packets.http()`. Points: hosts, networks; default: all."""
        self._captures += 1
        file = self._folder / f"capture-{self._captures}.pcapng"
        packets = Recorded()
        with self.lab.capture(file, *points, **options):
            yield packets
        packets.read(file)

    def scenario(self, name: str, *, seed: int = 1, short: bool = True) -> Verdict:
        """Runs a claim or scenario of this topology on this lab: "W4". AssertionError if it FAILED, Inconclusive if nobody can say."""
        here = {key: each for key, each in scenario.select([name]).items() if each.topology == self.lab.topology.name}
        if len(here) != 1:
            known = [key for key, each in scenario.discover().items() if each.topology == self.lab.topology.name]
            found = f"names {', '.join(here)}" if here else f"runs on another topology than {self.lab.topology.name}"
            raise InputError(f"scenario {name!r} {found}", remedy=f"name one of {', '.join(known) or 'none'}")
        for ran in runner.on(self.lab, here, self._folder, seed=seed, short=short):
            verdict = ran.verdict
            if verdict.outcome is Outcome.INCONCLUSIVE:
                raise Inconclusive(f"{ran.name}: {verdict.because}", remedy=f"evidence: {ran.folder}")
            assert verdict.outcome is not Outcome.FAILED, f"{ran.name}: {verdict.because}; evidence: {ran.folder}"
        return verdict

    # ---- between tests

    def begin(self) -> None:
        """What the test sends and gets is captured, in case it fails."""
        self.lab.start_capture(_WHOLE_TEST, ["all"], **_LIMITS)

    def end(self) -> None:
        """Captures end; their files go when the next one of their name begins, or with the lab."""
        for name in self.lab.agent.ask_again("status")["captures"]:
            self.lab.agent.ask("capture-stop", name=name)

    def reset(self) -> None:
        """As after coming up: nothing is wrong, links are as declared, servers have forgotten what they were told, and say so."""
        self.lab.faults.heal()
        self.lab.reset_links()
        for host, done in self.lab.renewed().items():
            if said := done.stdout.strip() or (done.status and f"exit status {done.status}"):
                raise Inconclusive(f"{host} still knew after its reset: {str(said).splitlines()[0]}")

    def unsound(self) -> str:
        """Why its links are not as set, "" if they are: a quick measurement of all of them."""
        measured = {"after": verify.quick(self.lab).plain()}
        return fidelity.unsound({"measured": measured}, functools.partial(Capture.open, b""))

    def bundle(self, folder: Path, told: str) -> None:
        """What a failed test leaves for whoever looks for the reason: its packets, a ladder of them, logs, links as set."""
        folder.mkdir(parents=True)
        (folder / "failure.txt").write_text(told + "\n", encoding="utf-8")
        lab = self.lab
        running = [line for line in lab.links() if line["running"]]
        stopped = [line["attachment"] for line in lab.links() if not line["running"]]
        conditions = {
            "engine": lab.engine.version(),
            "backend": lab.agent.ask("status")["links"],
            "hosts": {name: [str(address) for address in host.addresses] for name, host in lab.topology.hosts.items()},
            "links": running,
            "not_running": stopped,
            "faults": lab.faults.show(),
        }
        write(folder, "conditions", conditions)
        logs = folder / "logs"
        logs.mkdir()
        for host in (*lab.topology.hosts, lab.topology.agent):
            (logs / f"{host}.log").write_text(lab.logs(host, tail=_LOG_LINES), encoding="utf-8")
        files = lab.stop_capture(_WHOLE_TEST, folder / "capture.pcapng").files
        if len(files) == 1:  # it has the number and the time of a ring's file in its name
            files = (files[0].rename(folder / "capture.pcapng"),)
        drawn = ladder.draw(Capture.open(files), known=_names(lab))
        (folder / "ladder.txt").write_text(ladder_text.text(drawn, _LADDER_WIDTH), encoding="utf-8")


def _names(lab: Lab) -> dict[str, str]:
    return {str(address): name for name, host in lab.topology.hosts.items() for address in host.addresses}
