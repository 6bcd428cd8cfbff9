"""Storage: one SQL text for every engine, transactions over it, and the queries, one file per record.

Statements name their parameters (`:order_id`). Braces mark what engines write differently: the types `{bigint}`,
`{bytes}` and `{key}` (a text that orders pages), `{clustered}` after a table that keeps its small rows in the order of
their keys, `{for_update}` after a `SELECT` in a write that locks its rows until the transaction ends, `{unless_held}`
after one that skips rows locked by others, `{policy_of_decision}` after a column with the policy of the row's
decision, `{outcome[reason]}` and `{outcome[deadline]}` for what the outcome of that says, `{computed}` after a column
that the database computes, and `{on_server}` before a statement on one line that only a server needs. To avoid
deadlocks, writes lock rows in this order: keys of requests, customers by their digests, an order, an unmatched contact,
sign-in attempts by name, a user, the head of the journal. A write of many orders locks them customer by customer, in
the order of the customers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from refunds.errors import ConfigurationError, Message

Row = Mapping[str, Any]

PATIENCE = 10.0
"""Seconds that a write waits for others before it fails and must be tried again."""

IN_USE = Message("is in use: stop every instance of the service, and every other command")
"""The text of the error of `unused`."""

FAILED = "a failed statement must end its transaction"
"""Why a commit is refused; raised as an error because `python -O` removes assertions."""


class Transaction(Protocol):
    """Statements that happen together or not at all: after a failed one, none is kept.

    An error of the driver leaves the block as an error of the service: `Conflict` if another transaction was first,
    `StorageUnavailable`, and `Unreadable` if the tables are not those of the service.
    """

    alone: bool
    """Whether nobody else can write while this transaction may."""

    def read_any_text(self) -> None:
        """Return texts that are not UTF-8, which only SQLite can hold, as bytes from now on, and raise no error."""

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """Run a statement and return its row, or None if it returns none; it must not return more."""

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        """Yield the rows of a query, one at a time; read them before the transaction ends."""

    def run(self, sql: str, **parameters: Any) -> int:
        """Run the statement, and return how many rows it changed."""

    def later(self, sql: str, *rows: Row) -> None:
        """Run the statement once for each row, at the latest before the next statement or the commit.

        An error of the statement may be raised only there.
        """


class Engine(ABC):
    """A database; raises `StorageUnavailable` for anything it cannot do at the moment."""

    name: str
    """Where it is, without secrets."""
    connections: int
    """How many connections it has made: only through a new one can another database be there."""
    sqlite_version = ""
    """The version of SQLite; empty if the database is another one."""

    @abstractmethod
    def one(self, sql: str, **parameters: Any) -> Row | None:
        """Run one statement that reads, without a transaction, and return its row; None if there is none."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Transaction]:
        """Begin a read for the block: a transaction that changes nothing, and whose statements all see one state."""

    @abstractmethod
    def write(self, *, exclusive: bool = False, at_start: bool = False) -> AbstractContextManager[Transaction]:
        """Begin a write for the block: a transaction that is committed at its end, or rolled back if the block raises.

        Raises `RuntimeError` instead if a statement failed. Of all processes, one at a time runs an `exclusive` write.
        With `at_start`, a process that waits for its turn does not count as one that uses the database.
        """

    def one_at_a_time(self, waits: Callable[[], None]) -> AbstractContextManager[None]:
        """Let only one instance of a server's database run the block at a time; with a file, only run the block.

        An instance that has to wait calls `waits` once; one that is killed loses its turn. Ordinary writes go on.
        """
        return nullcontext()

    @abstractmethod
    def unused(self) -> AbstractContextManager[None]:
        """Return a context in which no process can begin to use the database, except only to read.

        Entering it raises `ConfigurationError` if a process uses the database, other than only to read.
        """

    @abstractmethod
    def require_alone(self, tx: Transaction) -> None:
        """Raise `ConfigurationError` in an exclusive write if another process uses the database.

        A process that only reads, or waits for its exclusive write at its start, does not.
        """

    def scrub(self, patience: float = 0) -> bool:
        """Remove what was deleted or overwritten from the files that the service writes; return whether that is done.

        Returns False if a read or a write is in the way for longer than `patience`, in seconds. On a server, VACUUM
        does so by itself, and the result is True.
        """
        return True

    def compact(self) -> None:  # noqa: B027 - a server does nothing
        """Rewrite a SQLite file of up to 256 MiB without traces of deleted rows, while writes wait; else do nothing."""

    def require_there(self) -> None:  # noqa: B027 - a server that can be connected to is there
        """Raise `ConfigurationError` if the file is missing or empty; for a server, do nothing.

        Once the file is open, raise `FileReplaced` if it was removed or replaced since.
        """

    @abstractmethod
    def require_whole(self, tx: Transaction) -> None:
        """Raise `DamagedDatabase` if the database's file is damaged or an index does not fit its table.

        SQLite reads its whole file. PostgreSQL looks at no file, and at indexes only where the user may call amcheck.
        """

    def pool(self) -> Mapping[str, int]:
        """Count the connections of this process that are `idle` and `in_use`, and transactions `waiting` for one.

        Also returns the `max` of connections. Empty if connections are not limited, or before the first is needed.
        """
        return {}

    @abstractmethod
    def close(self) -> None:
        """Close every connection; the engine opens new ones when it needs them."""


def open_engine(url: str, *, setting: str = "REFUNDS_DATABASE", readonly: bool = False) -> Engine:
    """Return the engine for a URL: `sqlite:///PATH`, without `?` and `#`, or `postgresql://…`, also `postgres://…`.

    With `readonly`, the engine changes no byte of a file, nor anything beside it, and does not count as in use. A file
    is opened when it is first used; a server is connected to at once. Raises `ConfigurationError`, naming `setting`, if
    the URL has another form or the server cannot be used, and its subclass `ServerAway` if it cannot be reached now.
    """
    # Each driver is imported only for its own databases: psycopg takes a tenth of a second.
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path and "?" not in path and "#" not in path:
        from refunds.storage.sqlite import SQLite  # noqa: PLC0415

        return SQLite(path, readonly=readonly)
    if url.startswith(("postgresql://", "postgres://")):
        from refunds.storage.postgres import PostgreSQL  # noqa: PLC0415

        engine = PostgreSQL(url, setting=setting, readonly=readonly)
        engine.require_fit()
        return engine
    detail = Message(
        "%(setting)s: must be sqlite:///PATH, such as sqlite:///instance/refunds.db, or "
        "postgresql://USER:PASSWORD@HOST:PORT/NAME",
        setting=setting,
    )
    raise ConfigurationError(detail)
