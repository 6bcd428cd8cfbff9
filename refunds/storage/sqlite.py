"""The SQLite engine: one file, many readers, and writers in a queue of their own.

Every transaction looks whether the file and its log are those that were opened: what is written into a file that was
removed or replaced would be lost.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3  # type: ignore[attr-defined] # the newest SQLite that is installed

from refunds.errors import ConfigurationError, Message, StorageUnavailable
from refunds.storage import PATIENCE, Engine, Row, Transaction
from refunds.storage.sqlite_connection import Connection, Unlocked
from refunds.storage.sqlite_errors import (
    cannot_open_error,
    cannot_serve_error,
    damaged_error,
    file_replaced_error,
    is_damage,
    translating_errors,
)
from refunds.storage.ticket import Ticket

_COMPACTED = 256 << 20
"""The largest file, in bytes, that is rewritten."""

_CHECKPOINT = 4000
"""Pages of the log before SQLite moves them into the database: many, so the pages at the journal's end move once."""
_LOGGED = b"\x02\x02"
"""The bytes 18 and 19 of a file whose changes are in a log beside it. Source: SQLite, Database File Format."""


def wal_is_sound(version: tuple[int, ...]) -> bool:
    """Tell whether this SQLite keeps a write-ahead log intact when several connections write and checkpoint it.

    Source: the WAL-reset bug, fixed in 3.51.3 and in the branches 3.44.6 and 3.50.7.
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


class SQLite(Engine):
    """A database in one file, which is opened when it is first used; with `readonly`, no byte of it changes.

    A write waits up to `patience` seconds for others. With `sound`, the database has a write-ahead log, else a rollback
    journal; by default, `wal_is_sound` decides.
    """

    sqlite_version = sqlite3.sqlite_version

    def __init__(
        self, path: str, *, patience: float = PATIENCE, sound: bool | None = None, readonly: bool = False
    ) -> None:
        self.name = path
        self._readonly = readonly
        self.path = Path(os.path.realpath(path))
        """The file itself: SQLite keeps the log beside it, not beside a symbolic link to it."""
        self._patience, self.connections = patience, 0
        sound = wal_is_sound(sqlite3.sqlite_version_info) if sound is None else sound
        self._journal_mode = "WAL" if sound else "TRUNCATE"
        self._ticket = Ticket(self.path, patience)
        self._writer: Connection | None = None
        self._readers: list[Connection] = []
        self._names = [f"{self.path}{end}" for end in (("", "-wal", "-shm") if sound else ("",))]
        self._files: _Files | None = None
        """The file and its log as they were when they were opened; None while they are closed."""
        self._has_written = False

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """Run one statement that reads, without a transaction, and return its first row; None if there is none."""
        with self._reader() as reader:
            found = reader.all(sql, **parameters)  # to the end: else the statement would keep its snapshot open
        return found[0] if found else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that only reads, for the block; all its statements see the state at the first one."""
        with self._reader() as reader:
            reader.execute("BEGIN")
            yield reader

    @contextmanager
    def _reader(self) -> Iterator[Connection]:
        """Take a connection to read with for the block; a transaction that the block leaves on it is rolled back."""
        with translating_errors(self.name):
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = self._connect_to_file() if self._readonly else self._connect(readonly=True)
            try:
                self._require_same_files()
                yield reader
            finally:
                reader.rollback()
                self._require_unchanged(reader)
                self._readers.append(reader)

    @contextmanager
    def write(self, *, exclusive: bool = False, at_start: bool = False) -> Iterator[Connection]:
        """Begin a write for the block, which is committed at its end, or rolled back if an error leaves it.

        All writes are exclusive: a write waits up to ten seconds for those before it, then raises `StorageUnavailable`.
        Raises `RuntimeError` instead of committing if a statement failed in the block. Raises `FileReplaced` if the
        database file has been moved or replaced, before or after the block; after it, the write may be lost or kept.
        """
        with translating_errors(self.name), self._ticket.held():
            if self._writer is None:
                self._writer = self._connect()
            writer = self._writer
            self._require_same_files()
            try:
                writer.execute("BEGIN IMMEDIATE")
                yield writer
                self._require_same_files()
                writer.commit()
                self._has_written = True
                self._require_same_files()  # what is acknowledged was written before the file was moved
            except BaseException:
                writer.rollback()
                self._require_same_files()  # SQLite calls a moved file one that is only read
                raise

    def scrub(self, patience: float = 0) -> bool:
        """Move the log (WAL) into the database file, where deleted data is overwritten, and return True.

        Return False if others prevent it for `patience` seconds.
        """
        file = f"{self.path.as_uri()}?mode=rw"
        with translating_errors(self.name), closing(sqlite3.connect(file, uri=True, timeout=patience)) as connection:
            connection.execute("SELECT * FROM sqlite_master").fetchall()  # undoes a write of which the journal is left
            return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def compact(self) -> None:
        """Rewrite the file without traces of deleted rows, if it has at most 256 MiB; writes wait meanwhile.

        It takes at most two seconds and 256 MiB of memory. Traces are copies that SQLite left behind when it moved rows
        within the file: there is one for some thousands of deleted rows.
        """
        with translating_errors(self.name), self._ticket.held(), closing(self._connect()) as connection:
            if self.path.stat().st_size <= _COMPACTED:
                connection.execute("VACUUM")

    def require_there(self) -> None:
        """Raise `ConfigurationError` if the file is missing or empty; `FileReplaced` if an open one was replaced."""
        self._require_same_files()
        if self._files is None and not (self.path.is_file() and self.path.stat().st_size):
            exists = Message("is no file") if self.path.exists() else Message("does not exist")
            found = Message("is empty") if self.path.is_file() else exists
            detail = Message(
                "REFUNDS_DATABASE: %(name)s %(found)s. Set REFUNDS_DATABASE to the right one, or restore its backup; "
                "make a new installation with flask init",
                name=self.name,
                found=found,
            )
            raise ConfigurationError(detail)

    def require_whole(self, tx: Transaction) -> None:
        """Raise `DamagedDatabase` if SQLite finds damage in the file, or an index that does not fit its table."""
        if (found := tx.all("PRAGMA integrity_check(1)")[0]["integrity_check"]) != "ok":
            raise damaged_error(self.name, found)

    def close(self) -> None:
        """Wait for a write of this process, then close every idle connection; connections open again when needed.

        If this process has written nothing, the log beside the file stays as it is: it may be another database's.
        """
        with self._ticket.closing():
            keeper = None  # it only reads, so that closing the others does not move the log to the file
            with suppress(OSError, StorageUnavailable, sqlite3.Error):
                if not self._has_written and Path(f"{self.path}-wal").stat().st_size:
                    keeper = self._connect_to_file()
                    keeper.execute("PRAGMA schema_version")  # opens the log
            while self._readers:
                self._readers.pop().close()
            if self._writer is not None:
                # A file that was moved gets what is in its log, which stays behind and would damage another database.
                with suppress(StorageUnavailable, sqlite3.Error):
                    if self._has_written and self._present_files() != self._files:
                        self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._writer.close()
                self._writer = None
            if keeper is not None:
                keeper.close()
            self._files, self._has_written = None, False

    def unused(self) -> AbstractContextManager[None]:
        """Return a context in which no process can begin to use the database, except only to read.

        Entering it raises `ConfigurationError` if a process uses the database, other than only to read.
        """
        return self._ticket.unused()

    def require_alone(self, tx: Transaction) -> None:
        """Raise `ConfigurationError` in a write if another process uses the database, other than only to read."""
        self._ticket.require_alone()

    def settle(self) -> None:
        """Move what a killed process left beside the file into it; raises `StorageUnavailable` if it is being read."""
        if not self.scrub(self._patience):
            raise cannot_serve_error(self.name, "it is being read: wait for that command, or stop it")

    def copy_to(self, file: Path) -> None:
        """Copy the database, as it is at one moment, to an empty file, and sync the file to disk.

        Meanwhile, others can write to the database. Raises `DamagedDatabase`; `OSError`, naming the file, if the
        database cannot be copied, for example for lack of room; and `StorageUnavailable` if the database is not there,
        or was written to while it was read without a lock.
        """
        # Not the backup interface: it starts again after each write of another process, and copies what was deleted.
        try:
            with closing(self._connect_to_file() if self._readonly else self._connect()) as connection:
                try:
                    # The copy inherits it: else traces of rows that move while it is built stay in it for good.
                    connection.execute("PRAGMA secure_delete = ON")
                    connection.execute("VACUUM INTO :file", {"file": str(file)})
                finally:
                    self._require_unchanged(connection)
        except sqlite3.Error as error:
            if is_damage(error):
                raise damaged_error(self.name, error) from error
            raise OSError(0, f"{self.name} cannot be copied: {error}", str(file)) from error
        sync(file)

    def _connect_to_file(self) -> Connection:
        """Open a connection that changes neither the file nor anything beside it; a read-only disk will do."""
        # Without its log no process uses the file, and the driver would make the log's files to read it, so it is read
        # without a lock. If the log is there, others use it: opening the file here would release this process's locks.
        unlocked = None
        if not Path(f"{self.path}-wal").exists():
            try:
                with self.path.open("rb") as file:
                    if file.read(20)[18:] == _LOGGED:
                        unlocked = self._without_log()
            except OSError as error:
                raise cannot_open_error(self.name, error) from error
        opened = self._opened("immutable=1" if unlocked else "mode=ro", unlocked)
        opened.execute("PRAGMA trusted_schema = OFF")
        return opened

    def _require_unchanged(self, connection: Connection) -> None:
        """Close a connection, and raise `StorageUnavailable`, if others wrote to the file that it read unlocked."""
        if connection.unlocked and connection.unlocked != self._without_log():
            connection.close()
            raise cannot_serve_error(self.name, "the service started while it was read: run the command again")

    def _without_log(self) -> Unlocked | None:
        """Return the file's identity, size and time, to notice changes; None without a file or with a log (WAL)."""
        if not Path(f"{self.path}-wal").exists():
            with suppress(OSError):
                found = self.path.stat()
                return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        return None

    def _connect(self, *, readonly: bool = False) -> Connection:
        """Open a new connection; create the file first if there is none, even with `readonly`.

        Raises `FileReplaced` if the file was open before and has been removed or replaced since.
        """
        self._require_same_files()
        self.connections += 1
        if self._files is None:
            # Only the owner may read the file. An existing one is not opened here: closing it would release all locks
            # that this process has on it, and other processes' writes could be lost.
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                pass
            except OSError as error:
                raise cannot_open_error(self.name, error) from error
        file = self._present_files()[0]
        opened = self._opened("mode=rw")
        # FULL: with NORMAL, a power cut loses acknowledged commits. secure_delete: deleted data is overwritten.
        pragmas = (
            f"journal_mode = {self._journal_mode}",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "trusted_schema = OFF",
            f"wal_autocheckpoint = {_CHECKPOINT}",
            f"query_only = {'ON' if readonly else 'OFF'}",
        )
        try:
            for pragma in pragmas:
                opened.execute(f"PRAGMA {pragma}")
            opened.execute("PRAGMA schema_version")  # opens the log
            present = self._present_files()
            self._require((file, *present[1:]), present)
            self._require(self._files or present, present)
        except BaseException:
            opened.close()
            raise
        self._files = present
        return opened

    def _opened(self, mode: str, unlocked: Unlocked | None = None) -> Connection:
        """Open a connection to the file, which must be there; `mode` is a parameter of SQLite's file names.

        `unlocked` is the state of a file that is read without a lock.
        """
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=self._patience,
            cached_statements=256,
        )
        return Connection(Database(connection, execute_plugins=False), self.name, unlocked)

    def _require_same_files(self) -> None:
        """Raise `FileReplaced` if the files that were opened were removed or replaced; do nothing while closed."""
        if self._files is not None:
            self._require(self._files, self._present_files())

    def _require(self, opened: "_Files", present: "_Files") -> None:
        """Raise `FileReplaced` if the files that are present are not those that were opened."""
        if opened != present:
            raise file_replaced_error(self.name)

    def _present_files(self) -> "_Files":
        """Return which files the database and its log are now; raises `StorageUnavailable` if that cannot be seen."""
        try:
            return tuple(map(_file_id, self._names))
        except OSError as error:
            raise cannot_open_error(self.name, error) from error


def sync(path: Path) -> None:
    """Wait until the disk has the content of a file, or the names in a directory. Raises `OSError`.

    The file must not be a database that is open in this process.
    """
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


_FileId = tuple[int, int] | None
_Files = tuple[_FileId, ...]


def _file_id(path: str) -> _FileId:
    """Return what tells a file from others on this machine; None if there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - for every transaction, so it has to be quick
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
