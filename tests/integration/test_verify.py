"""Links of real containers measured; and what is changed behind the agent's back is noticed by a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed import runner, verify
from appbed.engine.docker import DockerEngine
from appbed.evidence import Evidence, Recorder
from appbed.lab import Lab
from appbed.scenario import Scenario
from appbed.verdict import Finding, Outcome, Verdict

from .behind import hide, only_by_relay
from .conftest import TOPOLOGIES

pytestmark = pytest.mark.docker
ACCESS = "gateway@access"


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


@pytest.mark.root
def test_thirty_hidden_milliseconds_make_a_run_inconclusive(
    engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(lab: Lab, record: Recorder) -> None:
        only_by_relay(lab)
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
