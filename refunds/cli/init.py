import click

from refunds.cli import loaded_store, standalone
from refunds.service.store import Opening


@standalone("init", short_help="Make a new installation in an empty database.")
def command() -> None:
    """Make a new installation in an empty database, with a journal of its own and its first checkpoint.

    In production nothing else makes one, so that a misspelt or lost database is noticed. The master key must exist.
    """
    store = loaded_store(Opening.INIT)
    click.echo(f"Made a new installation in {store.name}, with its checkpoints in {store.checkpoints.file}.")
