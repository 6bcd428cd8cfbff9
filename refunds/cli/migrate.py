"""`flask migrate`: bring a database of an earlier version up to date."""

import click
from flask.cli import with_appcontext

from refunds.cli import Command, loaded_store
from refunds.cli.serve import prepare


@click.command("migrate", cls=Command, short_help="Bring the database of an earlier version up to date.")
@with_appcontext
def command() -> None:
    """Bring the database of an earlier version of the service up to date, as `flask serve` does when it starts.

    Commands that only read refuse such a database. Make a backup first: an earlier version refuses it afterwards.
    """
    store = loaded_store()
    prepare(store)
    click.echo(f"{store.name} is up to date.")
