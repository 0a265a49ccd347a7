"""tc spoken to as one process, in a network namespace of its own; with tbf, which every kernel has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
import wires

from appbed.agent.tc import Tc, netems

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace; run pytest as root"),
]
TBF = "qdisc replace dev lo root handle ab: tbf rate {}mbit burst 10kb latency 50ms"


@pytest.fixture
def tc() -> Iterator[Tc]:
    with wires.apart():
        spoken_to = Tc(os.environ)
        yield spoken_to
        spoken_to.close()


def rates(qdiscs: list[dict[str, object]]) -> list[object]:
    return [each["options"]["rate"] for each in qdiscs if each["kind"] == "tbf"]  # type: ignore[index]


def test_each_time_it_answers_with_what_is_there_now(tc: Tc) -> None:
    assert rates(tc.say(TBF.format(8))) == [1_000_000]
    assert rates(tc.say(TBF.format(16))) == [2_000_000]
    assert rates(tc.say()) == [2_000_000]


def test_asked_for_devices_it_shows_those_alone_by_name(tc: Tc) -> None:
    subprocess.run(["ip", "tuntap", "add", "mode", "tap", "name", "other"], check=True)
    lines = (TBF.format(8), TBF.format(16).replace("dev lo", "dev other"))
    assert rates(tc.say(*lines, devices=["other"])) == [2_000_000]
    shown = tc.say(devices=["other", "lo"])
    assert [(each["dev"], each["options"]["rate"]) for each in shown] == [("other", 2_000_000), ("lo", 1_000_000)]
    assert rates(tc.say(devices=["lo"])) == [1_000_000]
    assert rates(tc.say()) == [1_000_000, 2_000_000]


def test_a_device_that_is_asked_for_and_not_there_is_named(tc: Tc) -> None:
    for devices in (["nosuch", "lo"], ["lo", "nosuch"], ["nosuch"]):
        with pytest.raises(OSError, match=r"^tc qdisc show dev nosuch: Cannot find device \"nosuch\"$"):
            tc.say(TBF.format(8), devices=devices)
    assert rates(tc.say()) == [1_000_000]


def test_one_process_serves_many_calls(tc: Tc) -> None:
    tc.say()
    process = tc._process
    tc.say(TBF.format(8))
    assert tc._process is process


def test_a_line_that_fails_is_named_and_the_next_call_answers(tc: Tc) -> None:
    tc.say(TBF.format(8))
    with pytest.raises(OSError, match=r"^tc qdisc del dev nosuch root: Cannot find device \"nosuch\"$"):
        tc.say(TBF.format(16), "qdisc del dev nosuch root", "qdisc del dev norsuch root")
    assert rates(tc.say()) == [2_000_000]


def test_an_interface_that_went_is_named_as_one_that_never_was_and_is_found_when_it_is_back(tc: Tc) -> None:
    def tap(change: str) -> None:
        subprocess.run(["ip", "tuntap", change, "mode", "tap", "name", "brief"], check=True)

    line = TBF.format(8).replace("dev lo", "dev brief")
    tap("add")
    tc.say(line)
    tap("del")
    with pytest.raises(OSError, match=rf"^tc {line}: Cannot find device \"brief\"$"):
        tc.say(line)
    tap("add")
    assert rates(tc.say(line)) == [1_000_000]


def test_more_lines_than_a_pipe_holds(tc: Tc) -> None:
    lines = [TBF.format(1 + number % 8) for number in range(4000)]
    assert sum(map(len, lines)) > 1 << 17
    assert rates(tc.say(*lines)) == [8_000_000 / 8]


def test_a_tc_that_was_killed_is_told_and_started_again(tc: Tc) -> None:
    tc.say()
    assert tc._process
    tc._process.kill()
    with pytest.raises(OSError, match=r"tc ended|Broken pipe"):
        tc.say()
    assert rates(tc.say(TBF.format(8))) == [1_000_000]


def test_closing_leaves_no_process(tc: Tc) -> None:
    tc.say()
    process = tc._process
    tc.close()
    assert process
    assert process.poll() is not None


def test_only_netems_by_device_and_handle() -> None:
    first, second = ({"kind": "netem", "dev": "v", "handle": handle} for handle in ("ab:", "ac:"))
    assert netems([first, {"kind": "noqueue", "dev": "lo", "handle": "0:"}, second]) == {
        "v": {"ab:": first, "ac:": second}
    }
