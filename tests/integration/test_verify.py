"""Links of real containers measured; and what is changed behind the agent's back is noticed by a run."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appbed import runner, verify
from appbed.engine.docker import DockerEngine
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Scenario
from appbed.verdict import Finding, Outcome, Verdict

from .conftest import TOPOLOGIES

pytestmark = pytest.mark.docker
ACCESS = "gateway@access"
_PIDFD_GETFD = 438


def not_as_set(lab: Lab) -> set[tuple[str, str, str]]:
    return {
        (one.attachment, one.direction, reading.what)
        for one in verify.quick(lab).checked
        for reading in one.readings
        if reading.outcome is Outcome.FAILED
    }


def test_a_healthy_lab_is_as_set(pair: Lab) -> None:
    with pair.link("client").set(up={"rate": "10mbit", "delay": "5ms"}, down={"loss": "10%", "jitter": 0}):
        assert not_as_set(pair) == set()


def test_full_statistics_of_an_impaired_link(pair: Lab) -> None:
    with pair.link("client").set(up={"rate": "8mbit", "queue": "30"}, down={"loss": "5%", "delay": "10ms"}):
        (measured,) = verify.full(pair, verify.attachments(pair, ["client"]))
    found = {(one.direction, reading.what): reading.outcome for one in measured.checked for reading in one.readings}
    # How late frames are is the machine's doing too; what is carried, and how much of it, is not.
    assert found["up", "queue"] is found["down", "loss"] is found["up", "loss"] is Outcome.PASSED


def test_hosts_know_each_other_without_asking(pair: Lab) -> None:
    pair.agent.ask("introduce")
    known = {
        line.split()[0]: line.split()[2:4] for line in pair.exec("client", "cat", "/proc/net/arp").stdout.splitlines()
    }
    own, gateway = pair.topology.host("gateway").address, pair.topology.networks["campus"].gateway
    assert known[str(gateway)] == known[str(own)]
    assert known[str(own)][0] == "0x2", "complete"


def test_a_measurement_leaves_a_seed_s_sequence_as_it_was(pair: Lab) -> None:
    """The same pings are lost after each, however many frames it sent."""

    def lost() -> set[str]:
        pair.agent.ask("introduce")
        verify.quick(pair)
        argv = ["ping", "-n", "-c", "30", "-i", "0.01", "-W", "1", str(pair.topology.host("server").address)]
        said = pair.exec("client", *argv, check=False).stdout
        return {f"icmp_seq={number} " for number in range(1, 31) if f"icmp_seq={number} " not in said}

    with pair.link("client").set(up={"loss": "30%", "seed": 7}):
        first = lost()
        assert 0 < len(first) < 30
        assert lost() == first


# ---- behind the agent's back


@contextmanager
def relay_of(lab: Lab) -> Iterator[socket.socket]:
    """The agent's own socket to its relay, taken by root: whoever has it can change cables without the agent's knowing."""
    container = f"{lab.name}-{lab.topology.agent}-1"
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
    )
    pid = int(shown.stdout)
    libc, process = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    found: list[socket.socket] = []
    try:
        for entry in sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda path: int(path.name)):
            if str(entry.readlink()).startswith("socket:"):
                fd = libc.syscall(_PIDFD_GETFD, process, int(entry.name), 0)
                assert fd >= 0, os.strerror(ctypes.get_errno())
                found.append(socket.socket(fileno=fd))
        # The door's was opened first, the relay's next, those of captures later.
        yield [sock for sock in found if (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)][1]
    finally:
        for sock in found:
            sock.close()
        os.close(process)


def hide(lab: Lab, attachment: str, settings: dict[str, Any]) -> None:
    name = next(
        line["attachment"] for line in lab.links() if line["attachment"] == attachment and line["cable"] == "relay"
    )
    number = [str(at) for at in lab.topology.attachments()].index(name)
    with relay_of(lab) as relay:  # no time-out: that would be one of the agent's own descriptor, too
        relay.send(json.dumps({"op": "counters"}).encode())
        device = next(port for port in json.loads(relay.recv(1 << 20)) if port.endswith(f"x{number:x}"))
        relay.send(json.dumps({"op": "set", "links": {device: settings}}).encode())
        assert json.loads(relay.recv(1 << 20)) == {}


@pytest.mark.root
def test_thirty_hidden_milliseconds_make_a_run_inconclusive(
    engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(lab: Lab, record: Recorder) -> None:
        if lab.agent.ask("status")["links"] != "relay":
            pytest.skip("the way behind the agent's back is the relay's; netem's is tc, by hand")
        record.step("look")
        address = str(lab.topology.host("server").address)
        lab.exec("client", "curl", "-s", "-o", "/dev/null", f"http://{address}/")
        if hidden:
            hide(lab, ACCESS, {"up": {"delay": "60ms"}, "down": {"delay": "20ms"}})

    def check(found: Evidence) -> Verdict:
        seen = len(found.capture.connections(point="host:client"))
        return Verdict(Outcome.PASSED, "as predicted", (Finding("connections", "1", str(seen), Outcome.PASSED),))

    monkeypatch.setattr("appbed.places.topology_file", lambda name: TOPOLOGIES / f"{name}.yaml")
    looking = Scenario("looks at a page", "pair", lambda conditions: {}, act, check, capture=("all",))
    hidden, verdicts = False, []
    for hidden in (False, True):  # noqa: B007
        (ran,) = runner.run({"one": looking}, engine, tmp_path, seed=1, links="auto", say=lambda text: None)
        verdicts.append(ran.verdict)
        kept = Evidence(ran.folder).conditions
        assert {moment: len(kept["measured"][moment]["links"]) for moment in ("before", "after")} == {
            "before": 12,
            "after": 12,
        }
    sound, spoilt = verdicts
    assert sound.outcome is Outcome.PASSED, sound.because
    assert spoilt.outcome is Outcome.INCONCLUSIVE
    assert spoilt.because.startswith(
        f"{ACCESS} up was not as set after the run: delay 30.00 ms (± 1.50 ms), measured 6"
    )
