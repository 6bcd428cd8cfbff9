from pathlib import Path

import click

from refunds.cli import loaded_store, note_done, standalone
from refunds.domain.instants import format_instant
from refunds.service import backups
from refunds.service.store import Opening


@standalone("backup", short_help="Copy the database to a file, while the service runs.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Copy a SQLite database to a file that does not exist yet, while the service runs, and audit the copy.

    The file gets its name at the end, so it is complete if it is there; until then it is FILE.part. The checkpoints of
    that time are in FILE.anchors.jsonl: keep both together, and the master key apart from them. For PostgreSQL, use
    pg_dump.
    """
    store = loaded_store(Opening.READ)
    made = backups.back_up(store, file)
    note_done(store, "backup", made.report.events)
    until = "" if made.at is None else f" of {format_instant(made.at)}"
    click.echo(f"Sound: {made.report.events} events, {made.report.records} records in {file}.")
    click.echo(
        f"It has everything up to position {made.report.events}{until}; its checkpoints are in {made.checkpoints}."
    )
