"""Runs the command line in this process, as a shell would see it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import typer.main


@dataclass(frozen=True, slots=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line that says what is wrong; progress may stand before it, nothing after."""
        lines = self.err.splitlines()
        assert [line for line in lines if line.startswith("appbed: ")] == lines[-1:], self.err
        assert "Traceback" not in self.err + self.out
        return lines[-1].removeprefix("appbed: ")


Appbed = Callable[..., Result]
# The library reads all signatures anew for every command line; once is enough for a process.
get_command = functools.cache(typer.main.get_command)


def runner(capsys: pytest.CaptureFixture[str]) -> Appbed:
    from appbed.cli import main  # its consoles look at the environment once

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        said = capsys.readouterr()
        status = caught.value.code
        assert isinstance(status, int)
        return Result(status, said.out, said.err)

    return run
