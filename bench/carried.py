"""Copies the records of an installation on SQLite to PostgreSQL: the same rows, by COPY, in a few minutes."""

from contextlib import closing

import psycopg
from psycopg import sql

from bench.installed import Installed
from refunds.storage import open_engine
from refunds.storage.migrations import up_to_date
from refunds.storage.sqlite import sqlite3
from refunds.storage.tables import NAMES
from tests.postgres import Cluster

TABLES = (*NAMES, "journal_head")
GROWN = ("customers", "orders", "promises", "contacts", "cancellations", "events")
"""Tables with many rows; a table that is vacuumed while it is empty would be planned for as if it stayed empty."""


def carried(home: Installed, server: Cluster) -> Installed:
    """A copy of an installation on PostgreSQL, with the same records and token; the original must not be in use.

    Its database is a new one on the server, and its directory is beside the original's.
    """
    url = server.create()
    with closing(open_engine(url)) as engine, up_to_date(engine, "REFUNDS_DATABASE"):
        pass
    with (
        closing(sqlite3.connect(home.database.removeprefix("sqlite:///"))) as source,
        psycopg.connect(url, autocommit=True) as target,
    ):
        target.execute("TRUNCATE journal_head")  # a new schema already has a row
        for table in TABLES:
            _carry(source, target, table)
        # Autovacuum would have done this while the records were written, and would else do it during the measurement.
        target.execute(f"VACUUM (ANALYZE) {', '.join(GROWN)}")
    return home.with_database(url, f"{home.directory.name}-on-postgresql")


def _carry(source: sqlite3.Connection, target: psycopg.Connection, table: str) -> None:
    """Append every row of a table to that of the same name; columns have the same names and types on each engine."""
    written = [name for _, name, *_ in source.execute(f"PRAGMA table_info({table})")]  # without generated columns
    rows = source.execute(f"SELECT {', '.join(written)} FROM {table}")  # noqa: S608 - one of the above
    columns = map(sql.Identifier, written)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), sql.SQL(", ").join(columns))
    with target.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
