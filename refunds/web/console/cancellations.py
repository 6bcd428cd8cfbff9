"""Cancellations: one with the text to read aloud, its revocation, and the agent's most recent ones."""

from datetime import timedelta

from flask import Response, g

from refunds.domain.permissions import Scope
from refunds.domain.records import REVOCABLE_FOR, State
from refunds.domain.references import format_reference
from refunds.presentation.documents import confirmation as documents
from refunds.presentation.language import each_language, language, speaking
from refunds.presentation.texts.answers import cancelled_said
from refunds.service import cancellations, settlements
from refunds.service.settlements import OWN_REVOCATION
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.console import page, screen, to
from refunds.web.console.forms import Form, PrintedSchema
from refunds.web.endpoint import Transaction
from refunds.web.responses import document
from refunds.web.schemas.cancellations import RevocationRequestSchema
from refunds.web.schemas.documents import HTML

RECENT = 50


@screen("/cancellations/<cancellation_id>", scopes=(Scope.CANCELLATIONS_READ,))
def cancellation(uow: UnitOfWork, form: Form, cancellation_id: str) -> Response:
    """The page of a cancellation: its reference, what happens next, and what to tell the customer in each language.

    There is nothing to tell if it was revoked. It has the form to revoke it if the user may do so now. Raises
    `NotFound` if there is no such cancellation.
    """
    found = uow.cancellations.get(cancellation_id)
    words = {}
    if found.state is not State.REVOKED:
        confirmed = cancellations.confirmation(uow, cancellation_id)
        words = {name: cancelled_said(*confirmed[:2], documents.render_text(*confirmed)) for name in each_language()}
    actors = (found.issued_by, found.override_by, found.refund_begun_by, found.settled_by, found.revoked_by)
    return page(
        "cancellation.html",
        form,
        cancellation=found,
        outcome=found.outcome,
        reference=format_reference(found.reference),
        words=words,
        may_revoke=found.state is State.ISSUED and settlements.may_revoke(uow, found),
        own_until=found.issued_at + OWN_REVOCATION,
        reasons=list(REVOCABLE_FOR),
        names=uow.users.names(filter(None, actors)),
    )


@screen(
    "/cancellations/<cancellation_id>",
    scopes=(Scope.CANCELLATIONS_REVOKE, Scope.CANCELLATIONS_ISSUE),
    transaction=Transaction.WRITE,
    method="POST",
    form_view=cancellation,
)
def revoke(uow: UnitOfWork, form: Form, cancellation_id: str) -> Response:
    """Revoke a cancellation for the reason in the form, and redirect to it. Raises as `settlements.revoke`."""
    found = form.read(RevocationRequestSchema)
    settlements.revoke(uow, cancellation_id, found["reason_code"], found.get("reason"))
    return to("cancellation", cancellation_id=cancellation_id)


@screen("/cancellations/<cancellation_id>/confirmation", scopes=(Scope.CANCELLATIONS_READ,))
def confirmation(uow: UnitOfWork, form: Form, cancellation_id: str) -> Response:
    """The confirmation for the customer, as a page to print, in the `language` of the address or else the reader's.

    Raises `NotFound` if there is no such cancellation, `CancellationStateConflict` if it was revoked, and
    `InvalidInput` if the service does not have the language.
    """
    confirmed = cancellations.confirmation(uow, cancellation_id)
    with speaking(form.read(PrintedSchema).get("language") or language()):
        return document(documents.render_html(*confirmed), HTML)


@screen("/recent", scopes=(Scope.CANCELLATIONS_ISSUE,))
def recent(uow: UnitOfWork, form: Form) -> Response:
    """The last 50 cancellations that the signed-in user issued, newest first.

    Each has whether they can still revoke it, and for how long.
    """
    found = uow.cancellations.issued_by(uow.principal.actor, RECENT)
    always = g.principal.may(Scope.CANCELLATIONS_REVOKE)
    left = {one.cancellation_id: timedelta() if always else one.issued_at + OWN_REVOCATION - uow.now for one in found}
    return page(
        "recent.html",
        form,
        cancellations=found,
        format_reference=format_reference,
        minutes={key: -(-time // timedelta(minutes=1)) for key, time in left.items()},
        revocable={
            one.cancellation_id for one in found if one.state is State.ISSUED and settlements.may_revoke(uow, one)
        },
    )
