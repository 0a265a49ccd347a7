"""A folder to begin with: a topology of one's own that is made of shipped parts, and a test of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from appbed import schema
from appbed.errors import InputError

_FILES = {
    "lab.yaml": "lab.yaml.template",
    "test_lab.py": "test_lab.template",
    "README.md": "README.template",
    ".gitignore": "gitignore.template",
}
_SCHEMA = "appbed.schema.json"
_HARMLESS = {".git"}
_LONGEST = 41  # of an instance's name


def write(folder: Path) -> list[Path]:
    """Its files; InputError if there is anything in the folder. What was begun is taken away again if it cannot be finished."""
    _refuse_used(folder)
    here = Path(__file__).parent
    texts = {
        name: (here / template).read_text(encoding="utf-8").replace("@NAME@", _name(folder))
        for name, template in _FILES.items()
    }
    texts[_SCHEMA] = json.dumps(schema.json_schema(), indent=2) + "\n"
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            written.append(folder / name)
            written[-1].write_text(text, encoding="utf-8")
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        for each in made:
            if each.exists():
                each.rmdir()
        raise
    return written


def _refuse_used(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is no folder", remedy="name one that is empty, or that is not there yet")
    in_the_way = sorted(each.name for each in folder.iterdir()) if folder.exists() else []
    for name in in_the_way:
        if name not in _HARMLESS:
            raise InputError(f"{folder}: {name} is in the way", remedy="name an empty folder, or one that is not there")


def _name(folder: Path) -> str:
    """The topology's, after its folder."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")
    return name[:_LONGEST] or "lab"
