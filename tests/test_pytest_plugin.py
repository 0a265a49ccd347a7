"""The pytest plugin on the engine in memory: labs come up when a test wants them, are as new for each, and go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appbed import process, pytest_plugin, scenario
from appbed.engine import Completed, docker
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError, StartError
from appbed.lab import Lab
from small_lab import write_small

pytestmark = pytest.mark.thorough  # sessions of pytest in a session

Session = Callable[..., pytest.RunResult]
CAPTURED = Path(__file__).parent / "analysis/captures/mix.pcapng"
ACCESS = "gateway@access"
MARK = 'import pytest\npytestmark = pytest.mark.topology("small.yaml")\n'


@pytest.fixture
def session(pytester: pytest.Pytester, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Runs tests in a folder of their own, beside them the small lab."""
    monkeypatch.setattr(docker, "DockerEngine", lambda: engine)
    write_small(pytester.path)
    engine.captured = CAPTURED.read_bytes()

    def run(tests: str, *options: str, mark: str = MARK) -> pytest.RunResult:
        pytester.makepyfile(test_it=mark + tests)
        # A Ctrl-C inside is one of that session alone.
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rA", *options, no_reraise_ctrlc=True)

    return run


TWO = "def test_one(testbed): pass\ndef test_two(testbed): pass\n"


def test_a_session_has_one_lab_and_takes_it_down(session: Session, engine: FakeEngine) -> None:
    session(TWO).assert_outcomes(passed=2)
    assert engine.calls.count("create") == 1
    assert engine.instances() == []
    assert engine.open_streams == 0


@pytest.mark.parametrize(("scope", "labs"), [("function", 2), ("module", 1)])
def test_a_lab_lives_as_long_as_its_scope(scope: str, labs: int, session: Session, engine: FakeEngine) -> None:
    session(TWO, f"--testbed-scope={scope}").assert_outcomes(passed=2)
    assert engine.calls.count("create") == labs
    assert engine.instances() == []


def test_without_a_test_that_wants_one_no_lab_comes_up(session: Session, engine: FakeEngine) -> None:
    session("def test_one(): pass\n").assert_outcomes(passed=1)
    assert engine.calls == []


def test_hosts_run_commands_and_have_addresses(session: Session, engine: FakeEngine) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(0, f"{host} {' '.join(argv)} {stdin}\n", "")
    result = session(
        "def test_one(testbed):\n"
        "    host = testbed.host('client')\n"
        "    assert host.run('echo', 'a', stdin='b').stdout == 'client echo a b\\n'\n"
        "    assert host.address.endswith('.1.10')\n"
        "    assert testbed.name.startswith('test-small-')\n"
    )
    result.assert_outcomes(passed=1)


def test_a_command_that_fails_fails_the_test_with_what_it_said(session: Session, engine: FakeEngine) -> None:
    engine.on_exec = lambda host, argv, stdin: Completed(22 * (argv[0] == "curl"), "", "404 Not Found\n")
    result = session("def test_one(testbed): testbed.host('client').run('curl', 'http://x/')\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*client: curl http://x/: exit status 22: 404 Not Found*"])


# ---- links, faults and captures


def test_what_a_test_changed_is_as_declared_for_the_next_one(session: Session) -> None:
    result = session(
        "def test_one(testbed):\n"
        f"    testbed.link('{ACCESS}').change(delay='90ms')\n"
        "    testbed.fault('cut', 'client')\n"
        "    testbed.fault('stop', 'server')\n"
        "def test_two(testbed):\n"
        f"    shown = testbed.link('{ACCESS}').show()\n"
        "    assert shown['set'] == shown['declared']\n"
        "    assert testbed.lab.faults.show() == []\n"
    )
    result.assert_outcomes(passed=2)


def test_a_link_is_changed_for_a_block(session: Session) -> None:
    result = session(
        "def test_one(testbed):\n"
        f"    link = testbed.link('{ACCESS}')\n"
        "    with link.set(delay='90ms'):\n"
        "        assert link.show()['set'] != link.show()['declared']\n"
        "    assert link.show()['set'] == link.show()['declared']\n"
    )
    result.assert_outcomes(passed=1)


