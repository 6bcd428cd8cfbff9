"""The control of row 4: durable commits of one row each, by the SQLite that the service uses and as it uses it."""

from itertools import count
from pathlib import Path

from refunds.storage.sqlite import sqlite3

_KEYS = count()


class Commits:
    """A table in a file of its own, to which each commit adds a row that is as long as a short record."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE IF NOT EXISTS control (id TEXT PRIMARY KEY, value BLOB NOT NULL)",
            "DELETE FROM control",
        ):
            self._connection.execute(statement)
        self.close = self._connection.close

    def one(self) -> None:
        """One row, one commit."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO control (id, value) VALUES (?, ?)", (f"key-{next(_KEYS):09}", bytes(200)))
        self._connection.execute("COMMIT")

    def many(self, commits: int) -> None:
        """As many, one after the other."""
        for _ in range(commits):
            self.one()
