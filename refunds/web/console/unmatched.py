"""Contacts whose order is not known: recorded from what was typed at Check, corrected, shown, matched, or closed."""

from contextlib import suppress
from dataclasses import replace

from flask import Response, request, session

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Scope
from refunds.domain.records import Intent
from refunds.errors import InvalidInput, Message
from refunds.presentation.language import each_language
from refunds.presentation.texts.answers import unmatched_said
from refunds.presentation.texts.dates import clock_text
from refunds.service import search, unmatched
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import telemetry
from refunds.web.console import action, at, contacts, page, screen, to
from refunds.web.console.eligibility import asked
from refunds.web.console.forms import BegunSchema, Form, MatchSchema, UnmatchedEntrySchema
from refunds.web.endpoint import Transaction
from refunds.web.schemas.contacts import ReopenQuerySchema
from refunds.web.schemas.unmatched import UnmatchedResolutionRequestSchema


@screen("/unmatched/new", Scope.CONTACTS_WRITE)
def new_unmatched(uow: UnitOfWork, form: Form) -> Response:
    """Show the form to record a contact whose order is not known. Nothing is recorded yet."""
    return _new(uow, form)


@screen("/unmatched/begin", Scope.CONTACTS_WRITE, method="POST", form_view=new_unmatched)
def begin_unmatched(uow: UnitOfWork, form: Form) -> Response:
    """Show the form to record a contact without its order, filled with what was typed at Check and posted here."""
    form.read(BegunSchema)
    return _new(uow, form)


def _new(uow: UnitOfWork, form: Form) -> Response:
    """Show the form to record a contact; it was received when this page was opened, unless a time was typed.

    A correction (`supersedes`) begins with what is on record of the earlier contact. The session keeps the channel.
    """
    time_zone = uow.default_terms.time_zone
    found = form.read_leniently(UnmatchedEntrySchema)
    corrected = uow.unmatched.get(found["supersedes"]) if "supersedes" in found else None
    if corrected and request.method == "GET":
        form = contacts.with_recorded(uow, form, corrected, is_typed=True)
        found = form.read_leniently(UnmatchedEntrySchema)
    received_at, sent_at = (form.data.get(name, "") for name in ("received_at", "sent_at"))
    opened = ""
    with suppress(InvalidInput):
        how = asked(found, uow.now, time_zone).begun(uow.now)
        received_at = clock_text(how.received_at or uow.now, time_zone)
        sent_at = clock_text(how.sent_at, time_zone) if how.sent_at else ""
        asks_again = any(one.pointer == "/received_at" for one in form.errors)
        opened = received_at if how.opened and not asks_again and not corrected else ""
    return page(
        "unmatched_new.html",
        replace(form, address=at("new_unmatched")),
        corrected=corrected,
        intent=found.get("intent") or (corrected.intent if corrected else Intent.CANCEL),
        channel=found.get("channel") or session.get("channel", Channel.PHONE),
        received_at=received_at,
        sent_at=sent_at,
        opened=opened,
        time_zone=time_zone,
    )


@action("/unmatched/new", new_unmatched, Scope.CONTACTS_WRITE, transaction=Transaction.IDEMPOTENT)
def record_unmatched(uow: UnitOfWork, form: Form) -> Response:
    """Record a contact whose order is not known, or a correction, which supersedes the earlier one; redirect to it."""
    found = form.read(UnmatchedEntrySchema)
    earlier = uow.unmatched.get(found["supersedes"]) if "supersedes" in found else None
    new = contacts.new_contact(uow, found, uow.default_terms.time_zone, earlier)
    contacts.require_changed(new, earlier, order_hint=found["order_hint"])
    kept = unmatched.record(uow, found["order_hint"], new)
    return to("unmatched_contact", unmatched_id=kept.unmatched_id)


@screen("/unmatched/<unmatched_id>", Scope.CONTACTS_READ)
def unmatched_contact(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """Show a contact whose order is, or was, not known, with its number and the forms to match or close it.

    Raises `NotFound` if there is no such contact.
    """
    found, time_zone = uow.unmatched.get(unmatched_id), uow.default_terms.time_zone
    return page(
        "unmatched.html",
        replace(form, address=at("unmatched_contact", unmatched_id=unmatched_id)),
        **contacts.about(uow, found, found.closed_by),
        earlier=found.supersedes and uow.unmatched.with_ids([found.supersedes]).get(found.supersedes),
        words={name: unmatched_said(found, time_zone) for name in each_language()} if found.is_open else {},
        time_zone=time_zone,
    )


@action("/unmatched/<unmatched_id>/order", unmatched_contact, Scope.CONTACTS_WRITE)
def match(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """Match an unmatched contact to the order that the typed number means, and redirect to the contact it became.

    A first match counts its decision as a measurement. Raises `InvalidInput` unless the number means just one order.
    """
    found = form.read(MatchSchema)
    _, meant = search.find_orders(uow, found["order_id"])
    if len(meant) != 1:
        raise InvalidInput.at("/order_id", Message("no order, or several, have this number"), "unknown_order")
    contact, is_new = unmatched.match(uow, unmatched_id, meant[0].order_id, found.get("ticket_ref"))
    if is_new:
        telemetry.count_decisions([contact.outcome.reason])
    return to("contact", contact_id=contact.contact_id)


_DOING: contacts.Doing = contacts.ANSWERING | {
    "resolve": (
        UnmatchedResolutionRequestSchema,
        lambda uow, name, found: unmatched.resolve(uow, name, found["reason"]),
    ),
    "reopen": (ReopenQuerySchema, lambda uow, name, found: unmatched.reopen(uow, name, found["reason_code"])),
}


@action("/unmatched/<unmatched_id>", unmatched_contact, Scope.CONTACTS_WRITE)
def follow_up_unmatched(uow: UnitOfWork, form: Form, unmatched_id: str) -> Response:
    """Acknowledge, complete, resolve or reopen an unmatched contact, as `doing` says, and redirect to its page.

    Raises `InvalidInput` if `doing` is something else.
    """
    contacts.act(uow, form, unmatched_id, _DOING)
    return to("unmatched_contact", unmatched_id=unmatched_id)
