"""Copies of a whole database in another one, row by row as it is stored, whatever the engines.

What has arrived is told by the rows themselves: each table grows in the order of its key. A mark among the steps of the
schema tells which state of the journal a copy is of, and that it is not finished. Every write of a copy holds it, so
that nothing is added to a copy that another one has taken over, or to a database that is served from.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from refunds.errors import ConfigurationError
from refunds.storage import Engine, Transaction, events
from refunds.storage.events import NO_EVENT, Head
from refunds.storage.mapper import count_rows
from refunds.storage.migrations import COPY_OF, GENERATED, up_to_date
from refunds.storage.tables import TABLES, StoredTable

AT_ONCE = 2_000
"""Rows in one transaction."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy under way in a database, of the records as they were at a head of their journal."""

    to: Engine
    mark: str

    @classmethod
    def begun(cls, to: Engine, head: Head, setting: str) -> Self | None:
        """A new copy, or the rest of one that was broken off; None where there is one that is finished.

        Raises `ConfigurationError`, naming the setting that names the database, for one with records of its own.
        """
        mark = f"{COPY_OF}{head.position} {head.hash.hex()}"
        with up_to_date(to, setting) as (tx, under_way):
            if under_way is None and count_rows(tx, "keys"):
                if events.head(tx) == head:
                    return None
                raise ConfigurationError(f"{setting}: {to.name} has records of its own: name an empty database")
            if under_way == mark:
                _empty(tx, [table for table in TABLES if not table.journalled])
            elif under_way is not None:  # the rows that are there may be others by now
                _empty(tx, reversed(TABLES))
                events.set_head(tx, NO_EVENT)
            tx.run("DELETE FROM migrations WHERE name = :under_way", under_way=under_way)
            tx.run("INSERT INTO migrations (name) VALUES (:mark)", mark=mark)
        return cls(to, mark)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A write to the copy; raises `ConfigurationError` where it is no longer this one's."""
        with self.to.write() as tx:
            if tx.one("SELECT name FROM migrations WHERE name = :mark {for_update}", mark=self.mark) is None:
                raise ConfigurationError(f"{self.to.name}: another copy has taken over, or has finished this one")
            yield tx

    def rest(self, source: Transaction, table: StoredTable) -> Iterator[int]:
        """Copy what is missing of a table; after each step, how many rows are there."""
        with self.to.read() as tx:
            there, last = count_rows(tx, table.name), _last(tx, table)
        yield there
        key = ", ".join(table.key)
        while True:
            beyond = f"WHERE ({key}) > ({', '.join(f':{name}' for name in table.key)})" if last else ""
            rows = source.all(f"SELECT * FROM {table.name} {beyond} ORDER BY {key} LIMIT {AT_ONCE}", **last)  # noqa: S608
            if not rows:
                return
            columns = [name for name in rows[0] if name not in GENERATED]
            names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
            with self.write() as tx:
                tx.many(f"INSERT INTO {table.name} ({names}) VALUES ({values})", rows)  # noqa: S608
            last = {name: rows[-1][name] for name in table.key}
            there += len(rows)
            yield there

    def end_journal(self, head: Head) -> None:
        """Say which event is the last one."""
        with self.write() as tx:
            events.set_head(tx, head)

    def finish(self) -> None:
        """Let the copy be served from."""
        with self.write() as tx:
            tx.run("DELETE FROM migrations WHERE name = :mark", mark=self.mark)

    def give_up(self) -> None:
        """Let the next attempt begin anew: what is there is not what it should be."""
        with self.write() as tx:
            tx.run("UPDATE migrations SET name = :given_up WHERE name = :mark", given_up=COPY_OF, mark=self.mark)


def _empty(tx: Transaction, tables: Iterable[StoredTable]) -> None:
    for table in tables:
        tx.run(f"DELETE FROM {table.name}")  # noqa: S608 - one of ours


def _last(tx: Transaction, table: StoredTable) -> dict[str, object]:
    descending = ", ".join(f"{name} DESC" for name in table.key)
    row = tx.one(f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {descending} LIMIT 1")  # noqa: S608
    return dict(row or {})