def test_packets_are_records_after_the_block_and_a_clear_word_inside_it(session: Session) -> None:
    result = session(
        "def test_one(testbed):\n"
        "    with testbed.capture('client') as packets:\n"
        "        with pytest.raises(Exception, match='packets.*the capture is still running; ask after'):\n"
        "            packets.dns()\n"
        "    assert len(packets.dns()) > 0\n"
        "    assert packets.packets()[0].payload is not None\n"
    )
    result.assert_outcomes(passed=1)


def test_frames_that_were_not_captured_make_it_inconclusive(session: Session, engine: FakeEngine) -> None:
    engine.captured = (CAPTURED.parent / "loss.pcapng").read_bytes()
    cut = len(engine.captured) // 2
    engine.captured = engine.captured[:cut]
    result = session(
        "def test_one(testbed):\n    with testbed.capture() as packets: pass\n    assert False, 'never here'\n"
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*INCONCLUSIVE: *"])


def test_a_fault_that_is_none_is_told_with_those_there_are(session: Session) -> None:
    result = session("def test_one(testbed): testbed.fault('explode', 'client')\n")
    result.stdout.fnmatch_lines(["*fault 'explode' is unknown; known: pause, stop, kill, cut, partition, flap*"])


def test_a_scenario_of_another_topology_is_refused(session: Session) -> None:
    scenario.discover()  # a module that is first imported inside would be forgotten after it
    result = session("def test_one(testbed): testbed.scenario('web.idle')\n")
    result.stdout.fnmatch_lines(["*scenario 'web.idle' runs on another topology than small*"])


# ---- verdicts


HIDDEN = (
    "from appbed import impairment\n"
    "def {name}(testbed):\n"
    "    agent = testbed.lab.engine.agent(testbed.name)\n"
    f"    agent.hidden['{ACCESS}'] = impairment.change(agent.links['{ACCESS}'], {{{{'delay': '80ms'}}}}, 'hidden')\n"
    "    {then}\n"
)


@pytest.mark.parametrize("then", ["pass", "assert False, 'the code under test'"])
def test_a_link_that_is_not_as_set_is_an_error_whatever_the_test_found(then: str, session: Session) -> None:
    result = session(HIDDEN.format(name="test_one", then=then))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*INCONCLUSIVE: {ACCESS} * was not as set after the run: delay *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_lab_whose_links_were_not_as_set_is_not_used_again(session: Session, engine: FakeEngine) -> None:
    result = session(HIDDEN.format(name="test_one", then="pass") + "def test_two(testbed): pass\n")
    result.assert_outcomes(passed=1, errors=1)
    assert engine.calls.count("create") == 2
    assert engine.instances() == []


def test_links_need_not_be_measured(session: Session) -> None:
    session(HIDDEN.format(name="test_one", then="pass"), "--testbed-verify=failed").assert_outcomes(passed=1)
    failing = HIDDEN.format(name="test_one", then="assert False")
    session(failing, "--testbed-verify=failed").assert_outcomes(errors=1)
    session(failing, "--testbed-verify=never").assert_outcomes(failed=1)


def test_a_failed_test_leaves_packets_ladder_logs_and_links(
    session: Session, engine: FakeEngine, pytester: pytest.Pytester
) -> None:
    engine.log["server"] = "the server's last words\n"
    result = session("def test_one(testbed): assert False, 'broken'\n", "--testbed-bundles=left")
    result.assert_outcomes(failed=1)
    (folder,) = (pytester.path / "left").iterdir()
    assert folder.name.endswith("test_it.py-test_one")
    result.stdout.fnmatch_lines([f"*left/{folder.name}*"])
    assert (folder / "capture.pcapng").read_bytes() == engine.captured
    assert "broken" in (folder / "failure.txt").read_text()
    assert "last words" in (folder / "logs/server.log").read_text()
    assert "──" in (folder / "ladder.txt").read_text() or "->" in (folder / "ladder.txt").read_text()
    conditions = json.loads((folder / "conditions.json").read_text())
    assert ACCESS in {line["attachment"] for line in conditions["links"]}


def test_a_test_that_passes_leaves_nothing(session: Session, pytester: pytest.Pytester) -> None:
    session(TWO)
    assert not (pytester.path / "testbed-failures").exists()


# ---- bad input and bad weather


def test_a_topology_that_is_none_fails_its_tests_and_no_others(session: Session, engine: FakeEngine) -> None:
    result = session(
        '@pytest.mark.topology("wed")\ndef test_one(testbed): pass\n'
        "def test_two(testbed): pass\n"
        '@pytest.mark.topology("no.yaml")\ndef test_three(testbed): pass\n'
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*no topology 'wed'; did you mean web?*known:*", "*no.yaml: no such file*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert engine.instances() == []


def test_a_test_without_a_topology_is_told_how_to_name_one(session: Session) -> None:
    result = session("import pytest\ndef test_one(testbed): pass\n", mark="")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(['*test_one: which topology?; mark it: @pytest.mark.topology("web")*'])


def test_a_host_that_a_test_killed_runs_for_the_next_one(session: Session, engine: FakeEngine) -> None:
    result = session(
        "def test_one(testbed): testbed.lab.engine.act(testbed.name, 'server', 'kill')\n"
        "def test_two(testbed):\n"
        "    assert all(c.state == 'running' for c in testbed.lab.engine.containers(testbed.name))\n"
    )
    result.assert_outcomes(passed=2)
    assert engine.calls.count("create") == 1


def test_a_server_that_does_not_forget_costs_the_lab_and_the_next_test_has_a_new_one(
    session: Session, engine: FakeEngine
) -> None:
    known = iter([Completed(0, "visitor 7\n", "")])

    def on_exec(host: str, argv: tuple[str, ...], stdin: str) -> Completed:
        return next(known, Completed(0, "", "")) if argv == ("/appbed/remembers",) else Completed(0, "", "")

    engine.on_exec = on_exec
    result = session(TWO + "def test_three(testbed): pass\n")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*INCONCLUSIVE: * still knew after its reset: visitor 7*"])
    assert engine.calls.count("create") == 2
    assert engine.instances() == []


def test_a_lab_that_does_not_come_up_is_one_line(session: Session, engine: FakeEngine) -> None:
    engine.fail("start", StartError("server is not ready", remedy="look"))
    result = session(TWO)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*server is not ready; look*"])
    assert engine.instances() == []


def test_ctrl_c_in_a_test_leaves_nothing(session: Session, engine: FakeEngine) -> None:
    result = session("def test_one(testbed): raise KeyboardInterrupt\n")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert engine.instances() == []


def test_labs_are_kept_when_asked_and_named(session: Session, engine: FakeEngine) -> None:
    result = session(TWO, "--testbed-keep")
    (kept,) = engine.instances()
    assert kept.lives_on
    result.stdout.fnmatch_lines([f"*{kept.name} is still up*appbed down --name {kept.name}*"])
    assert engine.open_streams == 0


def test_a_worker_that_was_killed_leaves_its_labs_to_whoever_started_it(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of its own workers and no others; where there is no engine there was no lab."""
    monkeypatch.setattr(docker, "DockerEngine", lambda: engine)
    gone = process.me().rpartition(":")[0] + ":1"
    with monkeypatch.context() as before:
        before.setattr(process, "me", lambda: gone)
        for name in (f"test-small-{os.getpid()}-gw0-0", "test-small-1-gw0-0", "mine"):
            Lab.up(write_small(tmp_path), engine, name=name).close()
    pytest_plugin.pytest_testnodedown(None, None)
    assert len(engine.instances()) == 3
    pytest_plugin.pytest_testnodedown(None, "Not properly terminated")
    assert [each.name for each in engine.instances()] == ["mine", "test-small-1-gw0-0"]
    engine.calls.clear()
    engine.fail("instances", EngineError("no engine"))
    pytest_plugin.pytest_testnodedown(None, "Not properly terminated")
