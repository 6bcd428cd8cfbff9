"""Notes beside the checkpoints of when a backup was last made, an audit found no fault, and retention ran.

A further note says up to which erasure nothing erased is left in the files of the database. Commands write the notes,
and instances and operators read them.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from refunds.domain.instants import format_instant, parse_instant


def write_note(directory: Path, done: str, position: int, **more: Any) -> None:
    """Write a note that something is done, in place of the note before; raises `OSError` if it cannot be written.

    `done` names what is done, and `position` says how far: `backup`, `verify` and `retention`, to a position of the
    journal; `scrub`, to a size of the ledger of erasures; `verification`, as far as it has come. `more` is stored in
    the note, too.
    """
    file = _file(directory, done)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    noted = {"at": format_instant(datetime.now(UTC)), "position": position} | more
    try:
        part.write_bytes(orjson.dumps(noted) + b"\n")
        part.chmod(0o644)  # the user who makes backups may be another one than the service's
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def last_done(directory: Path, done: str) -> datetime | None:
    """Return when `done` was last done, by its note; None if the note is missing or unreadable."""
    with suppress(ValueError, KeyError, TypeError):
        return parse_instant(read_note(directory, done)["at"])
    return None


def read_note(directory: Path, done: str) -> dict[str, Any]:
    """Return the fields of the note that `write_note` wrote when `done` was done last; empty if no note can be read."""
    with suppress(OSError, ValueError):
        if isinstance(found := orjson.loads(_file(directory, done).read_bytes()), dict):
            return found
    return {}


def _file(directory: Path, done: str) -> Path:
    """Return the file of the note about `done`, such as `backup`."""
    return directory / f"last-{done}.json"
