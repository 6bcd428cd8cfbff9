"""Contacts: confirmed and recorded, cancelled, kept on the Open list, answered, completed, resolved, reopened."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Response, g, request, session

from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision
from refunds.domain.instants import format_instant
from refunds.domain.outcomes import RecordedDecision
from refunds.domain.permissions import Scope
from refunds.domain.records import Contact, Intent, Order
from refunds.domain.resolutions import ReopeningReason, ResolutionReason
from refunds.domain.withdrawals import information_period
from refunds.errors import CallersError, ContactStateConflict, FieldError, InvalidInput, Message
from refunds.presentation.language import each_language
from refunds.presentation.texts.answers import answer_look, contact_said, is_address
from refunds.presentation.texts.dates import clock_text
from refunds.schemas.strict import StrictSchema
from refunds.security.encryption import Erased, Hidden
from refunds.service import assignments, cancellations, contacts, resolutions
from refunds.service.cancellations import Override, Refused
from refunds.service.contacts import NewContact
from refunds.service.findings import AContact
from refunds.service.resolutions import Resolution
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import telemetry
from refunds.web.console import action, at, page, screen, to
from refunds.web.console.eligibility import asked, has_ended, time_zone_of
from refunds.web.console.forms import AnsweredSchema, EntrySchema, Form, Typed, require, seen, trim
from refunds.web.endpoint import Transaction
from refunds.web.schemas.contacts import CompletionRequestSchema, ReopenQuerySchema, ResolutionRequestSchema

ABOUT_THE_CONTACT = ("contact_point", "from_detail", "ticket_ref", "note")


@screen("/orders/<order:order_id>/cancel", Scope.CANCELLATIONS_ISSUE)
def confirm(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Show the page on which an agent confirms that an order is cancelled, with the fields for notes; store nothing.

    Times that cannot be read or are not possible are shown as errors. Raises `Forbidden` for an override unless the
    user is a supervisor, `NotFound`, and `ContactStateConflict` for a stored contact that cannot be cancelled on.
    """
    return _confirm(uow, form, order_id, "cancel")


