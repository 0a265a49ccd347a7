"""Files whose content anybody can make again: it follows from a seed and a size."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from control import Refused

_MEBIBYTE = 1024 * 1024


def empty(folder: Path, but: Path) -> None:
    """Removes everything in the folder, whoever put it there, but one."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != but:
            entry.unlink()


def room_for(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise Refused(f"the disk is full: {size} bytes are needed, {free} are free")


def write(path: Path, size: int, seed: str, kind: str = "random") -> str:
    """Mebibyte number i is SHAKE-128 of "SEED:i"; or all of it is numbered lines, whatever the seed."""
    room_for(size - (path.stat().st_size if path.exists() else 0), path.parent)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, _MEBIBYTE):
            part = (_lines if kind == "lines" else _random)(start // _MEBIBYTE, seed)[: size - start]
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


def _random(mebibyte: int, seed: str) -> bytes:
    return hashlib.shake_128(f"{seed}:{mebibyte}".encode()).digest(_MEBIBYTE)


def _lines(mebibyte: int, _: str) -> bytes:
    """Of 16 bytes, each with its number, as the web server's large files have them."""
    first = 100_000_000_000_000 + mebibyte * (_MEBIBYTE // 16)
    return b"".join(b"%d\n" % number for number in range(first, first + _MEBIBYTE // 16))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
