"""What every test may import without opening anything."""

import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

ENGINES = ("sqlite", "postgresql")
"""The engines that can keep the records: a test of the whole service runs on each."""

PROOFS = bool(os.environ.get("PROOFS"))
"""Whether proofs run in full, as with `make proofs`; `make test` runs them on a small scale."""


MEMORY = Path("/dev/shm")  # noqa: S108 - each creates its own directory there
ENOUGH = 4 * 2**30


def in_memory() -> Path | None:
    """A directory in memory, if there is room: creating a database takes ten times as long on a disk."""
    return MEMORY if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH else None


def own_directory(prefix: str, parent: Path) -> Path:
    """A new directory with the id of this process in its name, once those of processes that are gone are removed.

    Runs that were killed leave them, and they may be in memory. A PostgreSQL server whose directory is removed ends.
    """
    for left in parent.glob(f"{prefix}[0-9]*-*"):
        _remove_without_its_process(left, left.name.removeprefix(prefix).partition("-")[0])
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))


def clear_pytest(parent: Path) -> None:
    """Remove the directories of runs of pytest that were killed: it would keep each for three days."""
    for lock in parent.glob("pytest-of-*/pytest-*/.lock"):
        with suppress(OSError):
            _remove_without_its_process(lock.parent, lock.read_text())


def _remove_without_its_process(directory: Path, process: str) -> None:
    """Remove a directory if the process with this id is gone."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        shutil.rmtree(directory, ignore_errors=True)
    except (PermissionError, ValueError):
        pass


def scaled(small: Any, full: Any) -> Any:
    """The size of a test that is marked `proof`: small with `make test`, full with `make proofs`."""
    return full if PROOFS else small


def records_in(directory: Path, engine: str = "sqlite") -> dict[str, str]:
    """The environment of a service whose files are in a directory, and its records there or in a separate database."""
    return {
        "REFUNDS_DATABASE": database_of(directory / "data", engine),
        "REFUNDS_MASTER_KEY_FILE": f"{directory}/keys/master.key",
        "REFUNDS_LEDGER_DIR": f"{directory}/ledger",
    }


@cache
def database_of(directory: Path, engine: str) -> str:
    """The URL of the database that belongs to a directory: always the same one."""
    if engine == "sqlite":
        return f"sqlite:///{directory}/refunds.db"
    from tests.postgres import shared  # noqa: PLC0415 - processes that fork or are killed must not load it

    return shared().create()
