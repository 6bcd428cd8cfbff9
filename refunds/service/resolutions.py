"""Contacts are acknowledged, completed, resolved without a cancellation, and reopened.

Unmatched contacts are acknowledged and completed here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from refunds.domain import contact_points, judging
from refunds.domain.contact_points import Channel
from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.records import Contact, Intent
from refunds.domain.resolutions import ENDS_A_TIMELY_REQUEST, ReopeningReason, ResolutionReason
from refunds.errors import ContactStateConflict, FieldError, Forbidden, InvalidInput, Message, one_of_text
from refunds.service import contacts
from refunds.service.findings import AContact
from refunds.service.orders import AHEAD
from refunds.storage.unit_of_work import UnitOfWork

RESOLVABLE_FOR: Mapping[Intent, tuple[ResolutionReason, ...]] = {
    Intent.CANCEL: (*ENDS_A_TIMELY_REQUEST, ResolutionReason.OTHER),
    Intent.WITHDRAWAL: (*ENDS_A_TIMELY_REQUEST, ResolutionReason.ANSWERED_IN_WRITING),
}
"""The reasons for which contacts are resolved, by the intents of those that can be open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Why a request ends without a cancellation; `reason` in words, `duplicate_of` the contact that it repeats."""

    reason_code: ResolutionReason
    reason: str | None = None
    duplicate_of: str | None = None


def acknowledge(
    uow: UnitOfWork, contact_id: str, *, channel: Channel, to: str | None = None, given_at: datetime | None = None
) -> AContact:
    """Record that the customer was answered by a channel, by default now; `to` is where, if not at their own detail.

    The same again changes nothing. Raises `NotFound` if there is no such contact; `InvalidInput` if the answer is
    earlier than the contact or over a minute in the future, or `to` is no number or address of the channel;
    `ContactStateConflict` if the contact has been superseded or matched or has another acknowledgement; and, with a
    `to`, `CustomerErased`.
    """
    contact = _lock_present(uow, contact_id)
    to = None if to is None else _canonical_to(uow, contact, channel, to)
    if contact.acknowledged_at is not None:
        given = contact.acknowledged_through, contact.acknowledged_to
        if given == (channel, to) and given_at in (None, contact.acknowledged_at):
            return contact
        detail = Message("The contact %(name)s has another acknowledgement, which stands.", name=contact_id)
        raise ContactStateConflict(detail, contact.state)
    at = given_at or max(uow.now, contact.received_at)  # by the caller's clock, it may be received a minute from now
    if not contact.received_at <= at <= uow.now + AHEAD:
        detail = Message("must lie between the receipt of the contact and now")
        raise InvalidInput.at("/given_at", detail, "impossible_answer")
    return uow.any_contacts.update(
        contact,
        EventType.CONTACT_ACKNOWLEDGED,
        {"channel": channel},
        acknowledged_at=at,
        acknowledged_by=uow.principal.actor,
        acknowledged_through=channel,
        acknowledged_to=to,
    )


def complete(uow: UnitOfWork, contact_id: str, *, ticket_ref: str | None = None, note: str | None = None) -> AContact:
    """Add a ticket or a note to a contact that was recorded without it; the same again changes nothing.

    The event names the fields, so that everybody sees what was added later. Raises `NotFound` if there is no such
    contact, `ContactStateConflict` if it has been superseded or matched, or has another ticket or note, and
    `CustomerErased`.
    """
    contact = _lock_present(uow, contact_id)
    given = {"ticket_ref": ticket_ref, "note": note}
    added = {field: value for field, value in given.items() if value not in (None, getattr(contact, field))}
    for field in added:
        if getattr(contact, field) is not None:
            detail = Message(
                "The contact %(name)s has another %(field)s: to correct it, record a contact that supersedes it.",
                name=contact_id,
                field=field,
            )
            raise ContactStateConflict(detail, contact.state)
    if not added:
        return contact
    return uow.any_contacts.update(contact, EventType.CONTACT_COMPLETED, {"fields": list(added)}, **added)


def _lock_present(uow: UnitOfWork, name: str) -> AContact:
    """Lock a contact and return it; raises `NotFound`, and `ContactStateConflict` if it was superseded or matched."""
    contact = uow.any_contacts.get(name, lock=True)
    contacts.require_present(contact)
    return contact


def resolve(uow: UnitOfWork, contact_id: str, given: Resolution) -> Contact:
    """Resolve an open contact, and all other open contacts of its order that ask for the same.

    A duplicate is resolved alone. The same again changes nothing. The reason in words is dropped if the customer was
    erased. Raises `NotFound` if there is no such contact; `ContactStateConflict` if it is not open; `InvalidInput` if
    the reason does not fit the contact, has to be explained and is not, or `duplicate_of` is not one that it can
    repeat; and `Forbidden` if only a supervisor may do this: for a withdrawal, and for requests that were in time or
    need a supervisor, unless the reason is one for which an agent may end them.
    """
    contact, code = uow.contacts.get(contact_id, lock=True), given.reason_code
    given = replace(given, reason=uow.orders.storable(contact.order_id, given.reason))
    if not contact.is_open:
        earlier = contact.resolution_code, contact.resolution_reason, contact.duplicate_of
        if contact.resolved_at is None or earlier != (code, given.reason, given.duplicate_of):
            contacts.require_present(contact)
            raise ContactStateConflict(_not_open_text(contact), contact.state)
        return contact
    _require_fit(uow, contact, given)
    contacts.require_may_end(uow, contact.intent, contact_id)
    ended = [contact] if code is ResolutionReason.DUPLICATE else _together(uow, contact)
    if not uow.principal.may(Scope.CANCELLATIONS_OVERRIDE):
        for one in ended:
            if code not in ENDS_A_TIMELY_REQUEST and contacts.is_timely(uow, one):
                raise Forbidden(_FOR_SUPERVISORS.filled(name=one.contact_id))
    return {one.contact_id: resolve_locked(uow, one, given) for one in ended}[contact_id]


def resolve_locked(uow: UnitOfWork, contact: Contact, given: Resolution) -> Contact:
    """Store and journal the resolution of a contact, without any check; its order must be locked."""
    return uow.contacts.update(
        contact,
        EventType.CONTACT_RESOLVED,
        {"reason_code": given.reason_code, "duplicate_of": given.duplicate_of},
        is_open=False,
        resolution_code=given.reason_code,
        resolution_reason=given.reason,
        duplicate_of=given.duplicate_of,
        resolved_at=uow.now,
        resolved_by=uow.principal.actor,
    )


_NOT_RESOLVED = dict.fromkeys(("resolution_code", "resolution_reason", "duplicate_of", "resolved_at", "resolved_by"))


def reopen(uow: UnitOfWork, contact_id: str, reason: ReopeningReason) -> Contact:
    """Undo a resolution: the contact, and those that were resolved with it, are open again. An open one stays as it is.

    Raises `NotFound` if there is no such contact, and `ContactStateConflict` if it is neither open nor resolved, if it
    has been superseded, or if its order is cancelled.
    """
    contact = uow.contacts.get(contact_id, lock=True)
    if contact.is_open:
        return contact
    contacts.require_present(contact)
    if contact.resolved_at is None:
        raise ContactStateConflict(_not_open_text(contact), contact.state)
    active = uow.cancellations.active(contact.order_id)
    if active is not None:
        by = active.cancellation_id
        detail = Message("Its order is cancelled by %(cancellation_id)s: revoke that first.", cancellation_id=by)
        raise ContactStateConflict(detail, contact.state)
    together = [
        one
        for one in uow.contacts.of_order(contact.order_id)
        if one.resolved_at == contact.resolved_at and one.superseded_by is None
    ]
    data = {"reason_code": reason}
    return {
        one.contact_id: uow.contacts.update(one, EventType.CONTACT_REOPENED, data, is_open=True, **_NOT_RESOLVED)
        for one in together
    }[contact_id]


def possible_reasons(uow: UnitOfWork, contact: Contact) -> list[ResolutionReason]:
    """Return the reasons for which the principal can resolve an open contact; none if only a supervisor can."""
    is_supervisor = uow.principal.may(Scope.CANCELLATIONS_OVERRIDE)
    if contact.intent is Intent.WITHDRAWAL and not is_supervisor:
        return []
    needs_supervisor = not is_supervisor and any(contacts.is_timely(uow, one) for one in _together(uow, contact))
    return [code for code in RESOLVABLE_FOR[contact.intent] if code in ENDS_A_TIMELY_REQUEST or not needs_supervisor]


def possible_originals(uow: UnitOfWork, contact: Contact) -> list[Contact]:
    """Return the contacts of the same order of which a contact may be a duplicate.

    Left out are the contact itself, contacts with another intent, superseded ones and duplicates; if the contact was in
    time or a supervisor has to decide on it, also those of which neither is true.
    """
    return [one for one in uow.contacts.of_order(contact.order_id) if _why_no_original(uow, contact, one) is None]


def _together(uow: UnitOfWork, contact: Contact) -> list[Contact]:
    """Return the open contacts of an order that ask for the same as this one, which is one of them."""
    return [one for one in uow.contacts.open_about([contact.order_id]) if one.intent is contact.intent]


def _canonical_to(uow: UnitOfWork, contact: AContact, channel: Channel, to: str) -> str | None:
    """Return the stored spelling of the address or number to which an answer went; None if the contact came from it.

    Raises `InvalidInput` at `/to` if `to` is no telephone number or e-mail address, or does not fit `channel`.
    """
    if isinstance(contact, Contact):
        then = contact.outcome
        terms = uow.policies[then.policy].version(then.version).terms
        spelt = contacts.customers_detail("/to", to, uow.orders.get(contact.order_id), terms)
    else:
        spelt = judging.at_pointer("/to", contact_points.customers_detail, to)
    judging.at_pointer("/to", contact_points.canonical, channel, spelt)
    return None if spelt == contact.from_detail else spelt


def _require_fit(uow: UnitOfWork, contact: Contact, given: Resolution) -> None:
    """Raise `InvalidInput` unless a resolution's reason, words and `duplicate_of` fit the contact and each other."""
    reason, named = given.reason_code, given.duplicate_of
    is_duplicate = reason is ResolutionReason.DUPLICATE
    unfit = Message("must fit what the contact asks for: %(names)s", names=one_of_text(RESOLVABLE_FOR[contact.intent]))
    required = Message("is required with this reason_code")
    found = [
        (reason not in RESOLVABLE_FOR[contact.intent], "/reason_code", unfit, "unfit_reason"),
        (reason is ResolutionReason.OTHER and given.reason is None, "/reason", required, "required"),
        (is_duplicate and named is None, "/duplicate_of", required, "required"),
        (not is_duplicate and named is not None, "/duplicate_of", Message("is only for duplicates"), "contradiction"),
    ]
    if is_duplicate and named is not None:
        detail = _why_no_original(uow, contact, uow.contacts.find(named))
        found.append((detail is not None, "/duplicate_of", detail or unfit, "no_original"))
    errors = [FieldError(pointer, detail, code) for holds, pointer, detail, code in found if holds]
    if errors:
        raise InvalidInput(errors)


