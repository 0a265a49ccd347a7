"""How things are shown: one line that moves, tables, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


class _Screen(Console):
    """The library's console, but what to do when its reader left is for the caller to say; there it ends the program."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(_printable(each) if isinstance(each, str) else each for each in objects), **options)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def _printable(text: str) -> str:
    """What came out of packets and files may not speak to the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)


_WIDTH = None if sys.stdout.isatty() else 140  # a file or a pipe has no width of its own
out = _Screen(highlight=False, soft_wrap=True, markup=False, emoji=False, width=_WIDTH)
err = _Screen(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False, width=_WIDTH)
_COLOURS = {
    **{"ok": "green", "warn": "yellow", "fail": "red"},
    **{"PASSED": "green", "FAILED": "red", "INCONCLUSIVE": "yellow", "UNSUPPORTED": "yellow"},
}


@contextmanager
def spinner(title: str) -> Iterator[Callable[[str], None]]:
    """One moving line on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        yield lambda text: err.print(f"{title}: {text}")
        return
    with err.status(title) as status:
        yield lambda text: status.update(Text(f"{title}  {text}"))


def table(*columns: str, rows: Sequence[Sequence[str | Text]], title: str | None = None) -> None:
    """What was seen is shown as it is: brackets in it are no markup."""
    shown = Table(*columns, title=title, title_justify="left", box=None)
    for row in rows:
        shown.add_row(*(Text(_printable(cell)) if isinstance(cell, str) else cell for cell in row))
    out.print(shown)


def coloured(state: str) -> Text:
    return Text(state, style=_COLOURS.get(state, ""))


def words(settings: Mapping[str, object]) -> str:
    return " ".join(f"{key} {value}" for key, value in settings.items()) or "clean"


def print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def say_wrong(problem: object) -> None:
    """The one line that says what is wrong."""
    err.print(f"appbed: {problem}", style="bold red")


def complain(text: Any) -> None:
    err.print(f"appbed: {text}", style="bold")
