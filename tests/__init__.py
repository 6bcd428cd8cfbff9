"""What every test may know, without anything being opened."""

from functools import cache
from pathlib import Path

ENGINES = ("sqlite", "postgresql")
"""Whatever the records may be kept in: a test of the service as a whole runs on each."""


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
