"""Files, names and text from outside that could do harm, by intent or not: refused, or shown as text, each in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appbed import bringup, lease, loader, topology
from appbed.cli import show
from appbed.engine import Completed, Instance
from appbed.engine.fake import FakeEngine
from appbed.errors import AppbedError, CommandError, InputError, TopologyError
from appbed.lab import Lab
from appbed.loader import Document
from command_line import Appbed
from loading import Write
from small_lab import write_small

LAUGHS = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)),
    ]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("services: &a {x: *a}", "an alias (*name) is inside what it stands for", id="an alias of itself"),
        pytest.param(f"services:\n  x: 1\n{LAUGHS}", "more than 1000000 values", id="aliases of aliases of aliases"),
        pytest.param("services: {a: " + "{a: " * 90 + "1" + "}" * 90 + "}", "more than 64 levels deep", id="ninety levels"),
        pytest.param("services: {a: !!timestamp foo}", "could not determine a constructor", id="a date that is none"),
        pytest.param("services: {a: !!binary aGk=}", "could not determine a constructor", id="bytes"),
        pytest.param("services: {a: !!set {x}}", "could not determine a constructor", id="a set"),
        pytest.param("services: {a: !!python/object/apply:os.system [id]}", "could not determine a constructor", id="a call"),
        pytest.param("services: {a: !!bool maybe}", "is not YAML: 'maybe'", id="a truth value that is none"),
        pytest.param('include: ["a\\0.yaml"]', "cannot be read: embedded null byte", id="a path with a NUL"),
        pytest.param('services: {a: {extends: {file: "\\0", service: b}}}', "embedded null byte", id="a base with a NUL"),
        pytest.param("include: [pipe.yaml]", "pipe.yaml: is no file; write it into one", id="a pipe that nobody writes to"),
        pytest.param("include: [loop.yaml]", "loop.yaml: cannot be read: Too many levels of symbolic links", id="a loop of links"),
        pytest.param(f"include: [{'x' * 300}.yaml]", "cannot be read: File name too long", id="a name of 300 characters"),
    ],
)  # fmt: skip
def test_a_file_that_would_do_harm_is_refused_in_one_line(write: Write, tmp_path: Path, text: str, said: str) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(TopologyError) as caught:
        loader.load(write(text), {})
    told = str(caught.value)
    assert told.startswith(str(tmp_path))
    assert said in told
    assert told.isprintable()


def test_names_in_a_list_of_networks_may_be_no_names(write: Write) -> None:
    services = "{a: {extends: b, networks: {x: {}}}, b: {networks: [[x], {y: 1}]}}"
    assert "['x']" in loader.load(write(f"services: {services}"), {}).data["services"]["a"]["networks"]


@pytest.mark.parametrize(
    ("subnet", "choices"), [("10.77.1.1/32", "10.77.1.1 to 10.77.1.1"), ("10.77.1.0/31", "10.77.1.0 to 10.77.1.1")]
)
def test_an_address_outside_the_smallest_subnets_is_told_what_is_inside(
    tmp_path: Path, quiet: None, subnet: str, choices: str
) -> None:
    data = loader.load(write_small(tmp_path), {}).data
    data["networks"]["campus"]["ipam"]["config"] = [{"subnet": subnet}]
    with pytest.raises(TopologyError, match=f"is outside .*; choose one from {choices}"):
        topology.resolve(Document(Path("lab.yaml"), data))


@pytest.mark.parametrize("name", ["../up", "a b", "a@b", "-a", "", "x" * 64, "a\nb", "\x1b[2J", "ä"])
@pytest.mark.parametrize("kind", ["networks", "services"])
def test_names_of_hosts_and_networks_are_path_safe(name: str, kind: str, small: Path) -> None:
    data = loader.load(small, {}).data
    data[kind][name] = data[kind].pop("campus" if kind == "networks" else "client")
    with pytest.raises(TopologyError) as caught:
        topology.resolve(Document(Path("lab.yaml"), data))
    assert str(caught.value).startswith("lab.yaml: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["../../etc", "a/b", "x" * 300, ".hidden", "a b", "-rf", "a\0b", "a\n", "É"])
def test_names_of_instances_are_path_safe(appbed: Appbed, engine: FakeEngine, small: Path, name: str) -> None:
    """Also one of 300 characters."""
    for command in (["up", str(small), f"--name={name}"], ["down", f"--name={name}"]):
        done = appbed(*command)
        assert done.status == 2
        assert len(done.complaint) < 250
        assert done.complaint.isprintable()
    assert "create" not in engine.calls


@pytest.mark.parametrize("name", ["10.77/../..", "10.77\n", "$(id)", "x" * 300])
def test_a_net_is_two_numbers(name: str) -> None:
    with pytest.raises(InputError) as caught:
        lease.checked(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["a" * 64, ".".join(["a" * 60] * 5), "a b", "ä.fr", "a\0b"])
def test_a_name_that_nobody_can_ask_for_is_refused_before_somebody_waits_for_it(small: Path, name: str) -> None:
    data = loader.load(small, {}).data
    data["services"]["server"]["x-role"]["ready"] = {"dns": name}
    with pytest.raises(TopologyError, match=r"services\.server\.x-role\.ready\.dns: .* is no domain name"):
        topology.resolve(Document(Path("lab.yaml"), data))


@pytest.mark.parametrize("data", [5, None, [], {"services": 5}, {"services": {}, "networks": []}])
def test_a_model_that_is_none_is_refused(data: Any) -> None:
    with pytest.raises(TopologyError, match=r"lab\.yaml: "):
        topology.resolve(Document(Path("lab.yaml"), data))


@pytest.mark.parametrize("cut", [lambda text: text[: len(text) // 2], lambda text: b""])
def test_half_a_topology_left_by_a_killed_command_is_read_from_its_files(
    engine: FakeEngine, small: Path, cut: Callable[[bytes], bytes]
) -> None:
    lab = Lab.up(small, engine)
    given = engine.files("small")
    given["agent", bringup.GIVEN] = cut(given["agent", bringup.GIVEN])
    (instance,) = engine.instances()
    assert bringup.shape(engine, instance).hosts == lab.topology.hosts


def test_an_instance_without_files_and_with_half_a_topology_is_an_error_in_words(
    engine: FakeEngine, small: Path
) -> None:
    Lab.up(small, engine)
    engine.files("small")["agent", bringup.GIVEN] = b"{"
    instance = Instance("small", (), "10.77", "", tuple(engine.containers("small")), (), ())
    with pytest.raises(AppbedError, match="no container of it is its agent"):
        bringup.shape(engine, instance)


# ---- what reaches a terminal


HOSTILE = "\x1b]0;owned\x07\x1b[2J<script>\r\nname\x00\u202e"


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    error = CommandError("client", ["curl", HOSTILE], 1, "", f"first\n{HOSTILE}")
    assert str(error).isprintable()
    assert "\\x1b]0;owned" in str(error)
    assert "\n" in error.stderr, "what a program said is kept as it is"


def test_nothing_shown_speaks_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = show._Screen(highlight=False, markup=False, emoji=False, width=140)
    monkeypatch.setattr(show, "out", console)
    console.print(HOSTILE)
    show.table("seen", rows=[(HOSTILE,)])
    said = capsys.readouterr().out
    assert said.count("<script>") == 2
    assert not [char for char in said if not char.isprintable() and char != "\n"]


def test_what_a_person_writes_is_an_argument_and_no_shell_s_text(engine: FakeEngine, small: Path) -> None:
    with Lab.up(small, engine) as lab:
        seen: list[Any] = []

        def heard(host: str, argv: tuple[str, ...], stdin: str) -> Completed:
            seen.append(argv)
            return Completed(0, "", "")

        engine.on_exec = heard
        lab.exec("client", "echo", "$(id); `id` | & > <")
        assert seen == [("echo", "$(id); `id` | & > <")]
