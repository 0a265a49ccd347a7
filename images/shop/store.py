"""What the shop knows of its visitors: one SQLite database, one row for each browser."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS visitor (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: a number is never given out twice
    first_seen TEXT NOT NULL,
    last_seen  TEXT NOT NULL,
    requests   INTEGER NOT NULL DEFAULT 1,
    browser    TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS looked_at (
    visitor INTEGER NOT NULL REFERENCES visitor(id) ON DELETE CASCADE,
    product TEXT NOT NULL,
    times   INTEGER NOT NULL DEFAULT 1,
    last    INTEGER NOT NULL,                      -- the visitor's request number: orders the history
    PRIMARY KEY (visitor, product)
);
CREATE TABLE IF NOT EXISTS in_cart (
    visitor  INTEGER NOT NULL REFERENCES visitor(id) ON DELETE CASCADE,
    product  TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 99),
    PRIMARY KEY (visitor, product)
);
"""


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """Each method is one transaction on a connection of its own: threads and commands share nothing but the file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.uri = f"file:{path}" + ("?mode=ro" if read_only else "")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.uri, uri=True, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = OFF")  # a tmpfs survives no power cut anyway
            with connection:
                yield connection
        finally:
            connection.close()

    def empty(self, first_visitor: int) -> None:
        """As after a fresh start: no rows, and the first number is the first again."""
        with self._transaction() as db:
            db.executescript(SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            for table in ("in_cart", "looked_at", "visitor", "sqlite_sequence"):
                db.execute(f"DELETE FROM {table}")
            db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('visitor', ?)", (first_visitor - 1,))

    def enrol(self, browser: str) -> int:
        """A new visitor's identification number."""
        with self._transaction() as db:
            row = db.execute(
                "INSERT INTO visitor (first_seen, last_seen, browser) VALUES (?, ?, ?)", (now(), now(), browser)
            )
            assert row.lastrowid is not None
            return row.lastrowid

    def recognise(self, visitor: int) -> bool:
        """Whether the number is one of ours; if so, one more request is counted."""
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE visitor SET last_seen = ?, requests = requests + 1 WHERE id = ?", (now(), visitor)
            )
            return changed.rowcount == 1

    def look(self, visitor: int, product: str) -> None:
        with self._transaction() as db:
            db.execute(
                "INSERT INTO looked_at (visitor, product, last) SELECT id, ?, requests FROM visitor WHERE id = ?"
                " ON CONFLICT DO UPDATE SET times = times + 1, last = excluded.last",
                (product, visitor),
            )

    def history(self, visitor: int) -> list[str]:
        """What the visitor looked at, the latest first."""
        with self._transaction() as db:
            rows = db.execute("SELECT product FROM looked_at WHERE visitor = ? ORDER BY last DESC, product", (visitor,))
            return [row["product"] for row in rows]

    def put_in_cart(self, visitor: int, product: str, quantity: int) -> None:
        with self._transaction() as db:
            db.execute(
                "INSERT INTO in_cart (visitor, product, quantity) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET quantity = min(99, quantity + excluded.quantity)",
                (visitor, product, quantity),
            )

    def take_from_cart(self, visitor: int, product: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM in_cart WHERE visitor = ? AND product = ?", (visitor, product))

    def cart(self, visitor: int) -> dict[str, int]:
        with self._transaction() as db:
            rows = db.execute("SELECT product, quantity FROM in_cart WHERE visitor = ? ORDER BY rowid", (visitor,))
            return {row["product"]: row["quantity"] for row in rows}

    def visitors(self) -> list[dict[str, object]]:
        """Every row, for whoever has to judge what the site remembers."""
        with self._transaction() as db:
            found = [dict(row) for row in db.execute("SELECT * FROM visitor ORDER BY id")]
            for visitor in found:
                for name, query in (
                    ("looked_at", "SELECT product, times FROM looked_at WHERE visitor = ? ORDER BY last, product"),
                    ("cart", "SELECT product, quantity FROM in_cart WHERE visitor = ? ORDER BY rowid"),
                ):
                    visitor[name] = [dict(row) for row in db.execute(query, (visitor["id"],))]
            return found
