"""What is stored about a person is found, written to a file, or emptied: commands of `flask privacy`."""

from pathlib import Path

import click
import orjson

from refunds.cli import LANG, OneOf, loaded_store, progress, standalone, write_private, writing
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason
from refunds.domain.records import Contact
from refunds.presentation.documents.export import render_html
from refunds.presentation.exports import export_data
from refunds.presentation.language import translate
from refunds.service import exports, findings
from refunds.service.exports import Export
from refunds.service.store import Opening
from refunds.storage.unit_of_work import UnitOfWork

_FILE = click.Path(path_type=Path, dir_okay=False)


@standalone("export", short_help="Write everything about a person to a file.")
@click.argument("request_id", required=False)
@click.option("--customer-ref", metavar="REFERENCE", help="Of the customer with this reference in billing instead.")
@click.option("--customer-id", metavar="ID", help="Of the customer with this id instead, also if they were erased.")
@click.option("--contact", metavar="ID", help="A contact of somebody who is no customer instead.")
@click.option("--output", required=True, type=_FILE, help="The file; only its owner may read it.")
@click.option("--html", "as_page", is_flag=True, help="A page to read, instead of JSON.")
@LANG
def export(output: Path, *, as_page: bool, **given: str | None) -> None:
    """Write everything that is stored about a person to a file, with what the law says that they are told.

    It is for the data request REQUEST_ID, for which their identity was checked. Who names a customer or a contact
    instead has to check that. The journal says who took it out.
    """
    if sum(one is not None for one in given.values()) != 1:
        raise click.UsageError(translate("Name one of REQUEST_ID, --customer-ref, --customer-id and --contact."))
    with writing() as uow:
        found = _exported(uow, **given)
    if found is None:
        click.echo(translate("Nothing is held about this customer."))
        return
    text = render_html(found).encode() if as_page else orjson.dumps(export_data(found), option=orjson.OPT_INDENT_2)
    write_private(output, [text])


def _exported(
    uow: UnitOfWork,
    request_id: str | None,
    customer_ref: str | None,
    customer_id: str | None,
    contact: str | None,
) -> Export | None:
    """Export what the one argument that is not None names, with an event; None for an unknown `customer_ref`."""
    if request_id is not None:
        return exports.for_request(uow, request_id)
    if contact is not None:
        return exports.of_contact(uow, contact)
    customer_id = customer_id or uow.customers.find(customer_ref or "")
    return None if customer_id is None else exports.of_customer(uow, customer_id)


@standalone("find", short_help="Find a person who need not be a customer.")
@click.argument("detail")
@LANG
def find(detail: str) -> None:
    """Open every contact, and list those that hold DETAIL of a person, such as a number that a customer's friend used.

    DETAIL is a telephone number in any spelling, an e-mail address, a ticket, or a name or other words of a note. What
    a contact holds is not shown: export, correct or empty it by its id.
    """
    store, is_held = loaded_store(Opening.READ), False
    with progress() as shown:
        for one, fields in findings.find(store, COMMAND_LINE, detail, shown):
            is_held = True
            click.echo(f"{one.contact_id if isinstance(one, Contact) else one.unmatched_id} {', '.join(fields)}")
    if not is_held:
        click.echo(translate("Nothing is held: every contact was opened."))


@standalone("empty", short_help="Empty the personal fields of a contact.")
@click.option("--contact", metavar="ID", required=True, help="The contact, or the unmatched contact.")
@click.option("--reason", required=True, type=OneOf(ErasureReason), help="Why.")
@LANG
def empty(contact: str, reason: ErasureReason) -> None:
    """Empty the personal fields of a contact of somebody who is no customer; its order and its decision stay."""
    with writing() as uow:
        fields = findings.empty(uow, contact, reason)
    for name in fields:
        click.echo(translate("Emptied: %(name)s.", name=name))
    if not fields:
        click.echo(translate("Nothing is left to empty."))


COMMANDS = (export, find, empty)
