import sys
from collections import Counter
from io import TextIOWrapper
from pathlib import Path

import click

from refunds.cli import LANG, Group, loaded_store, progress
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import CallersError, InvalidInput
from refunds.presentation.language import translate
from refunds.schemas.order_files import read_orders
from refunds.service import orders
from refunds.service.orders import OrderFacts, Registration
from refunds.storage.checkpoints import Checkpoint

REFUSED = "refused"


@click.group("orders", cls=Group)
def command() -> None:
    """Bring orders in."""


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@LANG
def import_(file: Path) -> None:
    """Register the orders in FILE: CSV with the API's names as columns, or JSON lines.

    A line that is refused is reported, and all others are registered. The same file again changes nothing, so run the
    command again if it was interrupted. Exits with 0 if no line is refused, with 3 otherwise.
    """
    store, counts = loaded_store(), Counter[str]()
    store.on_checkpoint = _report_failure  # there is one for each transaction, and they would fill the screen
    with file.open("rb") as data, progress() as shown:
        # What is not UTF-8 becomes characters that no fact can have, so that it is refused with its line.
        lines = TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape")
        try:
            given = (
                (number, read if isinstance(read, InvalidInput) else OrderFacts(**read))
                for number, read in read_orders(lines)
            )
            for number, outcome in orders.import_all(store, COMMAND_LINE, given):
                if isinstance(outcome, CallersError):
                    click.echo(_refusal(number, outcome), err=True)
                counts[outcome if isinstance(outcome, Registration) else REFUSED] += 1
                if data.seekable():  # a pipe has neither a place nor a size
                    shown("bytes", data.tell(), file.stat().st_size)
        except InvalidInput as error:
            raise error.under(f"/{file.name}") from None
    for name in (*Registration, REFUSED):
        click.echo(f"{name}: {counts[name]}")
    if counts[REFUSED]:
        sys.exit(CallersError.exit_code)


def _report_failure(checkpoint: Checkpoint, failure: OSError | None) -> None:
    """Print on standard error that a checkpoint could not be written; nothing if there is no failure."""
    if failure is not None:
        click.echo(f"no checkpoint at {checkpoint.position}: {failure.strerror or failure}", err=True)


def _refusal(number: int, error: CallersError) -> str:
    """Return the text "line `number`: " and what is wrong with the order in that line of the file."""
    places = (f"{one.pointer}: {translate(one.detail)}".removeprefix(": ") for one in error.errors)
    return f"line {number}: {'; '.join(places) or translate(error.detail)}"
