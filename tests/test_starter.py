"""A folder to begin with: what is in it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appbed import schema, starter, topology
from appbed.errors import InputError
from command_line import Appbed

FILES = ["lab.yaml", "test_lab.py", "README.md", ".gitignore", "appbed.schema.json"]


def test_a_folder_to_begin_with_is_a_topology_with_its_test(appbed: Appbed, tmp_path: Path) -> None:
    done = appbed("init", "my lab")
    assert done.status == 0
    assert done.out.splitlines() == [*(f"my lab/{name}" for name in FILES), "try it: cd my lab && pytest"]
    folder = tmp_path / "my lab"
    shape = topology.load(folder / "lab.yaml", {})
    assert shape.name == "my-lab"
    assert str(shape.host("server").address) == "10.77.3.42", "where the shipped zone has www.shop.com"
    assert {"client", "gateway", "dns", "root-a"} < set(shape.hosts)
    assert json.loads((folder / "appbed.schema.json").read_text()) == schema.json_schema()
    assert 'topology("lab.yaml")' in (folder / "test_lab.py").read_text()
    assert (folder / "README.md").read_text().startswith("# my-lab\n")
    assert "runs/" in (folder / ".gitignore").read_text().split()


def test_its_files_as_json(appbed: Appbed, tmp_path: Path) -> None:
    assert appbed("init", "mine", "--json").json == [f"mine/{name}" for name in FILES]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Web Lab!", "web-lab"),
        ("2024", "2024"),
        ("실험실", "lab"),
        ("_x_", "x"),
        ("y" * 60, "y" * 41),
        ("true", "true"),
    ],
)
def test_the_topology_is_named_after_its_folder(folder: str, name: str, tmp_path: Path) -> None:
    starter.write(tmp_path / folder)
    assert topology.load(tmp_path / folder / "lab.yaml", {}).name == name


def test_the_folder_may_be_there_if_it_is_empty_or_a_new_repository(tmp_path: Path) -> None:
    (tmp_path / "mine/.git").mkdir(parents=True)
    assert [file.name for file in starter.write(tmp_path / "mine")] == FILES


def test_what_is_in_the_way_is_named_and_stays(appbed: Appbed, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/lab.yaml").write_text("my work")
    done = appbed("init", "mine")
    assert (done.status, done.out) == (2, "")
    assert done.complaint == "mine: lab.yaml is in the way; name an empty folder, or one that is not there"
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["lab.yaml"]
    assert appbed("init", "mine/lab.yaml").complaint.startswith("mine/lab.yaml: is no folder; ")
    with pytest.raises(InputError, match=r"lab\.yaml is in the way"):
        starter.write(tmp_path / "mine")


def test_half_a_folder_is_taken_away_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    whole = Path.write_text

    def full(file: Path, text: str, **options: str) -> int:
        if len(written) == 2:
            raise OSError(28, "No space left on device", str(file))
        written.append(file.name)
        return whole(file, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        starter.write(tmp_path / "a/b")
    assert list(tmp_path.iterdir()) == []


def test_where_shipped_parts_are_can_be_said_otherwise(tmp_path: Path) -> None:
    starter.write(tmp_path / "mine")
    with pytest.raises(InputError, match=r"^/nowhere/images/agent/service\.yaml: cannot be read"):
        topology.load(tmp_path / "mine/lab.yaml", {"APPBED_SHARE": "/nowhere"})


def test_the_schema_is_said_or_written(appbed: Appbed, tmp_path: Path) -> None:
    assert appbed("schema").json == schema.json_schema()
    assert appbed("schema", "--out", "mine.json").out == "mine.json\n"
    assert json.loads((tmp_path / "mine.json").read_text()) == schema.json_schema()
    done = appbed("schema", "--out", "no/such/folder.json")
    assert (done.status, done.complaint.partition(";")[0]) == (3, "no/such/folder.json: No such file or directory")
