"""What happens to the peer, one JSON object a line."""

from __future__ import annotations

import json
import time
from pathlib import Path


class EventLog:
    """Appends to a file; a full disk loses events, which are counted, and disturbs nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.empty()

    def empty(self) -> None:
        self.lost = 0
        self._file = self._path.open("wb", buffering=0)

    def add(self, event: str, **facts: object) -> None:
        line = json.dumps({"t": round(time.time(), 6), "event": event, **facts}, separators=(",", ":")) + "\n"
        try:
            self._file.write(line.encode())
        except OSError:
            self.lost += 1
