"""The shop's settings, read from the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DATABASE = Path("/data/shop.db")


def first_visitor() -> int:
    """The first identification number; 1678 is the textbook's."""
    given = os.environ.get("FIRST_VISITOR") or "1678"
    if not (given.isascii() and given.isdigit() and len(given) <= 9 and int(given) > 0):
        choices = "a whole number from 1 to 999999999"
        print(f"shop: FIRST_VISITOR='{given}' is not possible; choose {choices}", file=sys.stderr)
        sys.exit(78)
    return int(given)
