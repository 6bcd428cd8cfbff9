"""Contacts whose order is not known: recorded from what was typed at Check, shown, matched, or closed for a reason."""

from contextlib import suppress
from dataclasses import replace

from flask import Response, session

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Scope
from refunds.domain.records import Intent
from refunds.domain.references import format_request_number
from refunds.domain.resolutions import ReopeningReason
from refunds.errors import FieldError, InvalidInput, Message
from refunds.presentation.language import each_language
from refunds.presentation.texts.answers import unmatched_said
from refunds.presentation.texts.dates import clock_text
from refunds.service import assignments, search, unmatched
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import telemetry
from refunds.web.console import at, page, screen, to
from refunds.web.console.contacts import missing, new_contact, some
from refunds.web.console.eligibility import asked, entered, time_zone_of
from refunds.web.console.forms import BegunSchema, Form, MatchSchema, UnmatchedEntrySchema
from refunds.web.endpoint import Transaction
from refunds.web.schemas.contacts import CompletionRequestSchema, ReopenQuerySchema
from refunds.web.schemas.unmatched import UnmatchedResolutionRequestSchema


@screen("/unmatched/new", scopes=(Scope.CONTACTS_WRITE,))
def new_unmatched(uow: UnitOfWork, form: Form) -> Response:
    """The form to record a contact whose order is not known. Nothing is recorded yet."""
    return _new(uow, form)


@screen("/unmatched/begin", scopes=(Scope.CONTACTS_WRITE,), method="POST", form_view=new_unmatched)
def begin_unmatched(uow: UnitOfWork, form: Form) -> Response:
    """The same form with what was typed at Check, which is personal and therefore in no address."""
    form.read(BegunSchema)
    return _new(uow, form)


def _new(uow: UnitOfWork, form: Form) -> Response:
    """The form to record a contact; it was received when this page was opened, unless a time was typed."""
    time_zone = time_zone_of(uow, uow.policies.default)
    found = form.read_leniently(UnmatchedEntrySchema)
    received_at, sent_at = (form.data.get(name, "") for name in ("received_at", "sent_at"))
    opened = ""
    with suppress(InvalidInput):
        how = asked(found, uow.now, time_zone).begun(uow.now)
        received_at = clock_text(how.received_at or uow.now, time_zone)
        sent_at = clock_text(how.sent_at, time_zone) if how.sent_at else ""
        asks_again = any(one.pointer == "/received_at" for one in form.errors)
        opened = received_at if how.opened and not asks_again else ""
    return page(
        "unmatched_new.html",
        replace(form, address=at("new_unmatched")),
        intent=found.get("intent", Intent.CANCEL),
        channel=session.get("channel", Channel.PHONE),
        received_at=received_at,
        sent_at=sent_at,
        opened=opened,
    )


@screen(
    "/unmatched/new",
    scopes=(Scope.CONTACTS_WRITE,),
    transaction=Transaction.IDEMPOTENT,
    method="POST",
    form_view=new_unmatched,
)
def record_unmatched(uow: UnitOfWork, form: Form) -> Response:
    """Record a contact whose order is not known, and redirect to it. Raises `InvalidInput` if the form does not fit."""
    found = form.read(UnmatchedEntrySchema)
    how = entered(found, uow.now, time_zone_of(uow, uow.policies.default))
    kept = unmatched.record(uow, found["order_hint"], new_contact(how, found))
    return to("unmatched_contact", unmatched_id=kept.unmatched_id)


@screen("/unmatched/<unmatched_id>", scopes=(Scope.CONTACTS_READ,))
def unmatched_contact(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """The page of a contact whose order is, or was, not known, with its number and the forms to match or close it.

    Raises `NotFound` if there is none.
    """
    found, time_zone = uow.unmatched.get(unmatched_id), time_zone_of(uow, uow.policies.default)
    return page(
        "unmatched.html",
        replace(form, address=at("unmatched_contact", unmatched_id=unmatched_id)),
        contact=found,
        lacks=missing(found),
        number=format_request_number(found.request_number),
        reopening=list(ReopeningReason),
        taking=assignments.taking(uow, found),
        names=uow.users.names(filter(None, (found.recorded_by, found.closed_by, found.taken_by))),
        words={name: unmatched_said(found, time_zone) for name in each_language()} if found.is_open else {},
        time_zone=time_zone,
    )


@screen(
    "/unmatched/<unmatched_id>/order",
    scopes=(Scope.CONTACTS_WRITE,),
    transaction=Transaction.WRITE,
    method="POST",
    form_view=unmatched_contact,
)
def match(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """Match a contact to the order with a number, and redirect to the contact that it became.

    The decision is counted. Raises `InvalidInput` if not exactly one order has the number, and what `unmatched.match`
    raises.
    """
    found = form.read(MatchSchema)
    _, meant = search.orders_meant(uow, found["order_id"])
    if len(meant) != 1:
        raise InvalidInput(
            [FieldError("/order_id", Message("no order, or several, have this number"), "unknown_order")]
        )
    contact, is_new = unmatched.match(uow, unmatched_id, meant[0].order_id, found.get("ticket_ref"))
    if is_new:
        telemetry.count_decisions([contact.outcome.reason])
    return to("contact", contact_id=contact.contact_id)


@screen(
    "/unmatched/<unmatched_id>",
    scopes=(Scope.CONTACTS_WRITE,),
    transaction=Transaction.WRITE,
    method="POST",
    form_view=unmatched_contact,
)
def resolve_unmatched(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """Close a contact without an order, for a reason. Then show it again."""
    unmatched.resolve(uow, unmatched_id, form.read(UnmatchedResolutionRequestSchema)["reason"])
    return to("unmatched_contact", unmatched_id=unmatched_id)


@screen(
    "/unmatched/<unmatched_id>/details",
    scopes=(Scope.CONTACTS_WRITE,),
    transaction=Transaction.WRITE,
    method="POST",
    form_view=unmatched_contact,
)
def complete_unmatched(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """Add a ticket or a note to a contact without an order. Then show it again."""
    unmatched.complete(uow, unmatched_id, **some(form.read(CompletionRequestSchema)))
    return to("unmatched_contact", unmatched_id=unmatched_id)


@screen(
    "/unmatched/<unmatched_id>/resolution",
    scopes=(Scope.CONTACTS_WRITE,),
    transaction=Transaction.WRITE,
    method="POST",
    form_view=unmatched_contact,
)
def reopen_unmatched(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """Open a contact without an order again, for a reason. Then show it."""
    unmatched.reopen(uow, unmatched_id, form.read(ReopenQuerySchema)["reason_code"])
    return to("unmatched_contact", unmatched_id=unmatched_id)
