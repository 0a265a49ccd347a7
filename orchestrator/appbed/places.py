"""Where things are: shipped topologies and images, the folder runs go to."""

from __future__ import annotations

import difflib
from pathlib import Path

from appbed.errors import InputError

SHARE = "APPBED_SHARE"  # in a Compose file: `root`, below which the shipped parts are


def root() -> Path:
    """The folder that holds compose/ and images/: the checkout, or what an installed package brought along."""
    brought = Path(__file__).resolve().parent / "share"
    return brought if brought.is_dir() else Path(__file__).resolve().parents[2]


def topologies() -> dict[str, Path]:
    """Shipped topologies by name."""
    return {path.stem: path for path in sorted((root() / "compose").glob("*.yaml"), key=lambda path: path.stem)}


def topology_file(name: str) -> Path:
    """A shipped topology's name, or a path to a Compose file."""
    known = topologies()
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path.resolve()
        if path.stem in known and path.parent == Path():
            return known[path.stem]
        raise InputError(f"{name}: no such file", remedy=f"shipped topologies: {', '.join(known)}")
    if name and path.exists():
        said = "is a folder" if path.is_dir() else "is no Compose file by its name"
        raise InputError(f"{name}: {said}", remedy="name a topology's file, which ends in .yaml or .yml")
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(f"no topology {name!r}", remedy=f"{hint}known: {', '.join(known)}, or a path to a Compose file")


def runs() -> Path:
    """Evidence goes below the folder the command was given in."""
    return Path.cwd() / "runs"
