from pathlib import Path

import click
from flask import current_app

from refunds.cli import LEDGER_LOST, LOST_OF_PRIVACY, since_text, standalone, warn_of_erasures
from refunds.domain.instants import format_instant
from refunds.service import backups
from refunds.service.backups import Restored


@standalone("restore", short_help="Put a backup in the place of the database.")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reason", default="", help="Why, in one line without personal data. It is entered in the journal.")
@LEDGER_LOST
def command(file: Path, reason: str, ledger_lost: str | None) -> None:
    """Put a backup in the place of a SQLite database, and print what is lost.

    Stop every instance first. The backup is audited: it must agree with the checkpoints of the installation, and with
    FILE.anchors.jsonl beside it, which becomes the file of checkpoints if there is none. A copy of it is brought up to
    date, customers who were erased since are erased in it, and it takes the place of the database, which is kept beside
    it. The journal gets a new id and an event with the reason. If the command is interrupted, run it again.
    """
    restored = backups.restore(current_app.extensions["refunds.settings"], file, reason, ledger_lost)
    click.echo(f"Sound: {restored.report.events} events, {restored.report.records} records restored from {file}.")
    if restored.kept:
        click.echo(f"The database that was there is kept as {restored.kept}.")
    for line in _lost(restored):
        click.echo(line)
    if ledger_lost:
        warn_of_erasures(restored.since)


def _lost(restored: Restored) -> list[str]:
    """Return sentences on what a restore has lost, and what billing must do about it."""
    since = since_text(restored.since)
    if restored.all_known and not restored.events:
        return ["Nothing is lost: the database that was there had no other events."]
    if restored.all_known:
        lost = f"Lost events: {restored.events}, from {since} to {format_instant(restored.until)}."
    elif restored.events:
        until = format_instant(restored.until)
        lost = f"Lost events: at least {restored.events}, from {since} to {until}, and all after."
    else:
        lost = f"Lost: everything that was recorded after {since}, if anything was; no checkpoint shows it."
    then = (
        "Billing must send the orders of that time again, and read the feed as docs/billing.md says: a reader that was"
    )
    return [lost, f"{then} further than position {restored.report.events} gets feed-rewound.", LOST_OF_PRIVACY]
