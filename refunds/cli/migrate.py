import click

from refunds.cli import loaded_store, standalone
from refunds.cli.serve import prepare


@standalone("migrate", short_help="Bring the database of an earlier version up to date.")
def command() -> None:
    """Bring the database of an earlier version of the service up to date, as `flask serve` does when it starts.

    Also keeps the promises that newer holiday data would shorten. Until then, commands that only read refuse the
    database. Make a backup first: afterwards, earlier versions refuse it. Stop every instance before: a change of the
    schema is refused while one uses the database.
    """
    store = loaded_store()
    prepare(store)
    click.echo(f"{store.name} is up to date.")
