"""Contacts: every call and e-mail is kept with what was decided on it, also one that came too late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ulid import ULID

from refunds.domain import contact_points, judging
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision, Facts
from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.records import Contact, Intent, Order
from refunds.errors import ContactStateConflict, EvidenceRequired, Flaw, InvalidInput, NotFound
from refunds.service import orders
from refunds.service.orders import AHEAD, Filed
from refunds.service.work import Work
from refunds.storage import contacts
from refunds.storage.contacts import CONTACTS

BEFORE_ORDERED, BEFORE_KNOWN = timedelta(days=1), timedelta(days=365)
"""A contact from longer before the order was placed, or before all that is known of it, is a slip of the pen."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContact:
    """A contact as it is told; `received_at` None is now.

    `contact_point` is the vendor's number or address, `from_detail` the customer's.
    """

    channel: Channel
    intent: Intent = Intent.CANCEL
    sent_at: datetime | None = None
    received_at: datetime | None = None
    contact_point: str | None = None
    from_detail: str | None = None
    ticket_ref: str | None = None
    note: str | None = None
    supersedes: str | None = None


def record(work: Work, order_id: str, told: NewContact) -> Contact:
    """Record a contact about an order, and what is decided on it.

    Raises `NotFound`, `InvalidInput` naming what cannot be, `EvidenceRequired`, `ContactStateConflict`.
    """
    return add(work, orders.file(work, order_id), told)[0]


def add(work: Work, filed: Filed, told: NewContact) -> tuple[Contact, Decision]:
    """Record a contact about an order that is held, as `record`; with the decision itself."""
    decision = _decided(work, filed, told)
    contact = _made(work, filed, told, decision)
    earlier = _to_supersede(work, filed, told)
    digest = CONTACTS.insert(work.tx, contact, filed.vault)
    if earlier is not None:
        _supersede(work, filed, earlier, contact)
    work.enter(
        EventType.CONTACT_RECORDED,
        contact.contact_id,
        contact.order_id,
        digest,
        intent=contact.intent,
        channel=contact.channel,
        eligible=decision.eligible,
        reason=decision.reason,
        supersedes=contact.supersedes,
    )
    return contact, decision


def foreseen(work: Work, order_id: str, told: NewContact) -> tuple[Filed, Decision]:
    """What would be decided on a contact about an order if it were entered now; nothing is recorded.

    Raises `NotFound`, `InvalidInput` naming what cannot be.
    """
    filed = orders.find(work, order_id)
    return filed, _judged(work, filed, told)


def needs_evidence(decision: Decision, intent: Intent) -> bool:
    """Whether a contact wants a ticket, as it was received before the deadline and is entered after it."""
    return decision.backdated and intent is Intent.CANCEL and decision.version.terms.evidence_after_deadline


def get(work: Work, contact_id: str) -> Contact:
    """The contact of this id; raises `NotFound`."""
    row = contacts.by_id(work.tx, contact_id)
    if row is None:
        raise NotFound("there is no contact of this id")
    return CONTACTS.read(row, work.vault(row))


def listed(
    work: Work, *, after: str, limit: int, order_id: str | None, is_open: bool | None, backdated: bool | None
) -> list[Contact]:
    """Up to `limit` contacts after one, in the order in which they were recorded."""
    rows = contacts.listed(work.tx, after=after, limit=limit, order_id=order_id, is_open=is_open, backdated=backdated)
    return [CONTACTS.read(row, work.vault(row)) for row in rows]


def resolve(work: Work, contact_id: str, reason: str) -> Contact:
    """Take an open contact off the list for a reason; the same reason again changes nothing.

    Raises `NotFound`, `ContactStateConflict`.
    """
    contact, filed = _held(work, contact_id)
    if contact.resolved_at is not None and contact.resolution_reason == reason:
        return contact
    if not contact.is_open:
        raise ContactStateConflict(f"The contact {contact_id} is not open: {_why_closed(contact)}.")
    return settle(work, filed, contact, reason)


def settle(work: Work, filed: Filed, contact: Contact, reason: str) -> Contact:
    """Resolve a contact whose order is held."""
    resolved, digest = CONTACTS.change(
        work.tx,
        contact,
        filed.vault,
        is_open=False,
        resolution_reason=reason,
        resolved_at=work.now,
        resolved_by=work.principal.actor,
    )
    work.enter(EventType.CONTACT_RESOLVED, contact.contact_id, contact.order_id, digest)
    return resolved


def _held(work: Work, contact_id: str) -> tuple[Contact, Filed]:
    """A contact, and its order, held; raises `NotFound`."""
    filed = orders.file(work, get(work, contact_id).order_id)
    return get(work, contact_id), filed  # read again, now that nobody else can change it


