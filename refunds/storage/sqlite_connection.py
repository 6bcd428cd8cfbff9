"""A connection to a SQLite file, and how the statements are written there."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sqlite_utils import Database

from refunds.storage import FAILED, Row
from refunds.storage.sqlite_errors import translating_errors

Unlocked = tuple[int, int, int, int]
"""What tells the states of a file apart that is read without a lock."""

_DIALECT = {
    "bigint": "INTEGER",
    "bytes": "BLOB",
    "key": "TEXT",
    "clustered": " WITHOUT ROWID",
    "for_update": "",
    "unless_held": "",
    "on_server": "-- ",
    "by_due_date": " INDEXED BY cancellations_due",
    "computed": "VIRTUAL",
    # NULL for a decision that was tampered with; the audit finds it.
    "policy_of_decision": "GENERATED ALWAYS AS"
    " (CASE WHEN json_valid(decision) THEN json_extract(decision, '$.outcome.policy') END) VIRTUAL",
    "outcome": {
        name: f"CASE WHEN json_valid(decision) THEN json_extract(decision, '$.outcome.{name}') END"
        for name in ("reason", "deadline")
    },
}


class Connection:
    """A connection, and its transaction; `unlocked` is the file as it was opened, if it is read without a lock."""

    alone = True

    def __init__(self, database: Database, name: str, unlocked: Unlocked | None = None) -> None:
        """Take over an open connection, without a transaction yet; `name` is the database in error messages."""
        self.database, self._name, self.unlocked = database, name, unlocked
        self.close = database.conn.close
        self._half_way: set[Any] = set()
        self._failed = False

    def execute(self, sql: str, parameters: Row | None = None) -> Any:
        """Execute SQL in SQLite's dialect, and return the cursor; after a failure, `commit` refuses."""
        try:
            cursor = self.database.conn.execute(sql, parameters or {})
        except BaseException:
            self._failed = True
            raise
        cursor.row_factory = _as_dict
        return cursor

    def commit(self) -> None:
        """Commit the transaction. Raises `RuntimeError` if one of its statements has failed."""
        if self._failed:
            raise RuntimeError(FAILED)
        self.leave_rows()
        self.execute("COMMIT")

    def leave_rows(self) -> None:
        """End `read_any_text`, and close cursors that were not read to the end: they would keep their snapshot open."""
        while self._half_way:
            self._half_way.pop().close()
        self.database.conn.text_factory = str

    def read_any_text(self) -> None:
        """Let later statements of the transaction return texts that are not UTF-8 as bytes, in place of an error."""
        self.database.conn.text_factory = _text

    def rollback(self) -> None:
        """Roll back what is not committed; `commit` is then possible again."""
        self.leave_rows()
        self._failed = False
        # After some errors (a full disk), SQLite has already rolled back.
        if self.database.conn.in_transaction:
            self.execute("ROLLBACK")

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """Run a statement and return its first row; None if it returns none."""
        row: Row | None = self.execute(_rendered(sql), parameters).fetchone()
        return row

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""
        rows: list[Row] = self.execute(_rendered(sql), parameters).fetchall()
        return rows

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        """Yield the rows of a query, one at a time; `leave_rows` closes a query that is not read to the end."""
        with translating_errors(self._name):
            cursor = self.execute(_rendered(sql), parameters)
            self._half_way.add(cursor)
            while row := cursor.fetchone():  # `yield from` would also close it, perhaps after its connection
                yield row
        self._half_way.discard(cursor)

    def run(self, sql: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""
        changed: int = self.execute(_rendered(sql), parameters).rowcount
        return changed

    def later(self, sql: str, *rows: Row) -> None:
        """Run the statement for each row, at once."""
        for row in rows:
            self.execute(_rendered(sql), row)


@lru_cache(maxsize=1024)
def _rendered(sql: str) -> str:
    """Return the SQL of a statement in SQLite's dialect, with its words in place of names such as `{for_update}`."""
    return sql.format_map(_DIALECT)


def _text(stored: bytes) -> str | bytes:
    """Return a stored text, or its bytes if they are not UTF-8."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def _as_dict(cursor: Any, row: tuple[Any, ...]) -> Row:
    """Return a row as a dictionary of its values by column name."""
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
