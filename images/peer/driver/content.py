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


def write(path: Path, size: int, seed: str) -> str:
    """Mebibyte number i is SHAKE-128 of "SEED:i"."""
    room_for(size - (path.stat().st_size if path.exists() else 0), path.parent)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, _MEBIBYTE):
            part = hashlib.shake_128(f"{seed}:{start // _MEBIBYTE}".encode()).digest(min(_MEBIBYTE, size - start))
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
