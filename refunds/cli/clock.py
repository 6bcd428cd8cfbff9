from datetime import UTC, datetime

import click

from refunds.cli import loaded_store, standalone
from refunds.domain.instants import format_instant
from refunds.service import clock
from refunds.service.store import Opening


@standalone("clock", short_help="Compare the clock with the journal.")
@click.option("--confirm", is_flag=True, help="Say that the clock is right; this is entered in the journal.")
def command(*, confirm: bool) -> None:
    """Compare the clock with the events and the checkpoints of the journal.

    Ends with 24 if the clock is in doubt: more than a minute behind the last event, or more than 40 days ahead of the
    last sign of life. Until it is corrected or confirmed, /readyz answers 503.
    """
    store = loaded_store(Opening.RECORD if confirm else Opening.READ)
    if confirm:
        clock.confirm(store)
    else:
        clock.require_sound(store)
    click.echo(f"The clock is not in doubt: {format_instant(datetime.now(UTC))}.")
