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


def note(directory: Path, done: str, position: int) -> None:
    """Note in the directory of the checkpoints what is done up to a position of the journal, as `Upkeep` has it.

    Or that a `scrub` is, up to a size of the ledger of erasures. The note takes the place of the one before. Raises
    `OSError` if it cannot be written.
    """
    file = _file(directory, done)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        part.write_bytes(orjson.dumps({"at": format_instant(datetime.now(UTC)), "position": position}) + b"\n")
        part.chmod(0o644)  # the user who makes backups may be another one than the service's
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def last(directory: Path) -> Upkeep:
    """What is noted in the directory of the checkpoints; a note that cannot be read is none."""
    return Upkeep(*(_at(_file(directory, done)) for done in Upkeep._fields))


def scrubbed(directory: Path) -> int:
    """The size that the ledger of erasures had when all it names had gone from the files of the database; else 0."""
    size: int = _noted(_file(directory, "scrub")).get("position", 0)
    return size


def _at(file: Path) -> datetime | None:
    with suppress(ValueError, KeyError, TypeError):
        return parse_instant(_noted(file)["at"])
    return None


def _noted(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        if isinstance(noted := orjson.loads(file.read_bytes()), dict):
            return noted
    return {}


def _file(directory: Path, done: str) -> Path:
    return directory / f"last-{done}.json"
