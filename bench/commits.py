"""The controls of rows 4 and 5: durable commits of one row each, with the driver of the service, used the same way."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock

from psycopg_pool import ConnectionPool

from refunds.storage.sqlite import sqlite3

ROW = bytes(200)
"""As long as a short record."""

_NUMBERS = count()


class Commits(ABC):
    """A table in a separate database, to which each commit adds a row."""

    close: Callable[[], None]
    """Close the database."""

    @abstractmethod
    def one(self) -> None:
        """Commit one row; any thread may call it."""

    def many(self, commits: int, clients: int = 1) -> None:
        """Commit this many rows in all, by clients that each always have one in progress.

        Returns when all are committed. Raises what any client raises.
        """
        todo = iter(range(commits))
        if clients == 1:
            self._all(todo)
            return
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(self._all, [todo] * clients))

    def _all(self, todo: Iterator[int]) -> None:
        for _ in todo:
            self.one()


def open_commits(url: str, clients: int) -> Commits:
    """The control on a database, for at most this many clients."""
    scheme, _, path = url.partition(":///")
    return _OnSQLite(path) if scheme == "sqlite" else _OnPostgreSQL(url, clients)


class _OnSQLite(Commits):
    """One connection, as there is one writer at a time."""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE IF NOT EXISTS control (id TEXT PRIMARY KEY, value BLOB NOT NULL)",
        ):
            self._connection.execute(statement)
        self._one_at_a_time = Lock()
        self.close = self._connection.close

    def one(self) -> None:
        with self._one_at_a_time:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO control (id, value) VALUES (?, ?)", (_key(), ROW))
            self._connection.execute("COMMIT")


class _OnPostgreSQL(Commits):
    """Each commit also advances a head, as the service does in its journal, so that commits are serialised."""

    def __init__(self, url: str, clients: int) -> None:
        self._pool = ConnectionPool(url, kwargs={"autocommit": True}, min_size=clients, max_size=clients, open=True)
        self._pool.wait()
        with self._pool.connection() as connection:
            for setting in ("fsync", "synchronous_commit"):
                (value,) = connection.execute(f"SHOW {setting}").fetchone()
                assert value == "on", f"{setting} is {value}: what this server commits is not durable"
            for statement in (
                "CREATE TABLE IF NOT EXISTS control (id TEXT PRIMARY KEY, value BYTEA NOT NULL)",
                "CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, position BIGINT NOT NULL)",
                "INSERT INTO head (id, position) VALUES (1, 0) ON CONFLICT DO NOTHING",
            ):
                connection.execute(statement)
        self.close = self._pool.close

    def one(self) -> None:
        with self._pool.connection() as connection:
            connection.execute("BEGIN")
            row = (_key(), ROW)
            connection.execute("INSERT INTO control (id, value) VALUES (%s, %s)", row, prepare=True, binary=True)
            connection.execute("UPDATE head SET position = position + 1 WHERE id = 1", prepare=True)
            connection.execute("COMMIT")


def _key() -> str:
    """A key that is unique across processes."""
    return f"{os.getpid()}-{next(_NUMBERS):09}"
