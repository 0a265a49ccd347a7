"""Which files a Dockerfile can put into its image, and one hash of all that an image is made from.

Only what COPY and ADD name counts, so a context of the whole repository does not rebuild an image at every edit
elsewhere. Where the Dockerfile alone cannot tell (a variable in a path, a bind mount) the whole context counts. What
.dockerignore takes out never does.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """What matters of a Dockerfile here: `bases` are the images it starts from, `sources` the paths it copies in."""

    bases: tuple[str, ...]
    sources: tuple[str, ...]


def parse(text: str, arguments: Mapping[str, str]) -> Dockerfile:
    """Read the instructions that name images and files; `arguments` are the build's own."""
    known: dict[str, str] = {}
    bases: list[str] = []
    stages: set[str] = set()
    sources: list[str] = []
    for word, rest in _instructions(text):
        if word == "ARG":
            name, _, default = rest.partition("=")
            known[name.strip()] = arguments.get(name.strip(), default.strip("\"' "))
        elif word == "FROM":
            image, *alias = [part for part in rest.split() if not part.startswith("--")]
            bases += [image] if image not in stages else []
            stages.update(alias[1:2])
        elif word in ("COPY", "ADD"):
            outside, paths = _copied(rest)
            bases += [outside] if outside and outside not in stages and not outside.isdigit() else []
            sources += paths
        elif "--mount=type=bind" in rest:
            sources.append(".")
    named = (_VARIABLE.sub(lambda found: known.get(found[1], ""), base) for base in bases)
    return Dockerfile(
        tuple(dict.fromkeys(named)), tuple(dict.fromkeys("." if "$" in path else path for path in sources))
    )


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\[ \t]*\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def _copied(rest: str) -> tuple[str, list[str]]:
    """The image or stage copied from ("" for the context), and the paths of the context."""
    words = rest.split()
    flags = [word for word in words if word.startswith("--")]
    plain = " ".join(word for word in words if not word.startswith("--"))
    try:
        paths = json.loads(plain) if plain.startswith("[") else shlex.split(plain)
    except ValueError:
        return "", ["."]
    outside = next((flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")), "")
    return outside, [] if outside else [path for path in paths[:-1] if "://" not in path and not path.startswith("<<")]


def fingerprint(context: Path, sources: Iterable[str], *also: str) -> str:
    """One hash over the files that `sources` name (path, content, executable or not) and over every text in `also`."""
    digest = hashlib.sha256()
    for text in also:
        digest.update(f"{len(text)}:{text}".encode())
    for file in files(context, sources):
        name = str(file.relative_to(context))
        if file.is_symlink():
            kind, content = "link", str(file.readlink()).encode()
        else:
            kind, content = "program" if file.stat().st_mode & stat.S_IXUSR else "file", file.read_bytes()
        digest.update(f"{kind} {len(name)}:{name} {len(content)}:".encode() + content)
    return digest.hexdigest()


def files(context: Path, sources: Iterable[str]) -> list[Path]:
    """The files below `context` that `sources` name and .dockerignore does not take out, in one order everywhere."""
    ignored = ignore_rules(context)
    found: set[Path] = set()
    for source in sources:
        relative = source.strip("/").removeprefix("./") or "."
        named = context.glob(relative) if re.search(r"[*?\[]", relative) else [context / relative]
        for path in named:
            found.update(_below(path, context, ignored))
    return sorted(found)


def _below(path: Path, context: Path, rules: list[tuple[re.Pattern[str], bool]]) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        # Whole folders are passed over where no rule can bring a file of theirs back: .venv and .git are big.
        if (
            path != context
            and is_ignored(path.relative_to(context).as_posix(), rules)
            and not any(back for _, back in rules)
        ):
            return
        for child in path.iterdir():
            yield from _below(child, context, rules)
    elif (path.is_file() or path.is_symlink()) and not is_ignored(path.relative_to(context).as_posix(), rules):
        yield path


def ignore_rules(context: Path) -> list[tuple[re.Pattern[str], bool]]:
    """The lines of .dockerignore as (pattern, brings back)."""
    try:
        lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    rules = []
    for line in (line.strip() for line in lines):
        if line and not line.startswith("#"):
            rules.append((_pattern(line.removeprefix("!").strip().strip("/")), line.startswith("!")))
    return rules


def is_ignored(path: str, rules: Iterable[tuple[re.Pattern[str], bool]]) -> bool:
    """As Docker reads it: the last rule that matches the path or a folder above it decides."""
    ignored = False
    for pattern, brings_back in rules:
        if pattern.match(path):
            ignored = not brings_back
    return ignored


def _pattern(glob: str) -> re.Pattern[str]:
    text = "".join(
        _REGEX.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("./"))
    )
    return re.compile(f"{text}(?:/.*)?$", re.DOTALL)


_REGEX = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "": ""}
