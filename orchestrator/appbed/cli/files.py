"""Files that commands write."""

from __future__ import annotations

from pathlib import Path

from appbed.errors import EngineError


def written(file: Path, text: str) -> Path:
    """The file, whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_bytes(text.encode("utf-8", "replace"))
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise EngineError(
            f"{file}: {error.strerror}", remedy="name a file in a folder that is there and can be written"
        ) from None
    return file
