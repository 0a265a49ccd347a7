from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from appbed import evidence
from appbed.errors import InputError
from appbed.evidence import Evidence, Recorder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder after the prediction was written."""
    made = evidence.new_folder(tmp_path / "runs", "tour")
    recorder = Recorder(made)
    recorder.write("prediction", {"scenario": "tour", "expected": {"messages": 8}})
    recorder.close()
    return made


def test_what_was_written_is_read_back(folder: Path) -> None:
    told: list[str] = []
    recorder = Recorder(folder, told.append)
    recorder.step("resolve", site="www.someschool.edu")
    recorder.event("origin", sha256={"/": "ab"})
    recorder.write("conditions", {"seed": 7, "hosts": {"client": ["10.77.1.10", "10.77.2.1"]}})
    recorder.close()
    found = Evidence(folder)
    assert found.prediction["expected"] == {"messages": 8}
    assert found.conditions["seed"] == 7
    assert found.address("client") == "10.77.1.10"
    assert [(event.kind, event.data) for event in found.events] == [
        ("step", {"name": "resolve", "site": "www.someschool.edu"}),
        ("origin", {"sha256": {"/": "ab"}}),
    ]
    assert found.of("origin") == [found.events[1]]
    assert found.of("nothing") == []
    assert found.events[0].time_s <= found.events[1].time_s
    assert told == ["resolve"]


def test_an_event_is_on_disk_at_once(folder: Path) -> None:
    recorder = Recorder(folder)
    recorder.event("step", name="one")
    assert json.loads((folder / "events.jsonl").read_text())["name"] == "one"
    recorder.close()


def test_a_second_recorder_adds_to_the_events(folder: Path) -> None:
    for kind in ("one", "two"):
        recorder = Recorder(folder)
        recorder.event(kind)
        recorder.close()
    assert [event.kind for event in Evidence(folder).events] == ["one", "two"]


def test_a_run_without_events_has_none(folder: Path) -> None:
    (folder / "events.jsonl").unlink()
    assert Evidence(folder).events == ()


def test_values_json_does_not_know_are_written_as_text(folder: Path) -> None:
    recorder = Recorder(folder)
    recorder.write("conditions", {"path": folder})
    recorder.close()
    assert Evidence(folder).conditions == {"path": str(folder)}


def test_a_file_is_whole_or_not_there(folder: Path) -> None:
    """Written beside and moved: a run that is killed meanwhile leaves no half verdict."""
    recorder = Recorder(folder)
    recorder.write("verdict", {"outcome": "PASSED"})
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(ValueError, match="Circular"):
        recorder.write("verdict", loop)
    recorder.close()
    assert json.loads((folder / "verdict.json").read_text()) == {"outcome": "PASSED"}


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, there: bool) -> None:
    place = tmp_path / "web"
    if there:
        place.mkdir()
    with pytest.raises(InputError) as caught:
        Evidence(place)
    assert str(caught.value) == f"{place}: is no run (prediction.json is missing); name a folder below runs/"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("", "Expecting value"), ('{"seed": ', "Expecting value")]
)
def test_a_run_that_broke_off_says_which_file_is_missing_or_cut(folder: Path, content: str | None, said: str) -> None:
    if content is not None:
        (folder / "conditions.json").write_text(content)
    with pytest.raises(InputError) as caught:
        _ = Evidence(folder).conditions
    assert caught.value.message.startswith(f"{folder}/conditions.json: ")
    assert said in caught.value.message
    assert caught.value.remedy == "the run is incomplete; run the scenario again"


def test_folders_carry_time_and_scenario_and_never_collide(tmp_path: Path) -> None:
    made = [evidence.new_folder(tmp_path / "runs", "web.persistent") for _ in range(5)]
    assert len(set(made)) == 5
    for folder in made:
        assert re.fullmatch(r"\d{8}-\d{6}-web\.persistent(-\d+)?", folder.name)
        assert folder.is_dir()


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "runs"
    file.write_text("a file in the place of the folder")
    with pytest.raises(InputError, match=r"runs/\d{8}-\d{6}-tour: Not a directory; runs/ must be writable"):
        evidence.new_folder(file, "tour")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; run pytest as another user")
def test_a_folder_of_somebody_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o500)
    with pytest.raises(InputError, match="Permission denied; runs/ must be writable"):
        evidence.new_folder(tmp_path / "runs", "tour")
