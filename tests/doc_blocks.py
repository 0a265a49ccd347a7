"""Code blocks of Markdown pages, how each is to be run, and running them: what a reader types, in a folder like the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = ("console", "sh", "bash", "shell")
"""Words after a fence that make its block one of commands."""
_MARK = re.compile(
    r"<!-- (?:(?P<run>run)(?P<engine>: engine)?(?:, exit (?P<status>\d+))?|not run: (?P<why>.+)|saved as (?P<file>[\w.-]+)) -->"
)
_FENCE = re.compile(r"(?P<indent> *)(?P<ticks>`{3,})(?P<word>[\w{}-]*).*")
_PROGRAMS = "appbed|make|pip|docker|pytest|sudo|git|apt-get|dig|curl"
_HIDDEN = re.compile(rf"\s*(?:\$ .*|(?:\.venv/bin/)?(?:{_PROGRAMS})(?: [\w./-].*)?)")
_NUMBERS = re.compile(r"\d+(?:[.,:]\d+)*")
_UP = re.compile(r"\bappbed up (\S+)")
_JUDGING = re.compile(r"\bappbed (?:run|verify)\b")
_INCONCLUSIVE = 4
_LONGEST_S = 120


@dataclass(frozen=True, slots=True)
class Block:
    """`runs` is "", "alone" or "engine"; without it `why` says why it is not run, or `file` under which name it is saved.

    Where nothing is said, `marked` is False.
    """

    page: Path
    line: int
    word: str
    text: str
    runs: str
    status: int
    why: str
    file: str
    marked: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def of_commands(self) -> bool:
        return self.word in COMMANDS

    @property
    def hidden(self) -> list[str]:
        """Lines of a block of another kind that look like commands; what a generator reads is none for a reader."""
        if self.of_commands or self.word.startswith("{"):
            return []
        return [line for line in self.text.splitlines() if _HIDDEN.fullmatch(line)]


@dataclass(frozen=True, slots=True)
class Command:
    """One command and what one sees then, as the page shows it."""

    line: str
    shown: str


def pages() -> list[Path]:
    """Everything a person reads."""
    below = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts]
    return [ROOT / "README.md", ROOT / "README.ko.md", *below, *sorted((ROOT / "images").rglob("README.md"))]


def blocks(page: Path, text: str | None = None) -> list[Block]:
    """Fenced blocks of a page, or of a text that could be its own, and indented ones (which have no word)."""
    return list(_blocks(page, (page.read_text(encoding="utf-8") if text is None else text).splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        if fence := _FENCE.fullmatch(lines[at]):
            end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == fence["ticks"])
            inside = [line.removeprefix(fence["indent"]) for line in lines[at + 1 : end]]
            yield _block(page, at, fence["word"], inside, lines)
            at = end
        elif lines[at].startswith("    ") and not lines[at - 1].strip() and not _listed(lines, at):
            end = next((n for n in range(at, len(lines)) if lines[n].strip() and lines[n][:4].strip()), len(lines))
            yield _block(page, at, "", [line[4:] for line in lines[at:end]], lines)
            at = end - 1
        at += 1


def _listed(lines: list[str], at: int) -> bool:
    """Indented because it belongs to a list."""
    before = next((line for line in reversed(lines[:at]) if line.strip() and not line.startswith("  ")), "")
    return before.startswith(("- ", "* ")) or before[:1].isdigit()


def _block(page: Path, at: int, word: str, inside: list[str], lines: list[str]) -> Block:
    above = next((line.strip() for line in reversed(lines[:at]) if line.strip()), "")
    mark = _MARK.fullmatch(above)
    runs = ("engine" if mark["engine"] else "alone") if mark and mark["run"] else ""
    status, why, file = (int(mark["status"] or 0), mark["why"] or "", mark["file"] or "") if mark else (0, "", "")
    return Block(page, at + 1, word, "\n".join(inside), runs, status, why, file, mark is not None)


def commands(block: Block) -> list[Command]:
    """Of a console the lines after `$ `, each with what is shown below it; of a script every line, which shows nothing."""
    if block.word != "console":
        lines = [line for line in block.text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        return [Command(line, "...") for line in lines]
    found: list[list[str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append([line[2:]])
        else:
            found[-1].append(line)
    return [Command(line, "\n".join(shown)) for line, *shown in found]


def essence(block: Block) -> list[str]:
    """A block without comments and spaces at the ends of lines: what must be the same in another language."""
    if block.of_commands:
        return [_uncommented(command.line) for command in commands(block)]
    return [line for line in (_uncommented(line) for line in block.text.splitlines()) if line]


def _uncommented(line: str) -> str:
    return re.sub(r"(^|\s+)# .*", "", line).rstrip()


def missing(shown: str, said: str) -> str:
    """The first shown line that was not said, in this order; "" if all were. Numbers may differ, `...` is any lines, or any words."""
    left = [_plain(line) for line in said.splitlines()]
    for line in filter(None, map(_plain, shown.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, line.split("..."))))
        found = next((at for at, each in enumerate(left) if pattern.fullmatch(each)), None)
        if line != "..." and found is None:
            return line
        left = left[found + 1 :] if found is not None and line != "..." else left
    return ""


def _plain(line: str) -> str:
    """Which back-end makes the links is the machine's affair, how long an arrow is its addresses'."""
    plain = _NUMBERS.sub("#", " ".join(line.split()))
    return re.sub(r"-{3,}", "---", re.sub(r"\bnetem\b", "relay", plain))


class Reader:
    """Somebody who types what a page says, in a folder that looks like the checkout; nothing of it is changed there."""

    def __init__(self, folder: Path, name: str = "") -> None:
        """`name` is that of the reader's instance, which pages call by its topology: other labs may be up meanwhile."""
        self.folder, self.name, self._topology = folder, name, ""
        self.environment = {**os.environ, **({"APPBED_NAME": name} if name else {})}
        self.environment["PATH"] = f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
        for name in ("compose", "images", "tests", "orchestrator", "pyproject.toml"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "docs").mkdir()
        shutil.copytree(ROOT / "docs/examples", folder / "docs/examples")
        (folder / ".venv").symlink_to(sys.prefix)

    def follow(self, page: Path, runs: str) -> None:
        """The page's blocks that are run so, in their order, and those that are saved."""
        for block in blocks(page):
            if block.file:
                (self.folder / block.file).write_text(block.text + "\n", encoding="utf-8")
            if block.runs == runs:
                self.type(block)

    def type(self, block: Block) -> None:
        """Every command of a block; fails with what was said where one ends otherwise than the page says, or shows something else."""
        if block.word == "python":
            self._do(block, Command(f"{sys.executable} - <<'END'\n{block.text}\nEND", "..."), block.status)
            return
        typed = commands(block)
        for command in typed:
            self._do(block, command, block.status if command is typed[-1] else 0)

    def _do(self, block: Block, command: Command, status: int) -> None:
        done = self._run(command.line)
        if done.returncode == _INCONCLUSIVE and _JUDGING.search(command.line):  # nobody can tell: a reader tries again
            shutil.rmtree(self.folder / "runs", ignore_errors=True)
            done = self._run(command.line)
        said = f"{done.stdout}\n{done.stderr}"
        if up := _UP.search(command.line):
            self._topology = Path(up[1]).stem
        if self.name:
            said = said.replace(self.name, self._topology)
        where = f"{block}: {command.line}"
        assert done.returncode == status, f"{where}: exit status {done.returncode}\n{said[-4000:]}"
        line = missing(command.shown, said)
        assert not line, f"{where}: the page shows a line that was not said: {line!r}\n{said[-4000:]}"

    def _run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_S,
        )
