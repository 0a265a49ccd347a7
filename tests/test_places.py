from __future__ import annotations

from pathlib import Path

import pytest

from appbed import places
from appbed.errors import InputError


def test_shipped_topologies_are_found_by_name() -> None:
    known = places.topologies()
    assert {"web", "dns", "access-link", "internet"} <= set(known)
    assert list(known) == sorted(known)
    for name, path in known.items():
        assert places.topology_file(name) == path
        assert path.is_absolute()
        assert path.is_file()


def test_parts_are_no_topologies() -> None:
    assert {path.parent for path in places.topologies().values()} == {places.root() / "compose"}


def test_a_shipped_topology_may_be_written_with_its_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert places.topology_file("web.yaml") == places.topologies()["web"]


def test_a_file_here_comes_before_a_shipped_one_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yaml").touch()
    assert places.topology_file("web.yaml") == tmp_path / "web.yaml"
    assert places.topology_file("web") == places.topologies()["web"]


def test_any_compose_file_will_do_and_its_path_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/mine.yml").touch()
    monkeypatch.chdir(tmp_path)
    assert places.topology_file("below/mine.yml") == tmp_path / "below/mine.yml"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("internett", "no topology 'internett'; did you mean internet? known: access-link, "),
        ("qqqqq", "no topology 'qqqqq'; known: access-link, "),
        ("", "no topology ''; known: access-link, "),
        ("nowhere/web.yaml", "nowhere/web.yaml: no such file; shipped topologies: access-link, "),
        ("mine.yaml", "mine.yaml: no such file; shipped topologies: access-link, "),
    ],
)
def test_an_unknown_topology_is_told_what_there_is(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        places.topology_file(name)
    assert str(caught.value).startswith(said)


def test_runs_go_below_the_folder_the_command_was_given_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert places.runs() == tmp_path / "runs"
