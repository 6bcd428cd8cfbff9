"""A transaction on PostgreSQL, and how the statements are written there."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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
    # A pattern, because a cast to JSON would fail on a decision that was tampered with, and so would the step.
    "policy_of_decision": """GENERATED ALWAYS AS (substring(decision from '"outcome":.*?"policy":"([^"]*)"')) STORED""",
}


class PostgresTransaction:
    """The transaction that is under way on a connection."""

    alone = False

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection: psycopg.Connection[DictRow] | None = connection
        self._failed = False
        self._waiting: list[tuple[str, Row]] = []
        """Statements that go with the next one, in the same round trip."""

    def one(self, sql: str, **parameters: Any) -> Row | None:
        return self._execute(sql, parameters).fetchone()

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        rows: list[Row] = list(self._execute(sql, parameters).fetchall())
        return rows

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        name = f"rows_{next(_NUMBERS)}"
        self._execute(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", parameters)
        while rows := self._execute(f"FETCH {_ROWS} FROM {name}", {}, prepare=False).fetchall():
            for row in rows:
                yield row
                self._require_open()
        self._execute(f"CLOSE {name}", {})

    def run(self, sql: str, **parameters: Any) -> int:
        return self._execute(sql, parameters).rowcount

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        connection = self._require_open()
        with self._noted(), connection.pipeline(), connection.cursor() as cursor:
            self._send_waiting(connection)
            cursor.executemany(_rendered(sql), rows)

    def later(self, sql: str, *rows: Row) -> None:
        self._require_open()
        self._waiting += [(_rendered(sql), row) for row in rows]

    def try_lock(self, number: int) -> bool:
        """Lock a number until the transaction ends, unless another has locked it; returns whether it did.

        The transaction keeps no snapshot from it, so that rows which are updated meanwhile can be cleaned up.
        """
        # Without parameters and results in binary, the driver uses the protocol that leaves no portal open.
        locked = f"SELECT 1 WHERE pg_try_advisory_xact_lock({number:d})"
        return self._require_open().execute(locked, prepare=False).fetchone() is not None

    def commit(self) -> None:
        """Commit. Raises `RuntimeError` after a failed statement, because the database would silently roll back."""
        if self._failed:
            raise RuntimeError(FAILED)
        self._execute("COMMIT", {}, prepare=False)

    def end(self, how: str = "ROLLBACK") -> None:
        """End the transaction, by default with a rollback; if that fails, the connection is not used again.

        A second call, or one after `commit`, changes nothing.
        """
        connection, self._connection = self._connection, None
        if connection is not None and connection.info.transaction_status is not TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.execute(how)

    def _execute(self, sql: str, parameters: dict[str, Any], *, prepare: bool | None = None) -> psycopg.Cursor[DictRow]:
        connection = self._require_open()
        with self._noted():
            if not self._waiting:
                return connection.execute(_rendered(sql), parameters or None, prepare=prepare, binary=True)
            # After a failure, the database skips the rest of a pipeline, also a COMMIT; the first error is raised.
            with connection.pipeline():
                self._send_waiting(connection)
                return connection.execute(_rendered(sql), parameters or None, prepare=prepare, binary=True)

    def _send_waiting(self, connection: psycopg.Connection[DictRow]) -> None:
        """Send the statements that wait, in a pipeline that is open."""
        waiting, self._waiting = self._waiting, []
        for sql, row in waiting:
            connection.execute(sql, row, binary=True)

    def _require_open(self) -> psycopg.Connection[DictRow]:
        if self._connection is None:
            raise RuntimeError("the transaction is over")
        return self._connection

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Remember a failure, even one that never reached the database."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise


_NUMBERS = count(1)
_PARAMETER = re.compile(r"(?<!:):(\w+)")


@lru_cache(maxsize=1024)
def _rendered(sql: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", sql.format_map(_DIALECT))
