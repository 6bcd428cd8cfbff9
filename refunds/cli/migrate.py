import click

from refunds.cli import loaded_store, standalone
from refunds.cli.serve import prepare


@standalone("migrate", short_help="Bring the database of an earlier version up to date.")
def command() -> None:
    """Bring the database of an earlier version of the service up to date, as `flask serve` does when it starts.

    Commands that only read refuse such a database. Make a backup first: an earlier version refuses it afterwards.
    """
    store = loaded_store()
    prepare(store)
    click.echo(f"{store.name} is up to date.")