def _decided(work: Work, filed: Filed, told: NewContact) -> Decision:
    """What is decided on a contact that is entered now; evidence for a late entry is asked for."""
    decision = _judged(work, filed, told)
    if needs_evidence(decision, told.intent) and told.ticket_ref is None:
        detail = "is required: the contact was received before the deadline and is entered after it"
        raise EvidenceRequired([Flaw("/ticket_ref", detail, "required")])
    return decision


def _judged(work: Work, filed: Filed, told: NewContact) -> Decision:
    order, received_at = filed.order, told.received_at or work.now
    _require_possible_times(order, told.sent_at, received_at, work.now)
    facts = Facts(
        service_provided_at=order.service_provided_at,
        received_at=received_at,
        sent_at=told.sent_at,
        recorded_at=work.now,
        channel=told.channel,
        contact_point=told.contact_point,
        cancelled=filed.active is not None,
        entered_by_supervisor=work.principal.may(Scope.CONTACTS_LATE_ENTRY),
    )
    return orders.decided(work, order, facts)


def _made(work: Work, filed: Filed, told: NewContact, decision: Decision) -> Contact:
    asks, from_detail = told.intent is Intent.CANCEL, told.from_detail
    if from_detail is not None:
        country = decision.version.terms.country
        from_detail = judging.spelt("/from_detail", contact_points.customers_detail, from_detail, country)
    return Contact(
        contact_id=f"con_{ULID()}",
        order_id=filed.order.order_id,
        intent=told.intent,
        channel=told.channel,
        sent_at=told.sent_at,
        received_at=decision.facts.received_at,
        recorded_at=work.now,
        recorded_by=work.principal.actor,
        contact_point=decision.facts.contact_point,
        from_detail=from_detail,
        ticket_ref=told.ticket_ref,
        note=told.note,
        supersedes=told.supersedes,
        decision=decision.record(),
        backdated=asks and decision.backdated,
        is_open=asks and filed.active is None,
        superseded_by=None,
    )


def _require_possible_times(order: Order, sent_at: datetime | None, received_at: datetime, now: datetime) -> None:
    first, long_before = _earliest(order)
    flaws = {}
    if received_at > now + AHEAD:
        flaws["/received_at"] = "must not be more than a minute in the future"
    if sent_at and sent_at > received_at:
        flaws["/sent_at"] = "must not be later than received_at"
    for pointer, at in (("/received_at", received_at), ("/sent_at", sent_at)):
        if at and at < first:
            flaws[pointer] = f"must not be more than {long_before}"
    if flaws:
        raise InvalidInput(Flaw(pointer, detail, "impossible_time") for pointer, detail in flaws.items())


def _earliest(order: Order) -> tuple[datetime, str]:
    """Before when no contact can be about an order, and that in words."""
    if order.ordered_at is not None:
        known, margin, told = order.ordered_at, BEFORE_ORDERED, "a day before the order was placed"
    else:
        known, margin = min(order.service_provided_at or order.registered_at, order.registered_at), BEFORE_KNOWN
        told = "a year before all that is known of the order"
    return (known - margin if known - _BEGINNING > margin else _BEGINNING), told


def _to_supersede(work: Work, filed: Filed, told: NewContact) -> Contact | None:
    """The contact that is to be superseded."""
    contact_id = told.supersedes
    if contact_id is None:
        return None
    row = contacts.by_id(work.tx, contact_id)
    if row is None or row["order_id"] != filed.order.order_id:
        raise InvalidInput([Flaw("/supersedes", "must be the id of a contact about this order", "unknown_contact")])
    earlier = CONTACTS.read(row, filed.vault)
    if earlier.superseded_by is not None:
        raise ContactStateConflict(f"The contact {contact_id} has been superseded by {earlier.superseded_by}.")
    if earlier.is_open and told.intent is not Intent.CANCEL:
        raise ContactStateConflict("A question does not take a request off the open list: resolve it with a reason.")
    if filed.active is not None and filed.active.contact_id == contact_id:
        cancellation_id = filed.active.cancellation_id
        raise ContactStateConflict(f"The cancellation {cancellation_id} rests on this contact: revoke it first.")
    return earlier


def _supersede(work: Work, filed: Filed, earlier: Contact, contact: Contact) -> None:
    _, digest = CONTACTS.change(work.tx, earlier, filed.vault, is_open=False, superseded_by=contact.contact_id)
    work.enter(
        EventType.CONTACT_SUPERSEDED,
        earlier.contact_id,
        earlier.order_id,
        digest,
        superseded_by=contact.contact_id,
    )


def _why_closed(contact: Contact) -> str:
    if contact.intent is not Intent.CANCEL:
        return "it asks for nothing"
    if contact.superseded_by is not None:
        return f"it has been superseded by {contact.superseded_by}"
    if contact.resolved_at is not None:
        return "it has been resolved for another reason"
    return "its order is cancelled"
