import sys

import click

from refunds.cli import LANG, loaded_store, print_json, standalone
from refunds.domain.permissions import COMMAND_LINE_READER
from refunds.presentation import serializers
from refunds.presentation.documents import evidence as documents
from refunds.service import evidence
from refunds.service.store import Opening
from refunds.storage.audit import Broken


@standalone("evidence", short_help="Print everything stored about an order.")
@click.argument("order")
@click.option("--page", "as_page", is_flag=True, help="A page to print, instead of JSON.")
@LANG
def command(order: str, *, as_page: bool) -> None:
    """Print everything stored about ORDER, with the clause as it was, and proof of whether all is as it was written.

    The proof lists what was changed since; the command then exits with 20, like `flask audit verify`. Nothing personal
    is shown, because a command that only reads cannot enter in the journal who saw it.
    """
    store = loaded_store(Opening.READ)
    with store.read(COMMAND_LINE_READER) as uow:
        found = evidence.gather(uow, order, store.checkpoints)
    if as_page:
        click.echo(documents.render_html(found))
    else:
        print_json(serializers.evidence_data(found))
    if found.broken:
        sys.exit(Broken.exit_code)
