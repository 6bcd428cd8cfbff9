"""A transaction on PostgreSQL, and how the statements are written there."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow

from refunds.storage import FAILED, Row

_ROWS = 1000
"""Rows fetched at a time when they are read one by one."""

_DIALECT = {
    "bigint": "BIGINT",
    "bytes": "BYTEA",
    "key": 'TEXT COLLATE "C"',
    "clustered": "",
    "for_update": "FOR UPDATE",
    "unless_held": "FOR UPDATE SKIP LOCKED",
    "on_server": "",
    "by_due_date": "",
    "computed": "STORED",
    # A pattern, because a cast to JSON would fail on a decision that was tampered with, and so would the step.
    "policy_of_decision": """GENERATED ALWAYS AS (substring(decision from '"outcome":.*?"policy":"([^"]*)"')) STORED""",
    "outcome": {
        name: f"""nullif(split_part(split_part(split_part(decision, '"outcome":', 2), '"{name}":"', 2), '"', 1), '')"""
        for name in ("reason", "deadline")
    },
}


class PostgresTransaction:
    """A transaction on a connection; `begin`, unless it is empty, goes with its first statement.

    `another` gives a connection in place of one that was lost by then, or None once the patience is over.
    """

    alone = False

    def __init__(
        self,
        connection: psycopg.Connection[DictRow],
        begin: str,
        another: Callable[[], psycopg.Connection[DictRow] | None],
    ) -> None:
        self.connection, self._another = connection, another
        self._begun = self._over = self._failed = False
        self._waiting: list[tuple[str, Row | None]] = [(begin, None)] if begin else []
        """Statements that go with the next one, in the same round trip."""

    def read_any_text(self) -> None:
        """Do nothing: a server refuses every text that is not UTF-8."""

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """Run a statement and return its first row; None if it returns no row."""
        return self._execute(sql, parameters).fetchone()

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""
        rows: list[Row] = list(self._execute(sql, parameters).fetchall())
        return rows

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        """Yield the rows of a query, fetched `_ROWS` at a time; raises `RuntimeError` if the transaction is over."""
        name = f"rows_{next(_NUMBERS)}"
        self._execute(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", parameters)
        while rows := self._execute(f"FETCH {_ROWS} FROM {name}", {}, prepare=False).fetchall():
            for row in rows:
                yield row
                self._require_open()
        self._execute(f"CLOSE {name}", {})

    def run(self, sql: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return self._execute(sql, parameters).rowcount

    def later(self, sql: str, *rows: Row) -> None:
        """Keep the statement for each row, to be sent with the next one; `RuntimeError` if the transaction is over."""
        self._require_open()
        self._waiting += [(_rendered(sql), row) for row in rows]

    def try_lock(self, number: int) -> bool:
        """Lock a number until the transaction ends, unless another has locked it; returns whether the lock was taken.

        Taking the lock leaves no snapshot open, so PostgreSQL can clean up rows that are updated while it is held.
        """
        # Without parameters and results in binary, the driver uses the protocol that leaves no portal open.
        locked = f"SELECT 1 WHERE pg_try_advisory_xact_lock({number:d})"
        self._require_open()
        return self.connection.execute(locked, prepare=False).fetchone() is not None

    def commit(self) -> None:
        """Commit, or raise `RuntimeError` if a statement has failed, because the database would silently roll back."""
        if self._failed:
            raise RuntimeError(FAILED)
        if not self._begun:  # because what goes with the first statement may be sent again
            self._execute("SELECT 1", {})
        self._execute("COMMIT", {}, prepare=False)

    def end(self, how: str = "ROLLBACK") -> None:
        """End the transaction by the statement `how`, unless it has ended.

        If the statement fails, nothing is raised: a connection that fails is not reused.
        """
        self._over = True
        if self.connection.info.transaction_status is not TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                self.connection.execute(how)

    def _execute(self, sql: str, parameters: dict[str, Any], *, prepare: bool | None = None) -> psycopg.Cursor[DictRow]:
        """Run a statement after those that wait, and return its cursor; on another connection if the first one is lost.

        Only a transaction that has run no statement yet gets another connection; else the error is raised. Raises
        `RuntimeError` if the transaction is over.
        """
        self._require_open()
        failed, self._failed = self._failed, True  # unless it succeeds, even if the failure never reaches the database
        while True:
            try:
                found = self._sent(_rendered(sql), parameters or None, prepare)
            except psycopg.OperationalError:
                if self._begun or not self.connection.closed or (other := self._another()) is None:
                    raise
                self.connection = other
            else:
                self._begun, self._failed = True, failed
                return found

    def _sent(self, sql: str, parameters: Row | None, prepare: bool | None) -> psycopg.Cursor[DictRow]:
        """Send the waiting statements and then this one in one round trip, and return the result of this one."""
        connection = self.connection
        if not self._waiting:
            return connection.execute(sql, parameters, prepare=prepare, binary=True)
        # After a failure, the database skips the rest of a pipeline, also a COMMIT; the first error is raised.
        with connection.pipeline():
            for waiting, row in self._waiting:
                connection.execute(waiting, row, binary=True)
            found = connection.execute(sql, parameters, prepare=prepare, binary=True)
        self._waiting.clear()
        return found

    def _require_open(self) -> None:
        """Raise `RuntimeError` if the transaction is over."""
        if self._over:
            raise RuntimeError("the transaction is over")


_NUMBERS = count(1)
_PARAMETER = re.compile(r"(?<!:):(\w+)")


@lru_cache(maxsize=1024)
def _rendered(sql: str) -> str:
    """Return SQL with each `{word}` as PostgreSQL spells it, and the driver's `%(name)s` for each parameter `:name`."""
    return _PARAMETER.sub(r"%(\1)s", sql.format_map(_DIALECT))
