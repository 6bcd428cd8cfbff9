"""`flask privacy`: what customers may ask for about their data."""

from collections.abc import Callable
from typing import Any

import click
from flask.cli import with_appcontext

from refunds.cli import LANG, Command, loaded_store, persons
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason, LimitKind
from refunds.presentation.language import translate
from refunds.presentation.texts.privacy import certificate_lines
from refunds.service import privacy
from refunds.service.acceptance import checked
from refunds.storage.unit_of_work import UnitOfWork


@click.group("privacy")
def command() -> None:
    """Erase customers, or keep them from erasure."""


BY_ID = click.option("--id", "by_id", is_flag=True, help="REFERENCE is the service's own id of the customer.")


def _of_customer(reference: str, *, by_id: bool, act: Callable[[UnitOfWork, str], Any]) -> Any:
    """What an act returns for the customer with this reference; None, and a message, if there is none."""
    with loaded_store().write(COMMAND_LINE) as uow:
        customer_id = reference if by_id else uow.customers.find(reference)
        if customer_id is not None:
            return act(uow, customer_id)
    click.echo(translate("Nothing is held about this customer."))
    return None


@command.command("erase", cls=Command)
@click.argument("reference")
@click.option("--reason", required=True, type=click.Choice([one.value for one in ErasureReason]), help="Why.")
@click.option("--anyway", metavar="REASON", help="Why not to wait for open matters; without personal data.")
@BY_ID
@LANG
@with_appcontext
def erase(reference: str, reason: str, anyway: str | None, *, by_id: bool) -> None:
    """Erase the customer with this reference in billing, and print the certificate.

    Their orders stay, with their times and decisions. It waits until their requests and refunds are dealt with, unless
    --anyway says why not, or it is a child. Erased again by their --id, they get the same certificate.
    """
    anyway = anyway and checked(anyway)
    done = _of_customer(
        reference, by_id=by_id, act=lambda uow, who: privacy.erase(uow, who, ErasureReason(reason), anyway)
    )
    if done is not None:
        for line in certificate_lines(done, is_scrubbed=loaded_store().is_scrubbed):
            click.echo(line)


@command.command("hold", cls=Command)
@click.argument("reference")
@click.option("--reason", required=True, help="Why; it is kept encrypted.")
@BY_ID
@LANG
@with_appcontext
def hold(reference: str, reason: str, *, by_id: bool) -> None:
    """Keep a customer from erasure until the hold is lifted."""
    held = _of_customer(
        reference, by_id=by_id, act=lambda uow, who: privacy.limit(uow, who, LimitKind.HOLD, checked(reason))
    )
    if held is not None:
        click.echo(translate("Held: %(customer_id)s.", customer_id=held.customer_id))


@command.command("lift", cls=Command)
@click.argument("reference")
@BY_ID
@LANG
@with_appcontext
def lift(reference: str, *, by_id: bool) -> None:
    """Lift the hold on a customer."""
    _of_customer(reference, by_id=by_id, act=lambda uow, who: privacy.lift(uow, who, LimitKind.HOLD))


for one in persons.COMMANDS:
    command.add_command(one)
