"""What every test may know, without anything being opened."""

import os
import shutil
from functools import cache
from pathlib import Path

ENGINES = ("sqlite", "postgresql")
"""Whatever the records may be kept in: a test of the service as a whole runs on each."""

PROOFS = bool(os.environ.get("PROOFS"))
"""Whether proofs that `make test` has in small are run in full, as `make proofs` does."""


MEMORY = Path("/dev/shm")  # noqa: S108 - each makes a directory of its own there
ENOUGH = 4 * 2**30


def in_memory() -> Path | None:
    """Where files live in memory, if there is room: on a disk, making a database takes ten times as long."""
    return MEMORY if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH else None


def scaled(small: int, full: int) -> int:
    """How large a proof is: one that is marked `proof` is small among the tests, and full among the proofs."""
    return full if PROOFS else small


def records_in(directory: Path, engine: str = "sqlite") -> dict[str, str]:
    """The environment of a service whose records are in a directory, each kind apart; or in a database of their own."""
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
    from tests.postgres import shared  # noqa: PLC0415 - whoever forks or is killed has no use for it

    return shared().create()