@screen("/orders/<order:order_id>/record", Scope.CONTACTS_WRITE)
def confirm_record(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Show the page on which an agent confirms a contact before it is recorded, with the fields for notes."""
    return _confirm(uow, form, order_id, "record")


@screen("/orders/<order:order_id>/override", Scope.CANCELLATIONS_OVERRIDE, method="POST", form_view=confirm)
def confirm_override(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Show what a supervisor confirms before an order is cancelled by the override in the form; nothing is recorded.

    It takes no link, so that nobody else can choose the override for them. Raises `InvalidInput` without an override or
    if a field is wrong, `Forbidden` for others than supervisors, and `NotFound` and `ContactStateConflict` for the
    stored contact that the form names.
    """
    found = form.read(EntrySchema)
    require(found, "override")
    address = at("cancel", order_id=order_id, contact_id=found.get("contact_id"))
    return _confirm(uow, replace(form, address=address), order_id, "cancel")


def _confirm(uow: UnitOfWork, form: Form, order_id: str, doing: str) -> Response:
    """Show the page to confirm that the order is cancelled (`doing`: `cancel`) or the contact recorded (`record`).

    Nothing is recorded yet. Times that cannot be read or are not possible are shown as errors. The session keeps the
    channel. Raises `Forbidden` if the form has an override and the user is no supervisor, and what `_foreseen` raises.
    """
    form, corrected = _taken_over(uow, form, doing)
    found = form.read_leniently(EntrySchema)
    override = found.get("override")
    if override is not None:
        g.principal.require(Scope.CANCELLATIONS_OVERRIDE)
    order, contact, own, decision, errors = _foreseen(uow, order_id, found)
    intent = contact.intent if contact else found.get("intent", Intent.CANCEL)
    kept = contacts.hidden_details(uow.contacts.find(found["supersedes"])) if "supersedes" in found else {}
    time_zone, how = time_zone_of(uow, order.policy), None
    with suppress(InvalidInput):  # the errors are shown by the form
        how = asked(found, uow.now, time_zone)
    return page(
        "confirm.html",
        replace(form, errors=form.errors or errors),
        doing=doing,
        intent=intent,
        order=order,
        contact=contact,
        corrected=corrected,
        channel=found.get("channel") or session.get("channel", Channel.PHONE),
        # The time that is shown is the time that is recorded, even if the agent waits before sending.
        entry=how and how.begun(uow.now),
        outcome=decision.outcome if decision else None,
        on_record=decision and decision.eligible and decision.facts.request,
        override=override,
        kept=kept,
        needs_evidence=bool(own and contact is None and contacts.needs_evidence(own, intent)),
        points=own.official_points if own else (),
        time_zone=time_zone,
        back=at("contact", contact_id=contact.contact_id)
        if contact
        else at("answer", order_id=order_id, **(how.parameters if how else {})),
    )


def _taken_over(uow: UnitOfWork, form: Form, doing: str) -> tuple[Form, Contact | None]:
    """Return the form, filled from the contact that it supersedes, and that contact if the form corrects it, else None.

    The contact's recorded details, times and channel replace those of the form, except after a POST: then what was
    typed counts. A form that supersedes no contact stays as it is. A form corrects the contact if it has the same
    intent and `doing` is `record`; then it gets the times as people type them, otherwise as exact instants.
    """
    found = form.read_leniently(EntrySchema)
    earlier = found.get("supersedes")
    if earlier is None:
        return form, None
    contact = uow.contacts.get(earlier)
    corrected = contact if doing == "record" and found.get("intent", Intent.CANCEL) is contact.intent else None
    if request.method == "POST":
        return form, corrected
    return with_recorded(uow, form, contact, is_typed=bool(corrected)), corrected


_TIMES = ("received_at", "sent_at")
_CORRECTABLE = ("intent", "channel", *_TIMES, *ABOUT_THE_CONTACT)


def with_recorded(uow: UnitOfWork, form: Form, contact: AContact, *, is_typed: bool) -> Form:
    """Return the form, with what is on record of a contact in place of what was typed.

    What was typed stays where nothing is on record, it was erased, or the user may not see it. Times are as people type
    them if `is_typed`, and otherwise exact instants.
    """
    details = {name: _readable(contact, name) for name in (*ABOUT_THE_CONTACT, "order_hint")}
    zone, times = _zone(uow, contact), {name: getattr(contact, name) for name in _TIMES}
    details |= {name: clock_text(at, zone) if is_typed else format_instant(at) for name, at in times.items() if at}
    recorded = {name: value for name, value in details.items() if value} | {"channel": str(contact.channel)}
    return replace(form, data={**form.data, **recorded})


def _readable(contact: AContact, name: str) -> Any:
    """Return a field of a contact, a text as a form sends it.

    None if the contact has none, the field was erased, or this user may not see it.
    """
    value = getattr(contact, name, None)
    return None if isinstance(value, Erased | Hidden) else trim(value) if isinstance(value, str) else value


def require_changed(new: NewContact, earlier: AContact | None, **more: Any) -> None:
    """Raise `InvalidInput` if `new` changes nothing in `earlier`, the contact that it corrects; do nothing without one.

    `more` has further values of the new contact, which are compared, too.
    """
    entered = {name: getattr(new, name) for name in _CORRECTABLE} | more
    if earlier and all(value == _readable(earlier, name) for name, value in entered.items()):
        raise InvalidInput.at("/channel", Message("change at least one field"), "unchanged_fields")


def _zone(uow: UnitOfWork, contact: AContact) -> str:
    """Return the time zone of typed times of a contact: that of its order's policy or, unmatched, of the default."""
    return time_zone_of(
        uow, uow.orders.get(contact.order_id).policy if isinstance(contact, Contact) else uow.policies.default
    )


def _foreseen(
    uow: UnitOfWork, order_id: str, found: dict[str, Any]
) -> tuple[Order, Contact | None, Decision | None, Decision | None, tuple[FieldError, ...]]:
    """Return the order, the contact named by `contact_id` in the form or None, two decisions, and the form's errors.

    For a contact to be entered now, the decisions are those of `contacts.preview`: on the contact itself, and the one
    to answer with; both None, with errors, if its times or contact point are not possible. For a stored contact, both
    are the one of `cancellations.preview`. Nothing is recorded. Raises `NotFound`, `ContactStateConflict` if a stored
    contact is about another order, and what `cancellations.preview` raises.
    """
    if "contact_id" in found:
        contact, order, decision = cancellations.preview(uow, found["contact_id"])
        if order.order_id != order_id:
            raise ContactStateConflict(Message("The contact is about another order."), contact.state)
        return order, contact, decision, decision, ()
    order = uow.orders.get(order_id)
    try:
        return order, None, *contacts.preview(uow, order, _new_contact(uow, order, found)), ()
    except InvalidInput as error:
        return order, None, None, None, error.errors


def _new_contact(uow: UnitOfWork, order: Order, found: dict[str, Any]) -> NewContact:
    """Return the contact about an order that the read form enters, as `new_contact` does."""
    earlier = uow.contacts.find(found["supersedes"]) if "supersedes" in found else None
    return new_contact(uow, found, time_zone_of(uow, order.policy), earlier)


_OPENED_FOR = timedelta(minutes=15)
"""How long the time at which a page was opened counts as that of the contact, unless the user says so."""


def new_contact(uow: UnitOfWork, found: dict[str, Any], time_zone: str, earlier: AContact | None) -> NewContact:
    """Return the contact that the read form enters, not recorded yet; by default, its intent is to cancel.

    It has the exact times of `earlier`, the contact that it corrects, where they are still typed as the page showed
    them. The session keeps its channel. Raises `InvalidInput` if a time is not a date with its time, or if the contact
    is said to be received when the page was opened, and that is more than 15 minutes ago.
    """
    for name in _TIMES:
        then = getattr(earlier, name, None)
        if earlier and then and name in found and found[name].text == seen(clock_text(then, _zone(uow, earlier))):
            found = found | {name: Typed(format_instant(then))}
    how = asked(found, uow.now, time_zone)
    if how.opened and how.received_at and uow.now - how.received_at > _OPENED_FOR:
        raise InvalidInput.at("/received_at", Message("the page was opened long ago"), "opened_long_ago")
    return NewContact(
        channel=how.channel,
        intent=found.get("intent", Intent.CANCEL),
        received_at=how.received_at,
        sent_at=how.sent_at,
        **{name: found[name] for name in (*ABOUT_THE_CONTACT, "supersedes") if name in found},
    )


@action("/orders/<order:order_id>/cancel", confirm, Scope.CANCELLATIONS_ISSUE, transaction=Transaction.IDEMPOTENT)
def cancel(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Cancel an order, on a stored contact or one entered now, and redirect to the cancellation; count the decision.

    If the cancellation is refused, a contact entered now is recorded all the same, and the redirect is to the contact.
    """
    found = form.read(EntrySchema)
    override = None
    if "override" in found:
        require(found, "reason")
        override = Override(found["override"], found["reason"])
    contact = found.get("contact_id") or _new_contact(uow, uow.orders.get(order_id), found)
    outcome = cancellations.issue(uow, order=order_id, contact=contact, override=override)
    if isinstance(outcome, Refused):
        telemetry.count_decisions([outcome.decision.reason])
        return to("contact", contact_id=outcome.contact.contact_id)
    telemetry.count_decisions([outcome.outcome.reason])
    return to("cancellation", cancellation_id=outcome.cancellation_id)


@action("/orders/<order:order_id>/record", confirm_record, Scope.CONTACTS_WRITE, transaction=Transaction.IDEMPOTENT)
def record(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Record a contact with its decision, without cancelling, count the decision, and redirect to the contact.

    Raises `InvalidInput` if it supersedes a contact and says the same.
    """
    new = _new_contact(uow, uow.orders.get(order_id), form.read(EntrySchema))
    require_changed(new, uow.contacts.find(new.supersedes) if new.supersedes else None)
    contact = contacts.record(uow, order_id, new)
    telemetry.count_decisions([contact.outcome.reason])
    return to("contact", contact_id=contact.contact_id)


@screen("/contacts/<contact_id>", Scope.CONTACTS_READ)
def contact(uow: UnitOfWork, form: Form, contact_id: str) -> Response:
    """Show a contact: the recorded decision, the one that it would get now, and what can be done about it.

    The recorded decision is shown for both if no decision is possible now, if the contact was superseded, or if it is
    not open and the order is cancelled.
    """
    found = uow.contacts.get(contact_id)
    order, active = uow.orders.get(found.order_id), uow.cancellations.active(found.order_id)
    decision: Decision | RecordedDecision = found.decision
    if found.is_open or not (found.superseded_by or active):
        with suppress(CallersError):  # a decision may no longer be possible on its facts
            decision = contacts.decision_now(uow, order, found, cancelled=active is not None)
    choices: dict[str, Any] = {"reasons": [], "originals": []}
    if found.is_open:
        choices = {
            "reasons": resolutions.possible_reasons(uow, found),
            "originals": resolutions.possible_originals(uow, found),
        }
    preview = decision.outcome
    judged_by = uow.policies[preview.policy].version(preview.version)
    ended = has_ended(decision, uow.now)
    words = {name: contact_said(found, preview, active, ended=ended) for name in each_language()}
    return page(
        "contact.html",
        form,
        **about(uow, found, found.resolved_by),
        outcome=found.outcome,
        preview=preview,
        on_record=decision.facts.request if preview.eligible else None,
        waiting=None if preview.eligible else decision.facts.request,
        ended=ended,
        active=active,
        overrides=cancellations.fitting_overrides(preview),
        period=information_period(order.ordered_at, preview, judged_by.terms),
        now=uow.now,
        look=answer_look(preview, ended=ended, active=active),
        earlier=uow.contacts.find(found.supersedes) if found.supersedes else None,
        words=words if any(words.values()) else {},
        **choices,
    )


def about(uow: UnitOfWork, contact: AContact, *actors: str | None) -> dict[str, Any]:
    """Return what the pages of contacts and of unmatched contacts show alike: the template's values, by name.

    Its `names` has the names of `actors` and of who recorded, acknowledged and took the contact.
    """
    taking = assignments.taking(uow, contact)
    ids = (contact.recorded_by, contact.acknowledged_by, contact.taken_by, taking and taking.holder, *actors)
    return {
        "contact": contact,
        "lacks": [name for name in ("ticket_ref", "note") if getattr(contact, name) is None],
        "mails_to": contact.from_detail if is_address(contact.from_detail) else None,
        "reopening": list(ReopeningReason),
        "taking": taking,
        "names": uow.users.names(ids),
    }


def _acknowledge(uow: UnitOfWork, name: str, found: dict[str, Any]) -> None:
    """Record that the customer of the contact `name` was answered, as the read form says.

    Raises `InvalidInput` if the typed time cannot be read, and what `resolutions.acknowledge` raises.
    """
    given_at = found.pop("given_at", None)
    if given_at is not None:
        zone = _zone(uow, uow.any_contacts.get(name))
        found["given_at"] = given_at.instant("given_at", uow.now, zone)
    resolutions.acknowledge(uow, name, **found)


def _complete(uow: UnitOfWork, name: str, found: dict[str, Any]) -> None:
    """Add the ticket or note in a form to the contact `name`; raise `InvalidInput` if the form has neither."""
    if not found:
        raise InvalidInput.at("/note", Message("write a ticket or a note"), "required")
    resolutions.complete(uow, name, **found)


def _resolve(uow: UnitOfWork, contact_id: str, found: dict[str, Any]) -> None:
    """Resolve a contact with the fields read from the form; `duplicate_of` is ignored unless the reason is a duplicate.

    Raises `NotFound`, `ContactStateConflict` (not open), `InvalidInput` (unfit reason) or `Forbidden` (supervisors
    only).
    """
    if found["reason_code"] is not ResolutionReason.DUPLICATE:
        found.pop("duplicate_of", None)  # the list of the others is on the form whatever the reason
    resolutions.resolve(uow, contact_id, Resolution(**found))


Doing = dict[str, tuple[type[StrictSchema], Callable[[UnitOfWork, str, dict[str, Any]], object]]]

ANSWERING: Doing = {"acknowledge": (AnsweredSchema, _acknowledge), "complete": (CompletionRequestSchema, _complete)}
_DOING: Doing = ANSWERING | {
    "resolve": (ResolutionRequestSchema, _resolve),
    "reopen": (ReopenQuerySchema, lambda uow, name, found: resolutions.reopen(uow, name, found["reason_code"])),
}
"""What the forms of the page of a contact do, and their fields, by the value of `doing`."""


@action("/contacts/<contact_id>", contact, Scope.CONTACTS_WRITE)
def follow_up(uow: UnitOfWork, form: Form, contact_id: str) -> Response:
    """Acknowledge, complete, resolve or reopen a contact, as the `doing` of the form says; then redirect to its page.

    Raises `InvalidInput` for another `doing`, and what the use case raises, such as `ContactStateConflict`.
    """
    act(uow, form, contact_id, _DOING)
    return to("contact", contact_id=contact_id)


def act(uow: UnitOfWork, form: Form, name: str, known: Doing) -> None:
    """Do what the form's `doing` names to the record with the id `name`; raise `InvalidInput` if it is not in `known`.

    `known` has the schema of the other fields and the function for each `doing`.
    """
    data = dict(form.data)
    doing = data.pop("doing", "")
    if doing not in known:
        raise InvalidInput.at("/doing", Message("no form of this page does that"))
    schema, do = known[doing]
    do(uow, name, replace(form, data=data).read(schema))
