"""The engines under test, and helpers for their tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from refunds.storage import Engine
from refunds.storage.migrations import up_to_date
from refunds.storage.postgres import PostgreSQL
from refunds.storage.sqlite import SQLite
from tests import database_of

SCHEMA = (
    "CREATE TABLE parents (id {key} PRIMARY KEY, amount {bigint} NOT NULL, seal {bytes})",
    "CREATE TABLE children (id {key} PRIMARY KEY, parent {key} NOT NULL REFERENCES parents (id), name TEXT UNIQUE)",
    "INSERT INTO parents (id, amount) VALUES ('a', 100)",
    "INSERT INTO parents (id, amount) VALUES ('b', 0)",
)


def migrate(engine):
    """Bring the schema up to date."""
    with up_to_date(engine, "REFUNDS_DATABASE"):
        pass


def in_a_file(url, *, sound, **options):
    """An engine for the database in a file."""
    return SQLite(url.removeprefix("sqlite:///"), sound=sound, **options)


SQLITES = {"write-ahead log": partial(in_a_file, sound=True), "rollback journal": partial(in_a_file, sound=False)}
ENGINES = SQLITES | {"PostgreSQL": PostgreSQL}
"""Every engine that fulfils the contract; add a line for a new one."""


class Opener:
    """The database of a test, which can be opened several times."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.url = database_of(directory, "postgresql" if ENGINES[kind] is PostgreSQL else "sqlite")
        self._made: list[Engine] = []

    def __call__(self, **options) -> Engine:
        """Open another engine for the database."""
        self._made.append(ENGINES[self.kind](self.url, **options))
        return self._made[-1]

    def close(self) -> None:
        """Close every engine, and drop the database from the shared server."""
        for engine in self._made:
            engine.close()
        if ENGINES[self.kind] is PostgreSQL:
            from tests.postgres import shared  # noqa: PLC0415 - processes that fork or are killed must not load it

            shared().drop(self.url)


@contextmanager
def opener(kind: str, directory: Path) -> Iterator[Opener]:
    """An opener of the database of this kind that belongs to a directory, closed after the test."""
    made = Opener(kind, directory)
    try:
        yield made
    finally:
        made.close()


def with_tables(engine):
    """Create two tables with an engine, and return it."""
    with engine.write() as tx:
        for statement in SCHEMA:
            tx.run(statement)
    return engine


def amount(tx, parent="a"):
    """The amount of a row."""
    return tx.one("SELECT amount FROM parents WHERE id = :id", id=parent)["amount"]


def lock(tx, parent="a"):
    """The amount of a row, locked until the transaction ends."""
    return tx.one("SELECT amount FROM parents WHERE id = :id {for_update}", id=parent)["amount"]


def spend(tx, moved):
    """Move an amount from one row to the other."""
    tx.run("UPDATE parents SET amount = amount - :moved WHERE id = 'a'", moved=moved)
    tx.run("UPDATE parents SET amount = amount + :moved WHERE id = 'b'", moved=moved)


def amounts(engine):
    """The amounts of both rows."""
    with engine.read() as tx:
        return amount(tx, "a"), amount(tx, "b")


def require_untouched(engine):
    """Assert that nothing was changed, and that the next write succeeds."""
    assert amounts(engine) == (100, 0)
    with engine.write() as tx:
        spend(tx, 1)
    assert amounts(engine) == (99, 1)


def write(engine, sql, **parameters):
    """Run one statement in its own transaction."""
    with engine.write() as tx:
        return tx.run(sql, **parameters)


def python(code, *arguments):
    """Another process that runs some code; it prints when it is ready, and continues after a line of input."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def together(processes):
    """Let processes continue at the same time, and return the words that each prints."""
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [err for _, err in outputs] == [""] * len(outputs)
    return [out.split() for out, _ in outputs]
