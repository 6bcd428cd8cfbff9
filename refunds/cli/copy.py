from contextlib import closing

import click
from flask import current_app

from refunds.cli import loaded_store, progress, standalone
from refunds.service import copies
from refunds.service.store import Opening
from refunds.storage import open_engine


@standalone("copy", short_help="Copy all records to another database, and prove the copy.")
@click.option("--to", required=True, metavar="URL", help="The new database, as in REFUNDS_DATABASE; it must be empty.")
def command(to: str) -> None:
    """Copy all records to another database, and prove that they are the same.

    Stop every instance first: it refuses while one uses the database. Run the same command again to continue an
    interrupted copy, or to check a finished one. No instance can serve from the new database before the copy is
    finished.
    """
    store = loaded_store(Opening.READ)
    with closing(open_engine(to, setting="--to")) as engine, progress(passing=False) as shown:
        report = copies.copy(store, engine, "--to", shown)
    click.echo(f"Sound: {report.events} events, {report.records} records in {engine.name}.")
    settings = current_app.extensions["refunds.settings"]
    click.echo(
        f"Set REFUNDS_DATABASE to it for every instance; REFUNDS_MASTER_KEY_FILE stays {settings.master_key_file},"
        f" REFUNDS_LEDGER_DIR stays {settings.ledger_dir}."
    )
