"""Contacts: every call and e-mail is stored with its decision, even if it came too late."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from refunds.domain import contact_points, judging
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision
from refunds.domain.journal import EventType
from refunds.domain.outcomes import Facts, Outcome, Verdict
from refunds.domain.permissions import COMMAND_LINE, Scope
from refunds.domain.records import ASKING, Contact, Intent, Order, PromiseCause
from refunds.domain.regions import country_of
from refunds.domain.terms import Terms
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import (
    CallersError,
    ContactStateConflict,
    EvidenceRequired,
    FieldError,
    Forbidden,
    InvalidInput,
    Message,
)
from refunds.security.encryption import Hidden
from refunds.service import ProgressCallback, orders, promises, silently
from refunds.service.orders import AHEAD
from refunds.service.store import Store
from refunds.storage.orders import LockedOrder
from refunds.storage.unit_of_work import UnitOfWork

BEFORE_ORDERED, BEFORE_KNOWN = timedelta(days=1), timedelta(days=365)
"""A contact from longer before the order was placed, or before anything known of it, is a typing error."""

BATCH = 500
"""Contacts that get a request number in one transaction."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Entry(NamedTuple):
    """When and by whom a contact was first entered, its request number, and who has taken it."""

    recorded_at: datetime
    recorded_by: str
    request_number: str
    taken_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContact:
    """A contact to be recorded; without `received_at`, it is received now.

    `contact_point` is the vendor's number or address, `from_detail` the customer's. `first` is the first entry of an
    unmatched contact that is matched; None if the contact is entered now for the first time.
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
    first: Entry | None = None


def record(uow: UnitOfWork, order_id: str, new: NewContact) -> Contact:
    """Record a contact about an order with the decision, promise the window, and supersede the contact `supersedes`.

    Raises `NotFound` if there is no such order; `InvalidInput` if a time is in the future, in the wrong order or too
    long ago, `from_detail` is no number or address, or `supersedes` is no contact about the order; `EvidenceRequired`
    if the contact needs a ticket reference and has none; `CustomerErased` if it has a personal field of an erased
    customer; and what `orders.decided` raises. If the contact to supersede is superseded already, has a cancellation
    based on it, or is open and asks for more, raises `ContactStateConflict`; if it is open and was in time or needs a
    supervisor, the new one is refused and the principal is no supervisor, raises `Forbidden`.
    """
    return add(uow, uow.orders.get_for_update(order_id), new)[0]


def add(uow: UnitOfWork, locked: LockedOrder, new: NewContact, *, cancels: bool = False) -> tuple[Contact, Decision]:
    """Record a contact about a locked order, as `record` does; return the contact and the decision to answer with.

    That decision is the one on the contact or, if another open request allows more, the one on that request. With
    `cancels`, the contact is stored as closed if the decision allows a cancellation: the caller then cancels the order.
    Raises what `record` raises, except `NotFound`.
    """
    earlier = _to_supersede(uow, locked, new)
    new = _with_hidden(new, earlier)
    own = _judge(uow, locked.order, new, earlier, cancelled=locked.active is not None)
    if needs_evidence(own, new.intent) and new.ticket_ref is None and new.intent is not Intent.WITHDRAWAL:
        detail = Message("is required: the contact was received before the deadline and is entered after it")
        raise EvidenceRequired.at("/ticket_ref", detail, "required")
    decision = orders.decision_to_answer(uow, locked.order, own, new.supersedes)
    contact = _new_contact(uow, locked, new, own, decision)
    if cancels and contact.outcome.eligible:
        contact = replace(contact, is_open=False)
    if earlier is not None:
        _require_none_worse(uow, earlier, decision)
        contact = replace(contact, taken_by=earlier.taken_by)
        superseded = {"superseded_by": contact.contact_id}
        uow.contacts.update(earlier, EventType.CONTACT_SUPERSEDED, superseded, is_open=False, **superseded)
    promises.keep(uow, locked.order, decision, PromiseCause.RECORDED)
    uow.contacts.add(
        contact,
        EventType.CONTACT_RECORDED,
        intent=contact.intent,
        channel=contact.channel,
        eligible=contact.outcome.eligible,
        reason=contact.outcome.reason,
        supersedes=contact.supersedes,
    )
    return contact, decision


def number_all(store: Store, progress: ProgressCallback = silently) -> int:
    """Give a request number to each contact without one, from older versions of the service; return how many had none.

    Each batch is an exclusive write, so the call can be interrupted and repeated, and instances can start at once.
    """
    done = 0
    while numbered := store.write_batch(COMMAND_LINE, lambda uow: uow.contacts.number_some(BATCH)):
        done += numbered
        progress("contacts without a number", done, done)
    return done


def preview(uow: UnitOfWork, order: Order, new: NewContact) -> tuple[Decision, Decision]:
    """Return two decisions as if a contact were entered now: on the contact itself, and the one to answer with.

    The second is the first, unless an earlier open request allows more: see `orders.decision_to_answer`. Nothing is
    recorded. Of what `record` refuses, only the times and the contact point are checked. Raises `InvalidInput` if a
    time is in the future, in the wrong order or too long ago, or the contact point is neither a number nor an address,
    `NotFound` if there is no such policy, and `NoPolicyInForce` or `CalendarNotCovered` if the contact cannot be
    judged.
    """
    earlier = uow.contacts.find(new.supersedes) if new.supersedes else None
    new = _with_hidden(new, earlier)
    own = _judge(uow, order, new, earlier, cancelled=uow.cancellations.active(order.order_id) is not None)
    return own, orders.decision_to_answer(uow, order, own, new.supersedes)


def decision_now(uow: UnitOfWork, order: Order, contact: Contact, *, cancelled: bool) -> Decision:
    """Return the decision to answer a stored contact about an order with now; raises what `orders.decided` raises.

    The caller says whether the order is `cancelled`. Nothing is recorded.
    """
    own = orders.decided(uow, order, orders.facts_of(order, contact, cancelled=cancelled))
    return orders.decision_to_answer(uow, order, own)


def needs_evidence(decision: Decision, intent: Intent) -> bool:
    """Tell whether a contact with this intent, and this decision on itself, needs a ticket as evidence.

    It does if it asks for a cancellation, is backdated, and the policy asks for evidence. A withdrawal is recorded even
    without one, but then only a supervisor can cancel on it.
    """
    return decision.backdated and intent.asks and decision.version.terms.evidence_after_deadline


def hidden_details(contact: Contact | None) -> dict[str, Hidden]:
    """Return the texts of a contact that the principal may not see, by field; none without a contact.

    They are kept by a contact that supersedes it and has nothing in their place: nobody can repeat what they do not
    see.
    """
    details = {name: getattr(contact, name, None) for name in ("from_detail", "ticket_ref", "note")}
    return {name: text for name, text in details.items() if isinstance(text, Hidden)}


def _with_hidden(new: NewContact, earlier: Contact | None) -> NewContact:
    """Return a new contact, with the hidden details of `earlier`, which it supersedes, where it has none."""
    kept: dict[str, Any] = hidden_details(earlier)
    return replace(new, **{name: text for name, text in kept.items() if getattr(new, name) is None})


def _judge(uow: UnitOfWork, order: Order, new: NewContact, earlier: Contact | None, *, cancelled: bool) -> Decision:
    """Return the decision on a new contact itself, without regard to other requests; nothing is recorded.

    It counts as entered now; a matched one, when it was first entered. If it supersedes `earlier`, has the same intent
    and was received before `earlier` was entered, it counts as entered when `earlier` was: a correction makes nobody
    late. Raises `InvalidInput` for impossible times, and what `orders.decided` raises.
    """
    withdrawal = new.intent is Intent.WITHDRAWAL
    sent_at, received_at = possible_times(_earliest(order), new, uow.now)
    recorded_at = new.first.recorded_at if new.first else uow.now
    entered_in_time = False
    if earlier and earlier.intent is new.intent and received_at <= earlier.entered_at:
        recorded_at = earlier.entered_at
        entered_in_time = earlier.entered_in_time and earlier.received_at <= received_at
    facts = Facts(
        service_provided_at=order.service_provided_at,
        received_at=received_at,
        sent_at=sent_at,
        recorded_at=recorded_at,
        channel=new.channel,
        contact_point=new.contact_point,
        cancelled=cancelled,
        entered_by_supervisor=uow.principal.may(Scope.CONTACTS_LATE_ENTRY),
        withdrawal=withdrawal,
        without_ticket=withdrawal and new.ticket_ref is None,
        entered_in_time=entered_in_time,
    )
    return orders.decided(uow, order, facts)


def _new_contact(uow: UnitOfWork, locked: LockedOrder, new: NewContact, own: Decision, decision: Decision) -> Contact:
    """Return the record of a new contact, not stored, with `decision`, and with times and contact point from `own`.

    `own` is the decision on the contact itself. The record is open if the contact asks for a cancellation and the order
    is not cancelled. Raises `InvalidInput` if `from_detail` is neither a number nor an address.
    """
    entry = new.first or Entry(uow.now, uow.principal.actor, uow.contacts.new_number())
    asks, from_detail = new.intent.asks, new.from_detail
    if from_detail is not None and not isinstance(from_detail, Hidden):  # which is as it was stored
        from_detail = customers_detail("/from_detail", from_detail, locked.order, own.version.terms)
    return Contact(
        contact_id=uow.new_id("con", uow.now),  # requests of a day are counted by it: the clock may say the next day
        order_id=locked.order.order_id,
        intent=new.intent,
        channel=new.channel,
        sent_at=own.facts.sent_at,
        received_at=own.facts.received_at,
        recorded_at=entry.recorded_at,
        recorded_by=entry.recorded_by,
        contact_point=own.facts.contact_point,
        from_detail=from_detail,
        ticket_ref=new.ticket_ref,
        note=new.note,
        supersedes=new.supersedes,
        decision=judging.to_record(decision),
        backdated=asks and own.backdated,
        is_open=asks and locked.active is None,
        superseded_by=None,
        request_number=entry.request_number,
        taken_by=entry.taken_by,
    )


def customers_detail(pointer: str, text: str, order: Order, terms: Terms) -> str:
    """Return the telephone number or e-mail address of an order's customer as it is stored.

    A number without a country code is read as one of the country of the order's region or, without that, of the
    policy's. Raises `InvalidInput` at `pointer` if the text is neither, or no such number can exist.
    """
    country = country_of(order.region or terms.region)
    return judging.at_pointer(pointer, contact_points.customers_detail, text, country)


def possible_times(
    earliest: tuple[datetime, Message], new: NewContact, now: datetime
) -> tuple[datetime | None, datetime]:
    """Check the times of a new contact; returns when it was sent, or None if not known, and when it was received.

    If it is received now, a time of sending up to a minute ahead becomes now: clocks differ. `earliest` is the earliest
    possible time, with the text of the error for an earlier one. Raises `InvalidInput` if the contact was received over
    a minute in the future, sent after its receipt, or either before the earliest time.
    """
    first, too_early = earliest
    sent_at, received_at = new.sent_at, new.received_at or now
    if new.received_at is None and sent_at and now < sent_at <= now + AHEAD:
        sent_at = now
    errors = {}
    if received_at > now + AHEAD:
        errors["/received_at"] = Message("must not be more than a minute in the future: leave it out if it is now")
    if sent_at and sent_at > received_at:
        errors["/sent_at"] = Message(
            "must not be later than received_at or, without that, more than a minute in the future: leave it out"
        )
    for pointer, at in (("/received_at", received_at), ("/sent_at", sent_at)):
        if at and at < first:
            errors[pointer] = too_early
    if errors:
        raise InvalidInput(FieldError(pointer, detail, "impossible_time") for pointer, detail in errors.items())
    return sent_at, received_at


def _earliest(order: Order) -> tuple[datetime, Message]:
    """Return the earliest possible time of a contact about an order, and the text of the error for an earlier one.

    It is a day before the order or, if that is not known, a year before the first of service and registration.
    """
    if order.ordered_at is not None:
        known, margin = order.ordered_at, BEFORE_ORDERED
        detail = Message("must not be more than a day before the order was placed")
    else:
        known, margin = min(order.service_provided_at or order.registered_at, order.registered_at), BEFORE_KNOWN
        detail = Message("must not be more than a year before the service was provided or the order registered")
    return (known - margin if known - _BEGINNING > margin else _BEGINNING), detail


def _to_supersede(uow: UnitOfWork, locked: LockedOrder, new: NewContact) -> Contact | None:
    """Return the contact that a new one supersedes; None if the new one names none.

    Raises `InvalidInput` if there is no such contact about the order, and `ContactStateConflict` if it was superseded,
    is open and asks for more than the new one, or is what the active cancellation is based on.
    """
    contact_id = new.supersedes
    if contact_id is None:
        return None
    earlier = uow.contacts.find(contact_id)
    if earlier is None or earlier.order_id != locked.order.order_id:
        raise unknown_contact_error("/supersedes")
    require_replaceable(earlier, new.intent)
    if locked.active is not None and locked.active.contact_id == contact_id:
        cancellation_id = locked.active.cancellation_id
        raise ContactStateConflict(
            Message(
                "The cancellation %(cancellation_id)s is based on this contact: revoke it first.",
                cancellation_id=cancellation_id,
            ),
            earlier.state,
        )
    return earlier


def _require_none_worse(uow: UnitOfWork, earlier: Contact, decision: Decision) -> None:
    """Raise `Forbidden` if an agent would replace an open contact, timely or for a supervisor, by a refused one."""
    if decision.outcome.verdict is not Verdict.REFUSED or uow.principal.may(Scope.CANCELLATIONS_OVERRIDE):
        return
    if earlier.is_open and is_timely(uow, earlier):
        raise Forbidden(
            Message(
                "The request %(name)s was in time, or a supervisor has to decide on it. Only a supervisor can replace "
                "it by one that is refused.",
                name=earlier.contact_id,
            )
        )


def is_timely(uow: UnitOfWork, contact: Contact) -> bool:
    """Tell whether a contact's own request was in time or needs a supervisor, by its stored decision or one made now.

    If either of the two does not refuse the request, return True. A stored decision that was made on another request
    does not count, nor does a new decision that cannot be made.
    """
    order = uow.orders.get(contact.order_id)
    outcomes: list[Outcome] = [] if contact.decision.facts.request else [contact.outcome]
    with suppress(CallersError):  # the order's policy may be another one since, which had no version then
        outcomes.append(orders.decided(uow, order, orders.facts_of(order, contact, cancelled=False)).outcome)
    return any(outcome.verdict is not Verdict.REFUSED for outcome in outcomes)


def require_replaceable(earlier: Contact | UnmatchedContact, intent: Intent) -> None:
    """Raise `ContactStateConflict` unless a contact with the intent `intent` may supersede `earlier`.

    It may not if `earlier` is superseded or matched. An open withdrawal can be superseded by a withdrawal only, an open
    request to cancel also by another such request, but not by a question.
    """
    require_present(earlier)
    if earlier.is_open and intent not in _SUPERSEDED_BY.get(earlier.intent, Intent):
        raise ContactStateConflict(_ASKS_FOR_LESS[earlier.intent], earlier.state)


_SUPERSEDED_BY = {Intent.CANCEL: ASKING, Intent.WITHDRAWAL: (Intent.WITHDRAWAL,)}
"""By the intent of an open contact: the intents of contacts that can supersede it; all if it is not here."""

_ASKS_FOR_LESS = {
    Intent.CANCEL: Message("A question does not take a request off the open list: resolve it with a reason."),
    Intent.WITHDRAWAL: Message(
        "Only a withdrawal takes the place of an open withdrawal: a supervisor resolves it with a reason."
    ),
}


def unknown_contact_error(pointer: str) -> InvalidInput:
    """Return the error, for the caller to raise, for an id at `pointer` that no contact about the order has."""
    return InvalidInput.at(pointer, Message("must be the id of a contact about this order"), "unknown_contact")


def require_may_end(uow: UnitOfWork, intent: Intent, name: str) -> None:
    """Raise `Forbidden`, naming the contact, if `intent` is a withdrawal and the principal is no supervisor."""
    if intent is Intent.WITHDRAWAL and not uow.principal.may(Scope.CANCELLATIONS_OVERRIDE):
        raise Forbidden(Message("Only a supervisor can end a withdrawal: %(name)s.", name=name))


def require_present(contact: Contact | UnmatchedContact) -> None:
    """Raise `ContactStateConflict` if a contact has been superseded or matched."""
    if isinstance(contact, UnmatchedContact) and contact.contact_id is not None:
        values = {"name": contact.unmatched_id, "contact": contact.contact_id}
        detail = Message("The contact %(name)s was matched: it is %(contact)s now.", **values)
        raise ContactStateConflict(detail, contact.state)
    if contact.superseded_by is not None:
        name = contact.contact_id if isinstance(contact, Contact) else contact.unmatched_id
        values = {"contact_id": name, "superseded_by": contact.superseded_by}
        detail = Message("The contact %(contact_id)s has been superseded by %(superseded_by)s.", **values)
        raise ContactStateConflict(detail, contact.state)
