"""What Tab offers: names that are there, nothing where there is none, and never a word of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from appbed.cli import offers
from appbed.engine.fake import FakeEngine
from appbed.errors import EngineError
from appbed.lab import Lab
from command_line import Appbed

BIN = Path(sys.executable).parent


def offered(offer: offers.Offer, begun: str = "", **params: Any) -> list[str]:
    return offer(cast(typer.Context, SimpleNamespace(params=params)), begun)


def test_names_that_begin_so_are_offered(appbed: Appbed, up: FakeEngine) -> None:
    assert offered(offers.topologies, "dns") == ["dns", "dns-central", "dns-recursive"]
    assert offered(offers.instances) == ["small"]
    assert offered(offers.hosts) == ["agent", "client", "gateway", "server"]
    assert offered(offers.links, "gateway@") == ["gateway@access", "gateway@campus"]
    assert offered(offers.points, "c") == ["campus", "client", "client@campus"]


def test_of_several_instances_the_one_that_is_named_counts(appbed: Appbed, up: FakeEngine, small: Path) -> None:
    Lab.up(small, up, name="other")
    assert offered(offers.instances) == ["other", "small"]
    assert offered(offers.hosts) == []
    assert offered(offers.hosts, "s", name="other") == ["server"]
    assert offered(offers.hosts, name="nosuch") == []


@pytest.mark.thorough  # imports every scenario
def test_scenarios_groups_and_claims_are_offered() -> None:
    assert offered(offers.scenarios, "tou") == ["tour"]
    assert {"web", "web.idle", "all", "W4"} <= set(offered(offers.scenarios))


@pytest.mark.parametrize("offer", [offers.instances, offers.hosts, offers.links, offers.points])
def test_where_no_engine_answers_nothing_is_offered(
    offer: offers.Offer, appbed: Appbed, up: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    up.calls.clear()
    up.fail("instances", EngineError("no engine"))
    assert offered(offer) == []
    assert capsys.readouterr() == ("", "")


def pressed(*words: str, **environment: str) -> list[str]:
    """What bash is offered behind `words`, by the script that appbed gives it."""
    script = (
        'eval "$(_APPBED_COMPLETE=source_bash appbed)"\n'
        'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n'
        '_appbed_completion appbed\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    around = {**os.environ, **environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-s", "--", "appbed", *words], input=script, env=around, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.thorough  # processes
def test_a_shell_gets_them_when_tab_is_pressed() -> None:
    assert pressed("up", "dns-") == ["dns-central", "dns-recursive"]
    assert pressed("fau") == ["fault"]
    assert pressed("link", "s") == ["show", "set", "schedule"]
    assert pressed("run", "web.id") == ["web.idle"]
    assert pressed("down", "--name", "", DOCKER_HOST="unix:///nowhere/docker.sock") == []


@pytest.mark.thorough  # a process
def test_a_shell_is_shown_how_to_ask() -> None:
    done = subprocess.run(
        [BIN / "appbed", "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "complete -o default -F _appbed_completion appbed" in done.stdout
