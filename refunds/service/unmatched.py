"""Contacts about orders that billing has not sent yet: kept, matched to their orders later, or closed."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from refunds.domain import contact_points, judging
from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.records import Contact, Intent
from refunds.domain.regions import country_of
from refunds.domain.resolutions import ReopeningReason
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import ContactStateConflict, Forbidden, InvalidInput, Message, NotFound
from refunds.security.encryption import Erased
from refunds.service import contacts
from refunds.service.contacts import BEFORE_KNOWN, Entry, NewContact
from refunds.storage.contacts import ACKNOWLEDGED
from refunds.storage.unit_of_work import UnitOfWork


def record(uow: UnitOfWork, order_hint: str, new: NewContact) -> UnmatchedContact:
    """Record a contact whose order is not known, and supersede the unmatched contact that it names, if any.

    The contact is open until it is matched, resolved or superseded. `order_hint` is what the customer said of the
    order. The customer's number needs its country code; the vendor's is read as in the country of the default policy.
    If the contact asks for the same as the superseded one and was received before that was recorded, it takes over
    `recorded_at` and `recorded_by`. Raises `InvalidInput` if a time is in the future, in the wrong order or over a
    year ago, a number or address is not one, or there is no contact to supersede, `ContactStateConflict` if that
    contact was matched or superseded, or is open and asks for more, and `Forbidden` if a later contact would supersede
    an open request and the principal is no supervisor.
    """
    earlier = None if new.supersedes is None else _to_supersede(uow, new.supersedes, new.intent)
    sent_at, received_at = _times(uow, new, earlier)
    country = country_of(uow.default_terms.region)
    at_channel = partial(contact_points.canonical, new.channel)
    entered = uow.now, uow.principal.actor
    if earlier and earlier.intent is new.intent and received_at <= earlier.recorded_at:
        entered = earlier.recorded_at, earlier.recorded_by
    contact = UnmatchedContact(
        unmatched_id=uow.new_id("unm"),
        request_number=uow.contacts.new_number(),
        wrapped_key=None,
        intent=new.intent,
        channel=new.channel,
        sent_at=sent_at,
        received_at=received_at,
        recorded_at=entered[0],
        recorded_by=entered[1],
        contact_point=new.contact_point
        and judging.at_pointer("/contact_point", at_channel, new.contact_point, country),
        order_hint=order_hint,
        from_detail=new.from_detail
        and judging.at_pointer("/from_detail", contact_points.customers_detail, new.from_detail),
        ticket_ref=new.ticket_ref,
        note=new.note,
        is_open=True,
        taken_by=earlier.taken_by if earlier else None,
        supersedes=new.supersedes,
    )
    if earlier is not None:
        superseded = {"superseded_by": contact.unmatched_id}
        uow.unmatched.update(earlier, EventType.CONTACT_UNMATCHED_SUPERSEDED, superseded, is_open=False, **superseded)
    uow.unmatched.add(contact, EventType.CONTACT_UNMATCHED_RECORDED, intent=contact.intent, channel=contact.channel)
    return contact


def _times(uow: UnitOfWork, new: NewContact, earlier: UnmatchedContact | None) -> tuple[datetime | None, datetime]:
    """Return when a contact was sent, or None, and received; without a time of receipt, as `earlier` was, or else now.

    Raises `InvalidInput` if a time is in the future, in the wrong order or over a year ago, and `Forbidden` if a later
    contact would supersede the open request `earlier` and the principal is no supervisor.
    """
    if earlier and new.received_at is None:
        new = replace(new, received_at=earlier.received_at, sent_at=new.sent_at or earlier.sent_at)
    too_early = uow.now - BEFORE_KNOWN, Message("must not be more than a year ago")
    sent_at, received_at = contacts.possible_times(too_early, new, uow.now)
    if earlier and earlier.is_open and earlier.intent.asks and not uow.principal.may(Scope.CANCELLATIONS_OVERRIDE):
        made, made_first = sent_at or received_at, earlier.sent_at or earlier.received_at
        if received_at > earlier.received_at or made > made_first:
            text = Message(
                "The contact %(name)s was made before that. Only a supervisor can replace it by a later one.",
                name=earlier.unmatched_id,
            )
            raise Forbidden(text)
    return sent_at, received_at


def _to_supersede(uow: UnitOfWork, unmatched_id: str, intent: Intent) -> UnmatchedContact:
    """Lock and return the unmatched contact that a new one with this intent is to supersede.

    Raises `InvalidInput` without it, `ContactStateConflict` if it was matched or superseded, or open and asks for more.
    """
    try:
        earlier = uow.unmatched.get(unmatched_id, lock=True)
    except NotFound as error:
        raise InvalidInput.at("/supersedes", error.detail, "unknown_contact") from None
    contacts.require_replaceable(earlier, intent)
    return earlier


_SAID = ("channel", "intent", "sent_at", "received_at", "contact_point", "from_detail", "ticket_ref", "note")
"""The fields that a contact takes over from the unmatched one."""


def match(uow: UnitOfWork, unmatched_id: str, order_id: str, ticket_ref: str | None = None) -> tuple[Contact, bool]:
    """Record an unmatched contact as one about an order; return that contact, and True unless they were matched before.

    The new contact has the times, first entry, number and acknowledgement of the unmatched one, which is emptied, and
    is judged by them; `ticket_ref` replaces its ticket. The same match again changes nothing. Raises `NotFound` if
    there is no such order or unmatched contact, `ContactStateConflict` if it was matched to another order, superseded
    or resolved, `InvalidInput` if it is too early for the order, and otherwise what `contacts.record` raises.
    """
    locked = uow.orders.get_for_update(order_id)
    found = uow.unmatched.get(unmatched_id, lock=True)
    if found.contact_id is not None and (known := uow.contacts.get(found.contact_id)).order_id == order_id:
        return known, False
    _require_open(found)
    said = {name: _none_if_erased(getattr(found, name)) for name in _SAID}
    first = Entry(found.recorded_at, found.recorded_by, found.request_number, found.taken_by)
    new = NewContact(**said | {"ticket_ref": ticket_ref or said["ticket_ref"]}, first=first)
    try:
        contact = contacts.add(uow, locked, new)[0]
    except InvalidInput as error:
        if any(one.code == "impossible_time" for one in error.errors):
            detail = Message("must be the contact's order: this one was placed long after the contact")
            raise InvalidInput.at("/order_id", detail, "other_order") from None
        raise
    if found.acknowledged_at is not None:
        answered = {name: _none_if_erased(getattr(found, name)) for name in ACKNOWLEDGED}
        data = {"channel": found.acknowledged_through}
        contact = uow.contacts.update(contact, EventType.CONTACT_ACKNOWLEDGED, data, **answered)
    uow.unmatched.match(found, contact)
    return contact, True


def resolve(uow: UnitOfWork, unmatched_id: str, reason: str) -> UnmatchedContact:
    """Close an open unmatched contact for a reason; the same reason again changes nothing.

    Raises `NotFound` if there is none, `ContactStateConflict` if it was matched, superseded or resolved for another
    reason, and `Forbidden` if it is a withdrawal and the principal is no supervisor.
    """
    found = uow.unmatched.get(unmatched_id, lock=True)
    if found.closed_at is not None and found.closed_reason == reason:
        return found
    _require_open(found)
    contacts.require_may_end(uow, found.intent, unmatched_id)
    return uow.unmatched.update(
        found,
        EventType.CONTACT_UNMATCHED_RESOLVED,
        is_open=False,
        closed_at=uow.now,
        closed_by=uow.principal.actor,
        closed_reason=reason,
    )


def reopen(uow: UnitOfWork, unmatched_id: str, reason: ReopeningReason) -> UnmatchedContact:
    """Open a resolved unmatched contact again, and return it; an open one stays as it is.

    Raises `NotFound` if there is none with this id, and `ContactStateConflict` if it was matched or superseded.
    """
    found = uow.unmatched.get(unmatched_id, lock=True)
    if found.is_open:
        return found
    contacts.require_present(found)
    closing = dict.fromkeys(("closed_at", "closed_by", "closed_reason"))
    event = EventType.CONTACT_UNMATCHED_REOPENED
    return uow.unmatched.update(found, event, {"reason_code": reason}, is_open=True, **closing)


def _none_if_erased(value: Any) -> Any:
    """Return None for a text that was erased, and any other value as it is."""
    return None if isinstance(value, Erased) else value


def _require_open(found: UnmatchedContact) -> None:
    """Raise `ContactStateConflict` if an unmatched contact was matched, superseded or resolved."""
    contacts.require_present(found)
    if not found.is_open:
        detail = Message("The contact %(name)s has been resolved.", name=found.unmatched_id)
        raise ContactStateConflict(detail, found.state)
