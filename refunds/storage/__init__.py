"""Storage: one SQL text for every engine, transactions over it, and the queries, one file a record.

Statements name their parameters (`:order_id`) and leave in braces what engines write differently: the types
`{bigint}`, `{bytes}` and `{key}` (a text that pages are ordered by), `{clustered}` after a table whose small rows are
kept in the order of their keys, `{for_update}` after a `SELECT` in a write that must hold its rows until the
transaction ends, `{unless_held}` after one that passes over rows which others hold, and `{policy_of_decision}` after a
column that holds the policy of the row's decision. So that no two wait for each other, rows are held in this order:
keys of requests, customers by their digests, an order, attempts at signing in by a name, a user, the head of the
journal.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from refunds.errors import ConfigurationError

Row = Mapping[str, Any]

PATIENCE = 10.0
"""Seconds that a write waits for others before it is told to try again."""


FAILED = "a failed statement must end its transaction"
"""Why a commit is refused; raised, as `python -O` takes assertions away."""


class Transaction(Protocol):
    """Statements that happen together or not at all: after one that failed, none is kept.

    An error of the driver becomes one of the service's own where it leaves the block: `Conflict` where another
    transaction was first, `StorageUnavailable`, and `Unreadable` where the tables are not those of the service.
    """

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """The only row, if there is one."""

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        """Every row."""

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        """Every row, one at a time."""

    def run(self, sql: str, **parameters: Any) -> int:
        """How many rows the statement changed."""

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run the statement with the parameters of each row."""


class Engine(Protocol):
    """A database. Whatever it cannot do just now raises `StorageUnavailable`."""

    name: str
    """Where it is, without secrets."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that sees one state of the records, however many statements it has, and changes nothing."""

    def write(self, *, exclusive: bool = False) -> AbstractContextManager[Transaction]:
        """A transaction that is committed at the end of the block, or rolled back if an error leaves it.

        Of those that are to be `exclusive`, in all processes, only one is under way at a time.
        """

    def close(self) -> None:
        """Let go of every connection; they are opened anew when needed."""


def open_engine(url: str, *, setting: str = "REFUNDS_DATABASE") -> Engine:
    """The engine that a URL, given by this setting, names.

    Raises `ConfigurationError`, also for a server that cannot be used.
    """
    # Each driver is imported for its own databases alone: psycopg takes a tenth of a second.
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path and "?" not in path and "#" not in path:
        from refunds.storage.sqlite import SQLite  # noqa: PLC0415

        return SQLite(path)
    if url.startswith(("postgresql://", "postgres://")):
        from refunds.storage.postgres import PostgreSQL  # noqa: PLC0415

        engine = PostgreSQL(url, setting=setting)
        engine.require_fit()
        return engine
    raise ConfigurationError(
        f"{setting}: must be sqlite:///PATH, such as sqlite:///instance/refunds.db,"
        " or postgresql://USER:PASSWORD@HOST:PORT/NAME"
    )
