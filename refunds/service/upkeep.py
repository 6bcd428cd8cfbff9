"""When a backup was last made, an audit found everything sound, and retention ran: noted beside the checkpoints.

Beside them is also noted how far what was erased has gone from the files of the database.

Other processes do both, so an instance reads the notes, and so do operators.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from refunds.domain.instants import format_instant, parse_instant


class Upkeep(NamedTuple):
    """When a backup was last made, an audit found no fault, and retention ran to its end; None if not known."""

    backup: datetime | None
    verify: datetime | None
    retention: datetime | None


def note(directory: Path, done: str, position: int, **more: Any) -> None:
    """Note in the directory of the checkpoints what is done up to a position of the journal, as `Upkeep` has it.

    Or that a `scrub` is, up to a size of the ledger of erasures, or how far a `verification` is, with `more` about it.
    The note takes the place of the one before. Raises `OSError` if it cannot be written.
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


def last(directory: Path) -> Upkeep:
    """What is noted in the directory of the checkpoints; a note that cannot be read is none."""
    return Upkeep(*(_at(noted(directory, done)) for done in Upkeep._fields))


def scrubbed(directory: Path) -> int:
    """The size that the ledger of erasures had when all it names had gone from the files of the database; else 0."""
    size: int = noted(directory, "scrub").get("position", 0)
    return size


def noted(directory: Path, done: str) -> dict[str, Any]:
    """What was noted last about something that is `done`; empty if nothing was, or if it cannot be read."""
    with suppress(OSError, ValueError):
        if isinstance(found := orjson.loads(_file(directory, done).read_bytes()), dict):
            return found
    return {}


def _at(found: dict[str, Any]) -> datetime | None:
    with suppress(ValueError, KeyError, TypeError):
        return parse_instant(found["at"])
    return None


def _file(directory: Path, done: str) -> Path:
    return directory / f"last-{done}.json"
