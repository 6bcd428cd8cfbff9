"""What every test may know, without anything being opened."""

from pathlib import Path


def records_in(directory: Path) -> dict[str, str]:
    """The environment of a service whose records are in a directory, each kind apart."""
    return {
        "REFUNDS_DATABASE": f"sqlite:///{directory}/data/refunds.db",
        "REFUNDS_MASTER_KEY_FILE": f"{directory}/keys/master.key",
        "REFUNDS_LEDGER_DIR": f"{directory}/ledger",
    }
