"""The control of rows 4 and 5: the statements of cancellations, recorded once and repeated by the bare driver.

They are repeated in a copy of the records as they were before, so they store the same rows.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple, Protocol
from unittest import mock
from weakref import WeakKeyDictionary

import psycopg

from bench.installed import Engine
from refunds.storage import postgres_transaction, sqlite_connection
from refunds.storage.sqlite import sqlite3

ROUND_TRIPS = 4
"""So many round trips does a write on PostgreSQL need at least: what it reads decides what it writes."""

CHECKPOINT = 4000
"""As in the service: pages of the log before SQLite moves them into the file."""


class Statement(NamedTuple):
    """A statement as the driver gets it, with its parameters."""

    sql: str
    parameters: dict[str, Any]


Transaction = Sequence[Statement]


class Bare(Protocol):
    """The bare driver on a database."""

    def replay(self, transactions: Sequence[Transaction]) -> None:
        """Execute these transactions, one after another, and commit each."""


_OF = {
    Engine.SQLITE: (sqlite_connection, sqlite_connection.Connection),
    Engine.POSTGRESQL: (postgres_transaction, postgres_transaction.PostgresTransaction),
}


@contextmanager
def recording(engine: Engine) -> Iterator[list[Transaction]]:
    """What is committed in the block, transaction by transaction; one thread writes in it."""
    module, of = _OF[engine]
    under_way: MutableMapping[Any, list[Statement]] = WeakKeyDictionary()
    committed: list[Transaction] = []

    def noting(kind: str) -> Any:
        run = getattr(of, kind)

        def noted(self: Any, sql: str, *rows: Any, **parameters: Any) -> Any:
            each = rows or [parameters]
            under_way.setdefault(self, []).extend(Statement(module._rendered(sql), one) for one in each)
            return run(self, sql, *rows, **parameters)

        return noted

    def ending(name: str) -> Any:
        run = getattr(of, name)

        def ended(self: Any, *args: Any) -> Any:
            statements = under_way.pop(self, ())
            if name == "commit" and statements:
                committed.append(tuple(statements))
            return run(self, *args)

        return ended

    rollback = "rollback" if engine is Engine.SQLITE else "end"
    with ExitStack() as stack:
        for kind in ("one", "all", "run", "later"):
            stack.enter_context(mock.patch.object(of, kind, noting(kind)))
        for name in ("commit", rollback):
            stack.enter_context(mock.patch.object(of, name, ending(name)))
        yield committed


@contextmanager
def bare(engine: Engine, url: str) -> Iterator[Bare]:
    """The bare driver on a database, until the end of the block."""
    opened = _OnSQLite(url.removeprefix("sqlite:///")) if engine is Engine.SQLITE else _OnPostgreSQL(url)
    with closing(opened):
        yield opened


class _OnSQLite:
    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, cached_statements=256)
        pragmas = ("journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {CHECKPOINT}")
        for pragma in (*pragmas, "secure_delete = ON", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self.close = self._connection.close

    def replay(self, transactions: Sequence[Transaction]) -> None:
        execute = self._connection.execute
        for statements in transactions:
            execute("BEGIN IMMEDIATE")
            for sql, parameters in statements:
                execute(sql, parameters).fetchall()
            execute("COMMIT")


class _OnPostgreSQL:
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self.close = self._connection.close

    def replay(self, transactions: Sequence[Transaction]) -> None:
        execute = self._connection.execute
        with self._connection.pipeline() as pipeline:
            for statements in transactions:
                step = -(-(len(statements) + 2) // ROUND_TRIPS)
                every = [Statement("BEGIN", {}), *statements, Statement("COMMIT", {})]
                for start in range(0, len(every), step):
                    for sql, parameters in every[start : start + step]:
                        execute(sql, parameters or None, prepare=True, binary=True)
                    pipeline.sync()
