"""`flask audit`: whether the records are what was written."""

import click
from flask.cli import with_appcontext

from refunds.access import COMMAND_LINE
from refunds.cli import Command, loaded_books
from refunds.service import audit


@click.group("audit")
def command() -> None:
    """Prove that the records are what was written."""


@command.command("verify", cls=Command)
@with_appcontext
def verify() -> None:
    """Compare the journal with itself, the records with the journal, and its length with the anchors.

    Ends with 0 if all is sound, 20 naming the first place that is not, 21 if the journal was cut short.
    """
    books = loaded_books()
    anchors = list(books.anchors)  # before the journal is read: it only grows
    with books.read(COMMAND_LINE) as work:
        report = audit.verify(work, anchors)
    click.echo(f"Sound: {report.events} events, {report.records} records in {books.name}.")
    click.echo(f"Not yet anchored: {report.events - report.anchored} events.")
