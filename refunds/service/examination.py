"""The installation that the doctor examines, and what a check finds."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from refunds.config import Settings
from refunds.domain.permissions import COMMAND_LINE
from refunds.service.store import Opening, Store
from refunds.storage import Engine, Transaction, open_engine
from refunds.storage.migrations import read_as_it_is
from refunds.storage.unit_of_work import UnitOfWork


class Level(StrEnum):
    """How bad a finding is: `failed` if the service cannot start, lies or leaks, or soon will."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(NamedTuple):
    """What a check has found; without a fix, the text says what to do, or nothing is to be done."""

    level: Level
    text: str
    fix: str = ""


Found = Iterator[Finding]

ok, warning, failed = (partial(Finding, level) for level in Level)


class Patient:
    """The installation that the doctor examines; `now` is the time by which it judges."""

    def __init__(self, settings: Settings, store: Store, now: datetime | None = None) -> None:
        self.settings, self.store, self.now = settings, store, now or datetime.now(UTC)

    @cached_property
    def engine(self) -> Engine:
        """The database, opened at the first use, for reading only."""
        return open_engine(self.settings.database, readonly=True)

    @property
    def file(self) -> Path | None:
        """The file of the database; None if it is on a server."""
        _, separator, path = self.settings.database.partition("sqlite:///")
        return Path(path) if separator else None

    @contextmanager
    def tables(self) -> Iterator[Transaction]:
        """Open a transaction that reads the tables as stored, without a key.

        Raises `ConfigurationError` if the database is missing, is an unfinished copy or has another schema.
        """
        self.engine.require_there()
        with read_as_it_is(self.engine, "REFUNDS_DATABASE") as tx:
            yield tx

    def records(self) -> AbstractContextManager[UnitOfWork]:
        """Return a unit of work that reads the records, as a context; opens the database only to read, if need be.

        Raises `ConfigurationError` with everything that is wrong, and `StorageUnavailable`.
        """
        self.store.open(Opening.READ)
        return self.store.read(COMMAND_LINE)

    def close(self) -> None:
        """Close the database and the store."""
        self.store.close()
        if "engine" in self.__dict__:
            self.engine.close()
