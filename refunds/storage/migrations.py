"""The schema, brought up to date step by step: each step is a file of SQL in `steps/`.

Never change a released step: add one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ulid import ULID

from refunds.domain.journal import GENESIS
from refunds.errors import ConfigurationError, Message, Unreadable
from refunds.storage import Engine, Transaction

COPY_OF = "copy of "
"""The prefix of the step that marks an unfinished copy: the service starts only after the copy removes it."""

MIGRATIONS = tuple(
    (file.stem, re.sub(r"(?m)^--.*\n", "", file.read_text("utf-8")))
    for file in sorted(Path(__file__).with_name("steps").glob("*.sql"))
)
"""The steps in their order: the name and the statements of each, without the comments."""

_KNOWN = {step for step, _ in MIGRATIONS}
_NEWER = Message("%(database)s was made by a newer version of the service: use that version")


@contextmanager
def up_to_date(engine: Engine, setting: str) -> Iterator[tuple[Transaction, str | None]]:
    """Begin an exclusive write, run the missing steps of the schema, and give the journal an id if it has none.

    Yields the write and, if the database is an unfinished copy, the step that says so; else None. Raises
    `ConfigurationError`, naming the database by `setting`, if it has steps that this version does not know, if it lacks
    some and another process uses it, or if one of its tables clashes with the service's: an `Unreadable` in the block
    counts as that. Other tables are not noticed.
    """
    named = {"database": f"{setting}: {engine.name}"}
    try:
        with engine.write(exclusive=True, at_start=True) as tx:
            tx.run("CREATE TABLE IF NOT EXISTS migrations (name {key} PRIMARY KEY)")
            taken: set[str] = {row["name"] for row in tx.all("SELECT name FROM migrations")}
            copies = {step for step in taken if step.startswith(COPY_OF)}
            if taken - _KNOWN - copies:
                raise ConfigurationError(_NEWER.filled(**named))
            missing = [(step, statements) for step, statements in MIGRATIONS if step not in taken]
            if taken and missing:
                engine.require_alone(tx)  # an instance of the earlier version would go on in a schema it does not know
            for step, statements in missing:
                for statement in filter(str.strip, statements.split(";\n")):
                    tx.run(statement, **({"genesis": GENESIS} if ":genesis" in statement else {}))
                tx.run("INSERT INTO migrations (name) VALUES (:step)", step=step)
            tx.run("UPDATE journal_head SET journal_id = :journal WHERE journal_id IS NULL", journal=f"jrn_{ULID()}")
            yield tx, next(iter(copies), None)
    except Unreadable as error:
        detail = Message("%(database)s contains something else (%(error)s): name a database of its own")
        raise ConfigurationError(detail.filled(**named, error=error)) from None


@contextmanager
def read_as_it_is(engine: Engine, setting: str, *, earlier: bool = False) -> Iterator[Transaction]:
    """Begin a read for the block, of a database with the schema of this version or, with `earlier`, of an earlier one.

    Raises `ConfigurationError`, naming the database by `setting`, if it has another schema or none, or is an unfinished
    copy. An `Unreadable` that the block raises becomes a `ConfigurationError`, too: it says that there are no records.
    """
    named = {"database": f"{setting}: {engine.name}"}
    try:
        with engine.read() as tx:
            taken = {row["name"] for row in tx.all("SELECT name FROM migrations")}
            if any(step.startswith(COPY_OF) for step in taken):
                detail = Message("%(database)s is an unfinished copy: finish it with the command that began it")
                raise ConfigurationError(detail.filled(**named))
            if taken - _KNOWN:
                raise ConfigurationError(_NEWER.filled(**named))
            if _KNOWN - taken and not earlier:
                detail = Message("%(database)s was made by an earlier version of the service: run flask migrate")
                raise ConfigurationError(detail.filled(**named))
            yield tx
    except Unreadable:
        detail = Message("%(database)s has no records: name the right database")
        raise ConfigurationError(detail.filled(**named)) from None
