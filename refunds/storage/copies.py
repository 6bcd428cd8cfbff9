"""Copies of a whole database in another one, row by row as it is stored, whatever the engines.

What has arrived is told by the rows themselves: each table grows in the order of its key. A step of the schema tells
which state of the journal a copy is of, and that it is not finished.
"""

from collections.abc import Iterator

from refunds.errors import ConfigurationError
from refunds.journal import GENESIS
from refunds.storage import Engine, Transaction, events
from refunds.storage.migrations import COPY_OF, take_steps

TABLES = {
    "keys": ("name",),
    "clients": ("client_id",),
    "tokens": ("token_id",),
    "customers": ("customer_id",),
    "orders": ("order_id",),
    "contacts": ("contact_id",),
    "cancellations": ("cancellation_id",),
    "events": ("position",),
    "idempotency": ("client_id", "key_hash"),
}
"""Every table with its key, each after those that it refers to; the head of the journal is set at the end."""

AT_ONCE = 2_000
"""Rows in one transaction."""


def begin(source: Transaction, to: Engine, setting: str) -> None:
    """Make a database ready for a copy, or for the rest of one that was broken off.

    Raises `ConfigurationError` for one that has records of its own.
    """
    position, last_hash = events.head(source)
    copy_of = f"{COPY_OF}{position} {last_hash.hex()}"
    with to.write(alone=True) as tx:
        under_way = take_steps(tx, f"{setting}: {to.name}")
        if under_way is None and count(tx, "keys"):
            raise ConfigurationError(f"{setting}: {to.name} has records of its own: name an empty database")
        if under_way not in {None, copy_of}:  # the rows that are there may be others by now
            for table in reversed(TABLES):
                tx.run(f"DELETE FROM {table}")  # noqa: S608 - one of ours
            events.set_head(tx, 0, GENESIS)
            tx.run("DELETE FROM migrations WHERE name = :under_way", under_way=under_way)
        if under_way != copy_of:
            tx.run("INSERT INTO migrations (name) VALUES (:copy_of)", copy_of=copy_of)


def rest(source: Transaction, to: Engine, table: str) -> Iterator[int]:
    """Copy what is missing of a table; after each step, how many rows are there."""
    with to.read() as tx:
        there, last = count(tx, table), _last(tx, table)
    yield there
    key = ", ".join(TABLES[table])
    while True:
        beyond = f"WHERE ({key}) > ({', '.join(f':{name}' for name in TABLES[table])})" if last else ""
        rows = source.all(f"SELECT * FROM {table} {beyond} ORDER BY {key} LIMIT {AT_ONCE}", **last)  # noqa: S608
        if not rows:
            return
        names = ", ".join(rows[0])
        with to.write() as tx:
            tx.many(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in rows[0])})", rows)  # noqa: S608
        last = {name: rows[-1][name] for name in TABLES[table]}
        there += len(rows)
        yield there


def count(tx: Transaction, table: str) -> int:
    """How many rows a table has."""
    row = tx.one(f"SELECT count(*) AS rows FROM {table}")  # noqa: S608 - one of ours
    assert row is not None
    rows: int = row["rows"]
    return rows


def end_journal(source: Transaction, to: Engine) -> None:
    """Set the head of the journal in the copy."""
    with to.write() as tx:
        events.set_head(tx, *events.head(source))


def finish(to: Engine) -> None:
    """Let the copy be served from."""
    with to.write(alone=True) as tx:
        tx.run("DELETE FROM migrations WHERE name LIKE :copies", copies=f"{COPY_OF}%")


def _last(tx: Transaction, table: str) -> dict[str, object]:
    descending = ", ".join(f"{name} DESC" for name in TABLES[table])
    row = tx.one(f"SELECT {', '.join(TABLES[table])} FROM {table} ORDER BY {descending} LIMIT 1")  # noqa: S608
    return dict(row or {})
