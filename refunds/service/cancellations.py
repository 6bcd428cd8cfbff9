"""Cancellations: issued on a contact, settled by billing, revoked if they were a mistake."""

from dataclasses import dataclass
from datetime import timedelta

from refunds.domain import judging, withdrawals
from refunds.domain.eligibility import Decision
from refunds.domain.instants import end_of_day, local_date, zone
from refunds.domain.journal import EventType
from refunds.domain.outcomes import Notice, Outcome, Reason
from refunds.domain.permissions import Scope
from refunds.domain.policy import PolicyVersion
from refunds.domain.records import Basis, Cancellation, Contact, Order, OverrideKind, PromiseCause, State
from refunds.errors import (
    CancellationStateConflict,
    ContactStateConflict,
    InvalidInput,
    Message,
    OrderFactsConflict,
)
from refunds.service import contacts, orders, promises
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.storage.orders import LockedOrder
from refunds.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Override:
    """A supervisor's override of a refusal, and its reason."""

    kind: OverrideKind
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The decision does not allow a cancellation; `active` is one that the order has already, or None."""

    decision: Decision
    contact: Contact
    active: Cancellation | None


def issue(
    uow: UnitOfWork, *, order: str | OrderFacts, contact: str | NewContact, override: Override | None = None
) -> Cancellation | Refused:
    """Cancel an order if the decision allows it or is overridden, and return the cancellation, or else the refusal.

    Order and contact are each given by their id, or as new facts, which are recorded either way. A stored contact is
    judged again, on the present facts and its own times. If the decision refuses but an open request was in time, the
    order is cancelled on that request. A cancellation closes the order's requests and promises its window. An order
    that is cancelled already is refused. Any override raises `Forbidden` if the principal may not override; one that is
    not needed or does not help is ignored. Raises `NotFound` if a stored order or contact does not exist,
    `InvalidInput` if the contact is a new question or about another order, or if goodwill is to override while a
    withdrawal is open, `ContactStateConflict` if the stored contact does not ask for a cancellation or was resolved or
    superseded, `CustomerErased` if there is a text to store of an erased customer, and what `orders.register`,
    `contacts.record` and `orders.decided` raise.
    """
    if override is not None:
        uow.principal.require(Scope.CANCELLATIONS_OVERRIDE)
    locked = _lock_order(uow, order)
    if isinstance(contact, NewContact):
        if not contact.intent.asks:
            detail = Message("must be cancel: a question does not ask for a cancellation")
            raise InvalidInput.at("/contact/intent", detail, "asks_for_nothing")
        try:
            recorded, decision = contacts.add(uow, locked, contact, cancels=True)
        except InvalidInput as error:
            raise error.under("/contact") from None
    else:
        cancelled = locked.active is not None
        recorded, decision = _stored_contact(uow, locked.order, contact, cancelled=cancelled)
    applied = None
    if override is not None and locked.active is None and not decision.eligible:
        decision, applied = _apply_override(uow, locked, decision, override)
    if applied is None and not decision.eligible:
        return Refused(decision, recorded, locked.active)
    return _issue(uow, locked, recorded, decision, applied)


def fitting_override(outcome: Outcome) -> OverrideKind:
    """Return the override to suggest to a supervisor after a refusal: one that fits its reason, or else goodwill."""
    if outcome.reason in _FITTING:
        return _FITTING[outcome.reason]
    told_otherwise = outcome.reason is Reason.WINDOW_ELAPSED and Notice.TOLD_BEFORE_CORRECTION in outcome.notices
    return OverrideKind.DEADLINE_ACCEPTED if told_otherwise else OverrideKind.GOODWILL


def fitting_overrides(outcome: Outcome) -> tuple[OverrideKind, ...]:
    """Return the override to offer after a refusal and, unless it is statutory, goodwill; none for a late entry."""
    if outcome.reason is Reason.LATE_ENTRY_NEEDS_SUPERVISOR:
        return ()
    fitting = fitting_override(outcome)
    alone = fitting in (OverrideKind.STATUTORY, OverrideKind.GOODWILL)
    return (fitting,) if alone else (fitting, OverrideKind.GOODWILL)


_FITTING = {
    Reason.UNOFFICIAL_CONTACT_POINT: OverrideKind.CONTACT_POINT_ACCEPTED,
    Reason.CALENDAR_UNKNOWN: OverrideKind.DEADLINE_ACCEPTED,
    Reason.WITHDRAWAL_NEEDS_SUPERVISOR: OverrideKind.STATUTORY,
}


def preview(uow: UnitOfWork, contact_id: str) -> tuple[Contact, Order, Decision]:
    """Return a contact, its order, and the decision that would answer its request to cancel now.

    Nothing is recorded. Raises `NotFound` if there is no such contact, `ContactStateConflict` if it was superseded or
    resolved or does not ask for a cancellation, and what `orders.decided` raises.
    """
    order = uow.orders.get(uow.contacts.get(contact_id).order_id)
    cancelled = uow.cancellations.active(order.order_id) is not None
    contact, decision = _stored_contact(uow, order, contact_id, cancelled=cancelled)
    return contact, order, decision


def confirmation(uow: UnitOfWork, cancellation_id: str) -> tuple[Cancellation, Contact, PolicyVersion]:
    """Return a cancellation, its contact and its policy version, which its confirmation shows.

    Raises `NotFound` if there is no such cancellation, and `CancellationStateConflict` if it was revoked.
    """
    cancellation = uow.cancellations.get(cancellation_id)
    if cancellation.state is State.REVOKED:
        raise CancellationStateConflict(
            Message("The cancellation %(name)s was revoked: it cannot be confirmed.", name=cancellation_id),
            State.REVOKED,
        )
    version = uow.policies[cancellation.outcome.policy].version(cancellation.outcome.version)
    return cancellation, uow.contacts.get(cancellation.contact_id), version


def _lock_order(uow: UnitOfWork, order: str | OrderFacts) -> LockedOrder:
    """Lock and return the order to be cancelled; if `order` is the facts of an order, register it first.

    Raises `NotFound` if there is no order of this id; `InvalidInput` and `OrderFactsConflict` at `/order` for facts.
    """
    if isinstance(order, str):
        return uow.orders.get_for_update(order)
    try:
        return orders.register(uow, order)[0]
    except (InvalidInput, OrderFactsConflict) as error:
        raise error.under("/order") from None


def _stored_contact(uow: UnitOfWork, order: Order, contact_id: str, *, cancelled: bool) -> tuple[Contact, Decision]:
    """Return a contact that asks to cancel this order, and the decision to answer with now.

    The caller says whether the order is `cancelled`. Raises `NotFound`, `InvalidInput` if the contact is about another
    order, `ContactStateConflict` if it asks for no cancellation or was resolved or superseded, and
    `NoPolicyInForce` or `CalendarNotCovered` if no decision can be made.
    """
    contact = uow.contacts.get(contact_id)
    if contact.order_id != order.order_id:
        raise contacts.unknown_contact_error("/contact_id")
    contacts.require_present(contact)
    if not contact.intent.asks:
        raise ContactStateConflict(
            Message("The contact does not ask for a cancellation: record one that supersedes it."), contact.state
        )
    if contact.resolved_at is not None:
        raise ContactStateConflict(
            Message("The contact has been resolved: record the customer's new one."), contact.state
        )
    return contact, contacts.decision_now(uow, order, contact, cancelled=cancelled)


def _apply_override(
    uow: UnitOfWork, locked: LockedOrder, decision: Decision, override: Override
) -> tuple[Decision, Override | None]:
    """Apply an override to a refusal; return the new decision, and the override or, if that does not help, None.

    Goodwill leaves the decision as it is; on a withdrawal, it raises `InvalidInput`. Accepting the contact point, or
    the deadline and the contact point, counts only if the order can then be cancelled; `STATUTORY` counts always.
    """
    if override.kind is OverrideKind.GOODWILL:
        if decision.facts.withdrawal:
            detail = Message("must be statutory: the customer has declared a withdrawal")
            raise InvalidInput.at("/override/kind", detail, "not_for_a_withdrawal")
        return decision, override
    facts = decision.facts._replace(
        contact_point_accepted=override.kind in (OverrideKind.CONTACT_POINT_ACCEPTED, OverrideKind.DEADLINE_ACCEPTED),
        deadline_accepted=override.kind is OverrideKind.DEADLINE_ACCEPTED,
        withdrawal=decision.facts.withdrawal or override.kind is OverrideKind.STATUTORY,
    )
    accepted = orders.decided(uow, locked.order, facts)
    return accepted, override if accepted.eligible or override.kind is OverrideKind.STATUTORY else None


def _issue(
    uow: UnitOfWork, locked: LockedOrder, contact: Contact, decision: Decision, override: Override | None
) -> Cancellation:
    """Store a cancellation of the order on a contact, or on the other request that the decision is about; return it.

    The order is promised the window that the customer is told, and its open contacts are closed.
    """
    basis = _BASIS.get(override.kind, Basis.POLICY) if override else Basis.POLICY
    contact_id = decision.facts.request or contact.contact_id
    terms = decision.version.terms
    # A new contact has the same decision, unless an override has changed that.
    recorded = contact.decision if contact.decision.facts is decision.facts else judging.to_record(decision)
    tz = zone(terms.time_zone)
    due_by = local_date(uow.now, tz) + timedelta(days=terms.refund_due_days)
    if basis is Basis.STATUTORY:
        due_by = local_date(decision.facts.received_at, tz) + withdrawals.DAYS
    cancellation = Cancellation(
        cancellation_id=uow.new_id("can"),
        reference=uow.cancellations.new_reference(),
        order_id=locked.order.order_id,
        contact_id=contact_id,
        decision=recorded,
        basis=basis,
        state=State.ISSUED,
        issued_at=uow.now,
        issued_by=uow.principal.actor,
        refund_due_by=due_by,
        overdue_at=end_of_day(due_by, tz),
        override_kind=override.kind if override else None,
        override_reason=override.reason if override else None,
        override_by=uow.principal.actor if override else None,
    )
    promises.keep(uow, locked.order, decision, PromiseCause.RECORDED)
    uow.cancellations.add(
        cancellation,
        EventType.CANCELLATION_ISSUED,
        reference=cancellation.reference_aloud,
        contact_id=contact_id,
        basis=cancellation.basis,
        reason=recorded.outcome.reason,
        override_kind=cancellation.override_kind,
        refund_due_by=due_by.isoformat(),
    )
    if contact.is_open or not locked.is_new:
        uow.contacts.close_all(cancellation.order_id)
    return cancellation


_BASIS = {OverrideKind.GOODWILL: Basis.GOODWILL, OverrideKind.STATUTORY: Basis.STATUTORY}
"""What a cancellation is based on with an override; the others accept a detail, and leave the policy as its basis."""
