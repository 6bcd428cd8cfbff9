"""The SQLite engine: one file, many readers, and writers in a queue of their own.

SQLite lets one transaction write at a time and picks the next waiting one by chance. So every write first takes a
ticket: a lock within the process, then a lock on a file beside the database for all processes. A second file there is
locked for as long as a process that writes has the database open.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3  # type: ignore[attr-defined] # the newest SQLite that is installed

from refunds.errors import ConfigurationError, Conflict, Message, StorageUnavailable, Unreadable
from refunds.storage import FAILED, PATIENCE, Row

_SHORTEST_NAP, _LONGEST_NAP = 0.0002, 0.002
"""Seconds between two looks at a taken ticket: the longer a write has waited, the more often it looks."""

_CHECKPOINT = 4000
"""Pages of the log before SQLite moves them into the database: many, so the pages at the journal's end move once."""
_LOGGED = b"\x02\x02"
"""The bytes 18 and 19 of a file whose changes are in a log beside it. Source: SQLite, Database File Format."""

_DIALECT = {
    "bigint": "INTEGER",
    "bytes": "BLOB",
    "key": "TEXT",
    "clustered": " WITHOUT ROWID",
    "for_update": "",
    "unless_held": "",
    # NULL for a decision that was tampered with; the audit finds it.
    "policy_of_decision": "GENERATED ALWAYS AS"
    " (CASE WHEN json_valid(decision) THEN json_extract(decision, '$.outcome.policy') END) VIRTUAL",
}