def _why_no_original(uow: UnitOfWork, contact: Contact, other: Contact | None) -> Message | None:
    """Return the text why a contact cannot be a duplicate of `other`, which may be None; None if it can be one.

    A request that was in time is no duplicate of one that was not: only the late one would stay open.
    """
    if other is None or other.order_id != contact.order_id:
        return Message("must be the id of a contact about this order")
    following, repeated = other.superseded_by, other.duplicate_of
    found = (
        (other.contact_id == contact.contact_id, Message("must be another contact than this one")),
        (following is not None, Message("has been superseded: name %(name)s instead", name=following)),
        (other.intent is not contact.intent, Message("must be a contact that asks for the same")),
        (repeated is not None, Message("is a duplicate itself: name %(name)s instead", name=repeated)),
    )
    detail = next((detail for holds, detail in found if holds), None)
    if detail is None and contacts.is_timely(uow, contact) and not contacts.is_timely(uow, other):
        return Message("was too late, and this contact was not: it is the other one that is the duplicate")
    return detail


_FOR_SUPERVISORS = Message(
    "The request %(name)s was in time, or a supervisor has to decide on it. Only a supervisor can end it for this "
    "reason; you can if the customer keeps the order, or if it is a duplicate or was entered in error."
)


def _not_open_text(contact: Contact) -> Message:
    """Return the text of the error that a contact is not open, with the reason; the contact must not be superseded."""
    name = contact.contact_id
    if contact.intent not in RESOLVABLE_FOR:
        return Message("The contact %(name)s is not open: it does not ask for a cancellation.", name=name)
    if contact.resolved_at is not None:
        return Message("The contact %(name)s is not open: it has been resolved for another reason.", name=name)
    return Message("The contact %(name)s is not open: its order is cancelled.", name=name)
