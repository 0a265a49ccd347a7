"""What holds for every command: it has its place in the help, and says what it says as JSON too."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.cli.app import PANELS
from appbed.engine import Completed
from appbed.engine.fake import FakeEngine
from command_line import Appbed, get_command
from test_cli_packets import capture

# A server's log, a shell's own words, and a file that another program reads.
NO_TABLE = {"schema", "swarm"}


def commands() -> dict[str, set[str]]:
    """Every command with its options."""
    from appbed.cli import app

    found: dict[str, set[str]] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        for below, each in (inner or {"": command}).items():
            found[f"{name} {below}".strip()] = {option for parameter in each.params for option in parameter.opts}
    return found


def test_every_command_says_what_it_says_as_json_too() -> None:
    assert {name for name, options in commands().items() if "--json" not in options} == NO_TABLE


def test_the_help_groups_commands_by_what_they_are_for(appbed: Appbed) -> None:
    lines = appbed("--help").out.splitlines()
    groups = [line.rstrip(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert groups == ["Options", *PANELS]
    named = {line.split()[0]: number for number, line in enumerate(lines) if line.startswith("  ") and line.strip()}
    assert {name.partition(" ")[0] for name in commands()} <= set(named)
    assert named["up"] < lines.index("Scenarios:") < named["run"] < lines.index("Your own lab:") < named["init"]


def test_taking_down_as_json(appbed: Appbed, up: FakeEngine) -> None:
    assert appbed("down", "--json").json == [{"name": "small", "removed": 6}]
    assert appbed("down", "--all", "--json").json == []


def test_a_command_inside_a_host_as_json(appbed: Appbed, up: FakeEngine) -> None:
    up.on_exec = lambda host, argv, stdin: Completed(22, f"{host}\n", "no\n")
    done = appbed("exec", "--json", "client", "--", "curl", "--json")
    assert (done.status, done.json) == (22, {"status": 22, "stdout": "client\n", "stderr": "no\n"})


def test_a_log_as_json(appbed: Appbed, up: FakeEngine) -> None:
    up.log["server"] = "one\ntwo\n"
    assert appbed("logs", "server", "--json").json == {"host": "server", "lines": ["one", "two"]}


def test_a_capture_that_begins_as_json(appbed: Appbed, up: FakeEngine) -> None:
    begun = appbed("capture", "start", "client", "campus", "--label", "mine", "--json").json
    assert begun == {"capture": "mine", "points": ["client", "campus"]}


def test_a_ladder_as_json(appbed: Appbed, tmp_path: Path) -> None:
    capture(tmp_path / "c.pcapng", range(3), dropped=5)
    drawn = appbed("ladder", "c.pcapng", "--json").json
    assert (drawn["arrows"], drawn["left_out"]) == ([], 0)
    assert any("lost 5 packets" in note for note in drawn["notes"])
    both = appbed("ladder", "c.pcapng", "--json", "--html", "c.html")
    assert both.json == drawn
    assert (tmp_path / "c.html").read_text().startswith("<!")


@pytest.mark.parametrize("words", [["down"], ["exec", "x", "--", "y"], ["logs", "x"], ["capture", "start", "x"]])
def test_what_is_wrong_is_said_as_ever(words: list[str], appbed: Appbed) -> None:
    done = appbed(
        words[0], *(words[1:2] if words[0] == "capture" else []), "--json", *words[1 + (words[0] == "capture") :]
    )
    assert (done.status, done.out) == (2, "")
    assert done.complaint.startswith("0 instances are up: none")