# A stale snapshot, a full disk, a locked, missing or unreadable file: not the caller's fault.
_OUT_OF_ORDER = frozenset(
    {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CORRUPT"}
    | {"SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL", "SQLITE_NOTADB"}
)


def wal_is_sound(version: tuple[int, ...]) -> bool:
    """Whether this version of SQLite keeps a write-ahead log intact when several connections write and checkpoint it.

    Source: the WAL-reset bug, fixed in 3.51.3 and in the branches 3.44.6 and 3.50.7.
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


class SQLite:
    """A database in one file."""

    def __init__(
        self, path: str, *, patience: float = PATIENCE, sound: bool | None = None, readonly: bool = False
    ) -> None:
        self.name = path
        self._readonly = readonly
        self._path = Path(path)
        self._patience = patience
        sound = wal_is_sound(sqlite3.sqlite_version_info) if sound is None else sound
        self._journal_mode = "WAL" if sound else "TRUNCATE"
        self._ticket = threading.Lock()
        self._ticket_file: int | None = None
        self._in_use: int | None = None
        self._writer: _Connection | None = None
        self._readers: list[_Connection] = []

    @contextmanager
    def read(self) -> Iterator["_Connection"]:
        """A transaction that sees one state of the records and changes nothing."""
        with _translated():
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = self._connect_to_file() if self._readonly else self._connect(readonly=True)
            try:
                reader.execute("BEGIN")
                yield reader
            finally:
                reader.rollback()
                self._readers.append(reader)

    @contextmanager
    def write(self, *, exclusive: bool = False) -> Iterator["_Connection"]:
        """A transaction that is committed at the end of the block, or rolled back if an error leaves it.

        All writes are exclusive: one waits up to ten seconds for those before it, then raises `StorageUnavailable`.
        Raises `RuntimeError` instead of committing if a statement failed in the block.
        """
        with _translated(), self._queue():
            if self._writer is None:
                self._writer = self._connect()
            writer = self._writer
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.commit()
            except BaseException:
                writer.rollback()
                raise

    def one_at_a_time(self, waits: Callable[[], None]) -> nullcontext[None]:
        """A block like any other: a file is served by one instance."""
        return nullcontext()

    def require_there(self) -> None:
        """Raise `ConfigurationError` if there is no such file, with the ways on."""
        if not self._path.exists():
            raise ConfigurationError(
                f"REFUNDS_DATABASE: there is no file {self.name}. Name the right database, or restore its backup; "
                "make a new installation with flask init"
            )

    def close(self) -> None:
        """Close every connection that is not in use; they open again when needed. Waits for a write of this process."""
        with self._ticket:
            while self._readers:
                self._readers.pop().close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            for file in (self._ticket_file, self._in_use):
                if file is not None:
                    os.close(file)
            self._ticket_file = self._in_use = None

    @contextmanager
    def unused(self) -> Iterator[None]:
        """Hold the database in the block, so that no process begins to use it, except to read.

        Raises `ConfigurationError` if one uses it already.
        """
        file = self._open_beside("in-use")
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = "is in use: stop every instance of the service, and every other command"
                raise ConfigurationError(f"REFUNDS_DATABASE: {self.name} {message}") from None
            yield
        finally:
            os.close(file)

    def copy_to(self, file: Path) -> None:
        """Write the database, as it is at one moment, to an empty file, and bring that to disk; writes go on meanwhile.

        Raises `OSError`, naming the file, if the database cannot be read or the file cannot be written.
        """
        # Not the backup interface: it starts again after each write of another process, and copies what was deleted.
        try:
            with closing(self._connect_to_file() if self._readonly else self._connect()) as connection:
                connection.execute("VACUUM INTO :file", {"file": str(file)})
        except sqlite3.Error as error:
            raise OSError(0, f"{self.name} cannot be copied: {error}", str(file)) from error
        sync(file)

    @contextmanager
    def _queue(self) -> Iterator[None]:
        """Hold the ticket, so that no other thread or process writes.

        Raises `StorageUnavailable` if it is not free within the patience, or if its file cannot be opened.
        """
        deadline = monotonic() + self._patience
        if not self._ticket.acquire(timeout=self._patience):
            raise StorageUnavailable(Message("Too many writes are waiting."))
        try:
            if self._ticket_file is None:
                self._use()
                self._ticket_file = self._open_beside("lock")
            _lock_file(self._ticket_file, deadline)
            try:
                yield
            finally:
                fcntl.flock(self._ticket_file, fcntl.LOCK_UN)
        finally:
            self._ticket.release()

    def _use(self) -> None:
        """Note for other processes that this one uses the database, until `close`.

        Raises `StorageUnavailable` if another one holds it unused, or if the note's file cannot be opened.
        """
        if self._in_use is None:
            self._in_use = self._open_beside("in-use")
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageUnavailable(Message("A backup is being restored.")) from None

    def _open_beside(self, name: str) -> int:
        """Open a file beside the database that is only locked; raises `StorageUnavailable` if that fails."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(f"{self._path}.{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _cannot_open(error) from error

    def _connect_to_file(self) -> "_Connection":
        """A new connection that changes neither the file nor anything beside it, on a disk that is only read, too.

        Raises `StorageUnavailable` if the file cannot be read, and an error of the driver if it is no database.
        """
        try:
            with self._path.open("rb") as file:
                has_log = file.read(20)[18:] == _LOGGED
        except OSError as error:
            raise _cannot_open(error) from error
        # Without its log no process uses the file, and the driver would make the log's files to read it.
        mode = "immutable=1" if has_log and not Path(f"{self._path}-wal").exists() else "mode=ro"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=self._patience,
        )
        opened = _Connection(Database(connection, execute_plugins=False))
        opened.execute("PRAGMA trusted_schema = OFF")
        return opened

    def _connect(self, *, readonly: bool = False) -> "_Connection":
        """A new connection; creates the file if there is none.

        Raises `StorageUnavailable` if it cannot, and an error of the driver if the file cannot be used as a database.
        """
        # Only the owner may read the file. An existing file is not opened here: closing it would release all locks
        # that this process has on it, and other processes' writes could be lost.
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise _cannot_open(error) from error
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=self._patience, cached_statements=256
        )
        opened = _Connection(Database(connection, execute_plugins=False))
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
        except BaseException:
            opened.close()
            raise
        return opened


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to disk; no database in the file may be open in this process."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class _Connection:
    """A connection, and the transaction that is under way on it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.close = database.conn.close
        self._half_way: set[Any] = set()
        self._failed = False

    def execute(self, sql: str, parameters: Row | None = None) -> Any:
        try:
            cursor = self.database.conn.execute(sql, parameters or {})
        except BaseException:
            self._failed = True
            raise
        cursor.row_factory = _as_dict
        return cursor

    def commit(self) -> None:
        if self._failed:
            raise RuntimeError(FAILED)
        self.leave_rows()
        self.execute("COMMIT")

    def leave_rows(self) -> None:
        """Close cursors that were not read to the end: they would keep their snapshot open."""
        while self._half_way:
            self._half_way.pop().close()

    def rollback(self) -> None:
        self.leave_rows()
        self._failed = False
        # After some errors (a full disk), SQLite has already rolled back.
        if self.database.conn.in_transaction:
            self.execute("ROLLBACK")

    def one(self, sql: str, **parameters: Any) -> Row | None:
        row: Row | None = self.execute(_rendered(sql), parameters).fetchone()
        return row

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        rows: list[Row] = self.execute(_rendered(sql), parameters).fetchall()
        return rows

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        with _translated():
            cursor = self.execute(_rendered(sql), parameters)
            self._half_way.add(cursor)
            while row := cursor.fetchone():  # `yield from` would also close it, perhaps after its connection
                yield row
        self._half_way.discard(cursor)

    def run(self, sql: str, **parameters: Any) -> int:
        changed: int = self.execute(_rendered(sql), parameters).rowcount
        return changed

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        for row in rows:
            self.execute(_rendered(sql), row)


@lru_cache(maxsize=1024)
def _rendered(sql: str) -> str:
    return sql.format_map(_DIALECT)


def _as_dict(cursor: Any, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def _cannot_open(error: OSError) -> StorageUnavailable:
    return StorageUnavailable(Message("The database cannot be opened: %(reason)s.", reason=error.strerror))


def _lock_file(file: int, deadline: float) -> None:
    """Lock an open file for this process; raises `StorageUnavailable` if others still hold it at the deadline."""
    nap = _LONGEST_NAP
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if monotonic() > deadline:
            raise StorageUnavailable(Message("Another process has been writing for too long."))
        sleep(nap)
        nap = max(nap / 2, _SHORTEST_NAP)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of the driver in the block into errors of the service.

    Raises `Conflict` for a broken unique or foreign key, `StorageUnavailable` if the database is locked, full, damaged
    or cannot be opened, and `Unreadable` if SQL does not fit the schema or a text is not UTF-8. All others stay errors
    of the driver.
    """
    try:
        yield
    except sqlite3.IntegrityError as error:
        if str(error).startswith(("UNIQUE", "FOREIGN KEY")):
            raise Conflict(str(error).rpartition(": ")[2]) from error
        raise
    except sqlite3.Error as error:
        if str(error).startswith("Could not decode"):
            raise Unreadable("a text is not UTF-8") from error
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(tuple(_OUT_OF_ORDER)):
            raise StorageUnavailable(Message("The database cannot serve at the moment.")) from error
        if name == "SQLITE_ERROR":
            raise Unreadable(str(error)) from error
        raise
