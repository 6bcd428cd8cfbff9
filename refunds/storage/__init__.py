"""Storage: one SQL text for every engine, transactions over it, and the queries, one file a record.

Statements name their parameters (`:order_id`) and leave in braces what engines write differently: the types
`{bigint}`, `{bytes}` and `{key}` (a text that pages are ordered by), `{clustered}` after a table whose small rows are
kept in the order of their keys, and `{for_update}` after a `SELECT` in a write that must hold its rows until the
transaction ends. Whoever holds several rows holds orders before the head of the journal, and nothing else.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from refunds.errors import ConfigurationError

Row = Mapping[str, Any]


class Transaction(Protocol):
    """Statements that happen together or not at all."""

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """The only row, if there is one."""

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        """Every row."""

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        """Every row, one at a time."""

    def run(self, sql: str, **parameters: Any) -> int:
        """How many rows the statement changed; raises `Conflict`."""


class Engine(Protocol):
    """A database. Whatever it cannot do just now raises `StorageUnavailable`."""

    name: str
    """Where it is, without secrets."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that sees one state of the records, however many statements it has, and changes nothing."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that is committed at the end of the block, or rolled back if an error leaves it."""

    def close(self) -> None:
        """Let go of every connection; they are opened anew when needed."""


def open_engine(url: str) -> Engine:
    """The engine that a URL names; raises `ConfigurationError`."""
    from refunds.storage.sqlite import SQLite  # noqa: PLC0415 - engines import this module

    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path and "?" not in path and "#" not in path:
        return SQLite(path)
    raise ConfigurationError("REFUNDS_DATABASE: must be sqlite:///PATH, such as sqlite:///instance/refunds.db")
