"""The errors of SQLite and of its file as errors of the service; what names the file is told to the operator alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlite_utils.utils import sqlite3  # type: ignore[attr-defined] # the newest SQLite that is installed

from refunds.errors import Conflict, DamagedDatabase, FileReplaced, Message, StorageUnavailable, Unreadable

# A stale snapshot, a full disk, a locked, missing or unreadable file: not the caller's fault.
_OUT_OF_ORDER = frozenset(
    {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_READONLY", "SQLITE_IOERR"}
    | {"SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL"}
)


@contextmanager
def translating_errors(path: str) -> Iterator[None]:
    """Turn the errors that SQLite raises in the block into errors of the service; `path` is the file that they name.

    Raises `Conflict` if a unique or foreign key is broken, `DamagedDatabase` if the file is damaged or no database,
    `StorageUnavailable` if it is locked, full, read-only, or cannot be opened, read or written, and `Unreadable` if SQL
    does not fit the schema or a text is not UTF-8. Every other error passes unchanged.
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
        if is_damage(error):
            raise damaged_error(path, error) from error
        if name.startswith(tuple(_OUT_OF_ORDER)):
            raise cannot_serve_error(path, str(error)) from error
        if name == "SQLITE_ERROR":
            raise Unreadable(str(error)) from error
        raise


def cannot_open_error(path: str, error: OSError) -> StorageUnavailable:
    """Return the error that says that the database at a path cannot be opened, with the file and reason of an error."""
    shown = Message("The database cannot be opened: %(reason)s.", reason=error.strerror)
    return StorageUnavailable(shown, f"{error.filename or path} cannot be opened: {error.strerror}")


def file_replaced_error(path: str) -> FileReplaced:
    """Return the `FileReplaced` that says that the database file at a path, or its log, is not the one once opened."""
    return FileReplaced(
        Message("The file of the database was removed or replaced while the service ran."),
        f"The database file {path}, or its -wal or -shm, was removed or replaced while the service ran. Nothing more "
        "is written. Bring the right file back, or restore its backup with flask restore, and start again.",
    )


def cannot_serve_error(path: str, why: str) -> StorageUnavailable:
    """Return the error that the database cannot serve now, of which only the operator sees the path and `why`."""
    return StorageUnavailable(Message("The database cannot serve at the moment."), f"{path}: {why}")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error of the driver says that the file is damaged, or no database."""
    # No value of the service is too big: then a damaged page gives a wrong length.
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_TOOBIG"))


def damaged_error(path: str, error: object) -> DamagedDatabase:
    """Return the error that the file at a path is damaged; it tells the operator how to repair or restore the file."""
    way = "restore the newest backup: flask restore FILE"
    if " index " in str(error):
        way = f"rebuild its indexes: sqlite-utils query {path} REINDEX. If that does not help, {way}"
    return DamagedDatabase(
        Message("The file of the database is damaged."),
        f"{path} is damaged: SQLite says: {error}. Stop the service, keep a copy of the file and of its -wal, and "
        f"{way}. The last line of anchors.jsonl in REFUNDS_LEDGER_DIR says how far the journal came. Without a backup, "
        ".recover of the sqlite3 shell may save a part, at your own risk: flask audit verify shows what is missing.",
    )
