"""A saved run, opened and judged anew, and what its prediction is made of."""

from __future__ import annotations

import inspect
import json
import lzma
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from appbed import models, runner
from appbed.evidence import Evidence
from appbed.scenario import Scenario
from appbed.verdict import Outcome, Verdict

SAVED = Path(__file__).parents[2] / "tests/evidence"


@dataclass(frozen=True, slots=True)
class Saved:
    """`formulas` of models.py that the prediction called, with what each says of itself; `problems` are the site's, one line each."""

    name: str
    scenario: Scenario
    evidence: Evidence
    verdict: Verdict
    formulas: Mapping[str, str]
    problems: tuple[str, ...]


def opened(name: str, each: Scenario, below: Path) -> Saved:
    """Unpacked below a folder, which must stay as long as the result is used."""
    folder = below / name
    folder.mkdir()
    for file in (SAVED / name).iterdir():
        if file.suffix == ".xz":
            (folder / file.stem).write_bytes(lzma.decompress(file.read_bytes()))
        else:
            shutil.copy(file, folder)
    verdict = runner.check(folder, each)
    found = Evidence(folder)
    expected, formulas = _predicted(each, found.prediction["under"])
    problems = [f"its saved run is {verdict.outcome}: {verdict.because}"] * (verdict.outcome is not Outcome.PASSED)
    if json.loads(json.dumps(expected, default=str)) != found.prediction["expected"]:
        problems.append("its saved run was predicted otherwise: run it again and save that (docs/scenarios.md)")
    return Saved(name, each, found, verdict, formulas, tuple(problems))


def source(each: Scenario) -> Path:
    return Path(inspect.getsourcefile(each.predict) or __file__)


def _predicted(each: Scenario, under: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The prediction made once more, and the public formulas it called; those that formulas call are their own affair."""
    called: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and _in_models(frame) and not _in_models(frame.f_back):
            called.setdefault(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        expected = each.predict(under)
    finally:
        sys.setprofile(before)
    formulas = {name: getattr(models, name, None) for name in called if not name.startswith("_")}
    return expected, {name: _first(formula) for name, formula in formulas.items() if inspect.isfunction(formula)}


def _in_models(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") == models.__name__


def _first(formula: object) -> str:
    """The first paragraph of what it says of itself."""
    return " ".join((inspect.getdoc(formula) or "").partition("\n\n")[0].split())
