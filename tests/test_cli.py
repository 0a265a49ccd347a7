"""Commands, their output and their exit codes. What is said about bad input is in test_bad_input.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import appbed.engine.doctor
from appbed import places, process
from appbed.engine import Completed, Container, pages
from appbed.engine.checks import Check
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError
from appbed.lab import Lab
from command_line import Appbed
from small_lab import write_small

ACCESS = "gateway@access"


# ---- up, down, ps


def test_up_says_what_is_up_and_tells_its_progress_elsewhere(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    done = appbed("up", str(small))
    assert (done.status, done.out) == (0, "small is up: 3 hosts, links by fake\n")
    progress = done.err.splitlines()
    assert "creating on 10.77.0.0/16" in progress[0]
    assert "started agent" in progress[1]
    assert engine.open_streams == 0


def test_up_as_json(appbed: Appbed, small: Path) -> None:
    done = appbed("up", str(small), "--name", "mine", "--json")
    assert done.json == {
        "name": "mine",
        "topology": "small",
        "hosts": ["client", "gateway", "server"],
        "links": "fake",
        "pages": {},
    }


PAGES = {"www.shop.com": "http://www.shop.com.localhost:32768/", "mail.edu": "http://mail.edu.localhost:32769/"}


@pytest.fixture
def with_pages(engine: FakeEngine, tmp_path: Path) -> Path:
    """The client is a window with two pages, and one whose port is not published."""
    engine.published["client"] = {8081: 32768, 8082: 32769, 80: 32770}
    window = "image: lab/client\n    environment: {PAGES: 8081=www.shop.com 8082=mail.edu 8083=www.hidden.com}"
    return write_small(tmp_path, ("image: lab/client", window))


def test_up_and_ps_say_where_a_browser_finds_the_pages(appbed: Appbed, with_pages: Path) -> None:
    for done in (appbed("up", str(with_pages)), appbed("ps")):
        assert [line.split() for line in done.out.splitlines() if "http" in line] == [[*page] for page in PAGES.items()]
    assert appbed("ps", "--json").json[0]["pages"] == PAGES


def test_a_setting_that_is_called_pages_in_an_image_of_somebody_else_is_no_page() -> None:
    assert pages([Container("x", "x-x-1", "running", "", "", {"PAGES": "10 a=b =c"}, {10: 1, 80: 2})]) == {}


def test_up_publishes_at_any_free_ports_unless_told_otherwise(
    appbed: Appbed, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = 'image: lab/client\n    environment: {PORTS: "${APPBED_WINDOW-8081}"}'
    path = write_small(tmp_path, ("image: lab/client", window))
    for told, published in ((None, ""), ("9081", "9081")):
        if told:
            monkeypatch.setenv("APPBED_WINDOW", told)
        assert appbed("up", str(path), "--name", f"x{told}".lower()).status == 0
        (client,) = [each for each in engine.containers(f"x{told}".lower()) if each.service == "client"]
        assert client.environment["PORTS"] == published


def test_what_up_brought_up_outlives_the_command(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    appbed("up", str(small))
    assert engine.instances()[0].lives_on


def test_up_takes_files_laid_over_back_end_and_net(
    appbed: Appbed, engine: FakeEngine, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "over.yaml").write_text("services: {client: {image: other}}", encoding="utf-8")
    monkeypatch.setenv("APPBED_NET", "10.200")
    assert appbed("up", "small.yaml", "-f", "over.yaml", "--links", "relay").status == 0
    (instance,) = engine.instances()
    assert instance.net == "10.200"
    assert Lab.attach(engine).topology.host("client").image == "other"


def test_up_waits_as_long_as_it_is_told(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    engine.unready = {"server": "port 80"}
    done = appbed("up", str(small), "--timeout", "7")
    assert done.status == 3
    assert done.complaint.startswith("small: server is not ready after 7 s: waited for port 80")
    assert engine.instances() == []


def test_down_takes_the_only_one_one_by_name_or_all(appbed: Appbed, engine: FakeEngine, small: Path) -> None:
    for name in ("one", "two", "three"):
        Lab.up(small, engine, name=name)
    assert appbed("down").status == 2
    assert appbed("down", "-n", "two").out == "two is down: 6 containers and networks removed\n"
    assert [one.name for one in engine.instances()] == ["one", "three"]
    assert appbed("down", "--all").status == 0
    assert engine.instances() == []
    assert appbed("down", "--all").status == 0
    assert appbed("down").complaint == "0 instances are up: none; bring one up, for example `appbed up web`"


def test_ps_shows_instances_and_hosts(appbed: Appbed, up: FakeEngine) -> None:
    shown = appbed("ps").out
    assert "small (small, 10.77.0.0/16)" in shown
    for host in ("agent", "client", "gateway", "server"):
        assert any(line.split()[:2] == [host, "running"] for line in shown.splitlines())
    (instance,) = appbed("ps", "--json").json
    assert instance["name"] == "small"
    assert instance["net"] == "10.77"
    assert [each["service"] for each in instance["containers"]] == ["agent", "client", "gateway", "server"]


def test_names_between_colons_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """`host:school:eth0` is a point of a capture; to the library that prints, :school: is a picture."""
    from appbed.cli.show import out

    out.print("host:school:eth0")
    assert capsys.readouterr().out == "host:school:eth0\n"


def test_ps_of_nothing(appbed: Appbed) -> None:
    assert appbed("ps").out == "nothing is up\n"
    assert appbed("ps", "--json").json == []


def test_list_shows_what_can_be_brought_up(appbed: Appbed, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "topologies", lambda: {"small": small})
    assert appbed("list", "--json").json == [
        {
            "topology": "small",
            "about": "A client and a server with a router between them.",
            "hosts": ["client", "gateway", "server"],
            "networks": ["access", "campus"],
        }
    ]
    assert any(line.split()[:3] == ["small", "3", "2"] for line in appbed("list").out.splitlines())


# ---- exec, logs, gc


def test_exec_passes_everything_through(appbed: Appbed, up: FakeEngine) -> None:
    up.on_exec = lambda host, argv, stdin: Completed(22, f"{host}: {' '.join(argv)}\n", "curl: no\n")
    done = appbed("exec", "client", "--", "curl", "-s", "--debug", "--json", "-n", "x")
    assert (done.status, done.out, done.err) == (22, "client: curl -s --debug --json -n x\n", "curl: no\n")


def test_exec_passes_also_a_status_of_130_through(appbed: Appbed, up: FakeEngine) -> None:
    up.on_exec = lambda host, argv, stdin: Completed(130, "", "")
    done = appbed("exec", "client", "--", "sh", "-c", "kill -INT $$")
    assert (done.status, done.err) == (130, "")


def test_logs_all_or_the_last_lines(appbed: Appbed, up: FakeEngine) -> None:
    up.log["server"] = "one\ntwo [/red]\nthree\n"
    assert appbed("logs", "server").out == "one\ntwo [/red]\nthree\n"
    assert appbed("logs", "server", "--tail", "1").out == "three\n"


def test_gc_removes_what_nobody_owns_and_nothing_else(
    appbed: Appbed, engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lab.up(small, engine, name="kept")
    boot, space, pid, started = process.me().split(":")
    monkeypatch.setattr(process, "me", lambda: f"{boot}:{space}:{pid}:{int(started) - 1}")
    Lab.up(small, engine, name="left")
    why = "left (6 objects): the command that brought it up is gone"
    assert appbed("gc", "--dry-run").out == f"would remove {why}\n"
    (found,) = appbed("gc", "--dry-run", "--json").json
    assert (found["instance"], found["removed"]) == ("left", False)
    assert len(engine.instances()) == 2
    assert appbed("gc").out == f"removed {why}\n"
    assert [one.name for one in engine.instances()] == ["kept"]
    assert appbed("gc").out == "nothing to remove\n"
    assert appbed("gc", "--json").json == []


def test_gc_goes_on_with_the_others_when_one_will_not_go(
    appbed: Appbed, engine: FakeEngine, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot, space, pid, started = process.me().split(":")
    monkeypatch.setattr(process, "me", lambda: f"{boot}:{space}:{pid}:{int(started) - 1}")
    Lab.up(small, engine, name="first")
    Lab.up(small, engine, name="second")
    engine.fail("down", EngineError("first: first_core would not go"))
    done = appbed("gc")
    assert (done.status, done.out) == (3, "removed second (6 objects): the command that brought it up is gone\n")
    assert "first_core would not go" in done.err
    assert [one.name for one in engine.instances()] == ["first"]
    Lab.up(small, engine, name="third")
    engine.fail("down", EngineError("first: first_core would not go"), nth=engine.calls.count("down") + 1)
    told = appbed("gc", "--json")
    assert told.status == 3
    assert [(each["instance"], each["removed"]) for each in told.json] == [("first", False), ("third", True)]


# ---- links and captures


def test_links_are_shown_all_of_a_host_or_one(appbed: Appbed, up: FakeEngine) -> None:
    def names(*arguments: str) -> list[str]:
        return [line["attachment"] for line in appbed("link", "show", *arguments, "--json").json]

    assert names() == ["client@campus", "gateway@campus", ACCESS, "server@access"]
    assert names("gateway") == ["gateway@campus", ACCESS]
    assert names(ACCESS) == [ACCESS]
    shown = appbed("link", "show", ACCESS).out
    assert "delay 30ms" in shown
    assert "delay 20ms" in shown
    assert up.open_streams == 0


def test_links_are_set_and_reset(appbed: Appbed, up: FakeEngine) -> None:
    (line,) = appbed("link", "set", ACCESS, "loss=1%", "up.delay=50ms", "down.delay=5ms", "queue=20", "--json").json
    assert line["set"] == {
        "up": {"delay": "50ms", "loss": "1%", "rate": "10mbit", "queue": "20 packets"},
        "down": {"delay": "5ms", "loss": "1%", "rate": "10mbit", "queue": "20 packets"},
    }
    (line,) = appbed("link", "reset", ACCESS, "--json").json
    assert line["set"] == line["declared"]
    appbed("link", "set", "client", "loss=1%")
    appbed("link", "set", "server", "loss=1%")
    lines = appbed("link", "reset", "--json").json
    assert len(lines) == 4
    assert all(line["set"] == line["declared"] for line in lines)


def test_a_capture_starts_and_stops(appbed: Appbed, up: FakeEngine, tmp_path: Path) -> None:
    up.captured, up.dropped = b"packets", 3
    started = appbed("capture", "start", "client", "campus", "--label", "mine")
    assert started.out == "capturing as 'mine'; `appbed capture stop FILE` ends it\n"
    stopped = appbed("capture", "stop", "c.pcapng", "--label", "mine", "--json")
    done = stopped.json
    assert (done["file"], done["files"]) == ("c.pcapng", ["c.pcapng"])
    assert done["dropped"] == 3
    assert list(done["points"]) == ["client", "campus"]
    assert (tmp_path / "c.pcapng").read_bytes() == b"packets"
    appbed("capture", "start", "all")
    shown = appbed("capture", "stop", "d.pcapng")
    assert any(line.split() == ["client", "0", "3", "0"] for line in shown.out.splitlines())
    for each in (stopped, shown):
        assert each.status == 4
        assert each.complaint == "3 frames were not captured: the kernel had no room for them"


def test_a_capture_that_ended_by_itself_is_fetched_and_said(appbed: Appbed, up: FakeEngine, tmp_path: Path) -> None:
    up.captured, up.capture_problem = b"packets", "capture 'capture': No space left on device"
    appbed("capture", "start", "client")
    done = appbed("capture", "stop", "c.pcapng")
    assert done.status == 3
    assert done.complaint == up.capture_problem
    assert (tmp_path / "c.pcapng").read_bytes() == b"packets"


def test_a_capture_without_losses_says_nothing(appbed: Appbed, up: FakeEngine, tmp_path: Path) -> None:
    appbed("capture", "start", "client", "--filesize", "10MB", "--files", "3")
    assert (up.capture_options["filesize"], up.capture_options["files"]) == ("10MB", 3)
    done = appbed("capture", "stop", "c.pcapng")
    assert (done.status, done.err) == (0, "")


# ---- the machine


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("warn", 0), ("fail", 3)])
def test_doctor_fails_when_a_check_does(
    appbed: Appbed, monkeypatch: pytest.MonkeyPatch, state: Any, status: int
) -> None:
    checks = [Check("engine", "ok", "28.1"), Check("disk", state, "2 GB free", "make room")]
    monkeypatch.setattr(appbed_doctor, "doctor", lambda root, find_leftovers: checks)
    done = appbed("doctor")
    assert done.status == status
    assert "2 GB free" in done.out
    shown = appbed("doctor", "--json")
    assert shown.status == status
    assert shown.json[1] == {"name": "disk", "state": state, "found": "2 GB free", "fix": "make room"}


appbed_doctor = appbed.engine.doctor
