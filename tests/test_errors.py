"""The tree in the docstring of errors.py is the one in force, and each kind of error says what a person needs."""

from __future__ import annotations

import inspect
import re

import pytest

from appbed import errors
from appbed.errors import AppbedError, CommandError, TopologyError

LINES = re.findall(r"^    ( *)([A-Z]\w+) +(?:(\d) |exit )", inspect.getdoc(errors) or "", re.MULTILINE)


def test_the_tree_in_the_docstring_names_every_class_under_its_parent() -> None:
    parents: dict[int, type[Exception]] = {}
    drawn = set()
    for indent, name, _ in LINES:
        kind = getattr(errors, name)
        drawn.add(name)
        parents[len(indent)] = kind
        if indent:
            above = max(depth for depth in parents if depth < len(indent))
            assert kind.__bases__ == (parents[above],), f"{name} is drawn below {parents[above].__name__}"
    defined = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert drawn == defined


@pytest.mark.parametrize(("name", "code"), [(name, int(code)) for _, name, code in LINES if code])
def test_exit_codes_are_those_in_the_docstring(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_the_remedy_follows_the_message() -> None:
    assert str(AppbedError("it is wrong")) == "it is wrong"
    assert str(AppbedError("it is wrong", remedy="do this")) == "it is wrong; do this"


def test_a_topology_error_begins_with_its_place_and_ends_with_the_choices() -> None:
    error = TopologyError("lab.yaml: networks.lan", "unknown key", choices=["a", "b"], remedy="write a")
    assert str(error) == "lab.yaml: networks.lan: unknown key; known: a, b; write a"
    assert (error.place, error.problem) == ("lab.yaml: networks.lan", "unknown key")


@pytest.mark.parametrize(
    ("stdout", "stderr", "wanted"),
    [
        ("", "one\ntwo\n", "client: curl -f x: exit status 22: two"),
        ("only this\n", "", "client: curl -f x: exit status 22: only this"),
        ("", "", "client: curl -f x: exit status 22"),
    ],
)
def test_a_failed_command_says_its_last_words(stdout: str, stderr: str, wanted: str) -> None:
    error = CommandError("client", ["curl", "-f", "x"], 22, stdout, stderr)
    assert str(error) == wanted
    assert (error.host, error.status, error.stdout, error.stderr) == ("client", 22, stdout, stderr)
