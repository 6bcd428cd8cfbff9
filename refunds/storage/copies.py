"""Copies of a whole database into another one, row by row as stored, between any engines.

The rows themselves show how far a copy has come: each table grows in the order of its key. A mark among the steps of
the schema says which state of the journal is copied, and that the copy is not finished. Every write of a copy locks
the mark, so that nothing is added to a copy that another one has taken over, or to a database in service.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from refunds.errors import ConfigurationError
from refunds.storage import Engine, Transaction, events
from refunds.storage.events import Head
from refunds.storage.mapper import count_rows
from refunds.storage.migrations import COPY_OF, up_to_date
from refunds.storage.tables import TABLES, StoredTable

AT_ONCE = 2_000
"""Rows in one transaction."""

GENERATED = {"judging_policy", "queue_place"}
"""Columns that the database computes; the service never writes them."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An unfinished copy in a database, of the records as they were at one head of their journal."""

    to: Engine
    mark: str

    @classmethod
    def begun(cls, to: Engine, head: Head, setting: str) -> Self | None:
        """Begin a copy as of this head, or go on with an interrupted one; return None if the copy is already finished.

        It brings the schema up to date, marks the copy as unfinished, sets the head of its journal, and deletes what is
        out of date: everything, if the unfinished copy is of another head. A process still at that copy fails at its
        next write. Raises `ConfigurationError`, naming the setting, if the database has records of its own, steps that
        this version does not know, or a table that clashes with the service's.
        """
        mark = f"{COPY_OF}{head.position} {head.hash.hex()}"
        with up_to_date(to, setting) as (tx, under_way):
            if under_way is None and count_rows(tx, "keys"):
                if events.head(tx) == head:
                    return None
                raise ConfigurationError(f"{setting}: {to.name} has records of its own: name an empty database")
            if under_way == mark:
                _empty(tx, [table for table in TABLES if not table.journalled])
            elif under_way is not None:  # its rows may be out of date
                _empty(tx, reversed(TABLES))
            events.set_head(tx, head)
            tx.run("DELETE FROM migrations WHERE name = :under_way", under_way=under_way)
            tx.run("INSERT INTO migrations (name) VALUES (:mark)", mark=mark)
        return cls(to, mark)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Begin a write to the copy for the block.

        Raises `ConfigurationError` if the copy is finished already, or another copy has taken over.
        """
        with self.to.write() as tx:
            if tx.one("SELECT name FROM migrations WHERE name = :mark {for_update}", mark=self.mark) is None:
                raise ConfigurationError(f"{self.to.name}: another copy has taken over, or has finished this one")
            yield tx

    def rest(self, source: Transaction, table: StoredTable) -> Iterator[int]:
        """Copy the rows that a table of the copy lacks; yield how many rows it has, at first and after each batch.

        Raises `ConfigurationError` if the copy is finished already, or another copy has taken over.
        """
        key, from_end = ", ".join(table.key), ", ".join(f"{name} DESC" for name in table.key)
        with self.to.read() as tx:
            there = count_rows(tx, table.name)
            last = dict(tx.one(f"SELECT {key} FROM {table.name} ORDER BY {from_end} LIMIT 1") or {})  # noqa: S608
        yield there
        while True:
            beyond = f"WHERE ({key}) > ({', '.join(f':{name}' for name in table.key)})" if last else ""
            rows = source.all(f"SELECT * FROM {table.name} {beyond} ORDER BY {key} LIMIT {AT_ONCE}", **last)  # noqa: S608
            if not rows:
                return
            columns = [name for name in rows[0] if name not in GENERATED]
            names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
            with self.write() as tx:
                tx.later(f"INSERT INTO {table.name} ({names}) VALUES ({values})", *rows)  # noqa: S608
            last = {name: rows[-1][name] for name in table.key}
            there += len(rows)
            yield there

    def finish(self) -> None:
        """Remove the mark of the unfinished copy, so that the service can use the database.

        Raises `ConfigurationError` if the copy is finished already, or another copy has taken over.
        """
        with self.write() as tx:
            tx.run("DELETE FROM migrations WHERE name = :mark", mark=self.mark)

    def give_up(self) -> None:
        """Mark the unfinished copy as wrong, so that the next attempt deletes its rows and starts again."""
        with self.write() as tx:
            tx.run("UPDATE migrations SET name = :given_up WHERE name = :mark", given_up=COPY_OF, mark=self.mark)


def _empty(tx: Transaction, tables: Iterable[StoredTable]) -> None:
    """Delete all rows of these tables, table by table."""
    for table in tables:
        tx.run(f"DELETE FROM {table.name}")  # noqa: S608 - one of ours
