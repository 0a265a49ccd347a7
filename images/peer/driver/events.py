"""What happens to the peer, one JSON object a line."""

from __future__ import annotations

import json
import time
from pathlib import Path


class EventLog:
    """Appends to a file; a full disk loses events, which are counted, and disturbs nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self.lost = 0

    def empty(self) -> None:
        self._file.truncate(0)
        self.lost = 0

    def close(self) -> None:
        self._file.close()

    def add(self, event: str, **facts: object) -> None:
        line = json.dumps({"t": round(time.time(), 6), "event": event, **facts}, separators=(",", ":")) + "\n"
        try:
            self._file.write(line.encode())
        except OSError:
            self.lost += 1
