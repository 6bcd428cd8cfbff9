"""The queue of the writers of a SQLite file.

SQLite lets one transaction write at a time and picks the next waiting one by chance. So every write first takes a
ticket: a lock within the process, then a lock on a file beside the database for all processes. A second file there is
locked for as long as a process that writes has the database open.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from refunds.errors import ConfigurationError, Message, StorageUnavailable
from refunds.storage import IN_USE
from refunds.storage.sqlite_errors import cannot_open_error

_SHORTEST_NAP, _LONGEST_NAP = 0.0001, 0.002
"""Seconds between two looks at a taken ticket: the longer a write has waited, the more often it looks."""


class Ticket:
    """A lock that a write to the database in the file at `path` must hold; it waits for it up to `patience` seconds."""

    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._lock = threading.Lock()
        self._file: int | None = None
        self._in_use: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the ticket in the block, so that no other thread or process writes to the database.

        From then until `closing`, other processes see that the database is in use. Raises `StorageUnavailable` if the
        ticket is not free in time, or while the database is restored or copied.
        """
        deadline = monotonic() + self._patience
        if not self._lock.acquire(timeout=self._patience):
            raise StorageUnavailable(Message("Too many writes are waiting."))
        try:
            self._file = self._open("lock") if self._file is None else self._file
            _lock_file(self._file, deadline)
            try:
                self._begin_use()
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def _begin_use(self) -> None:
        """Show other processes, until `closing`, that this one uses the database.

        Raises `StorageUnavailable` if the database is being restored or copied.
        """
        if self._in_use is None:  # not before the lock is taken: a process that waits for it may yet be refused
            file = self._open("in-use")
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                raise StorageUnavailable(Message("The database is being restored or copied.")) from None
            self._in_use = file

    def require_alone(self) -> None:
        """Raise `ConfigurationError` if another process uses the database, other than only to read; for use in `held`.

        As long as the ticket is held, no other process begins to use the database.
        """
        assert self._in_use is not None
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"REFUNDS_DATABASE: {self._path} {IN_USE}") from None
        finally:
            fcntl.flock(self._in_use, fcntl.LOCK_SH)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Let no thread of this process write in the block; after it, close the lock files.

        From then on, other processes no longer see that this process uses the database.
        """
        with self._lock:
            yield
            for file in (self._file, self._in_use):
                if file is not None:
                    os.close(file)
            self._file = self._in_use = None

    @contextmanager
    def unused(self) -> Iterator[None]:
        """Let no process begin to use the database during the block, except only to read.

        Raises `ConfigurationError` before the block if a process uses the database, other than only to read.
        """
        with held_alone(self._open("in-use"), f"REFUNDS_DATABASE: {self._path} {IN_USE}"):
            yield

    def _open(self, name: str) -> int:
        """Open the file with this ending beside the database, made if needed, and return its descriptor.

        Raises `StorageUnavailable` if it cannot be opened.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(f"{self._path}.{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot_open_error(str(self._path), error) from error


@contextmanager
def held_alone(file: int, refusal: str) -> Iterator[int]:
    """Lock an open file for the block, then close it; at once raises `ConfigurationError` if others have locked it."""
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(refusal) from None
        yield file
    finally:
        os.close(file)


def _lock_file(file: int, deadline: float) -> None:
    """Lock an open file as soon as no other process has it locked.

    Raises `StorageUnavailable` if it is still locked at the deadline, which is a time of `monotonic`.
    """
    nap = _LONGEST_NAP
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if monotonic() > deadline:
            raise StorageUnavailable(Message("Another process has been writing for too long."))
        sleep(nap)
        nap = max(nap * 0.9, _SHORTEST_NAP)
