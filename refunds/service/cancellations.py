"""Cancellations: issued on a contact, settled by billing, revoked if they were a mistake."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ulid import ULID

from refunds.domain.eligibility import Decision, Facts, Reason
from refunds.domain.instants import end_of_day, local_date, zone
from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.policy import PolicyVersion
from refunds.domain.records import (
    UNSETTLED,
    Basis,
    Cancellation,
    Contact,
    Intent,
    Order,
    OverrideKind,
    RefundEndReason,
    RevocationReason,
    State,
    UnsettleReason,
)
from refunds.domain.references import new_reference
from refunds.errors import (
    CancellationStateConflict,
    ContactStateConflict,
    FieldError,
    Forbidden,
    InvalidInput,
    Message,
    OrderFactsConflict,
)
from refunds.service import contacts, orders
from refunds.service.contacts import NewContact
from refunds.service.orders import AHEAD, OrderFacts
from refunds.storage.orders import LockedOrder
from refunds.storage.unit_of_work import UnitOfWork

OWN_REVOCATION = timedelta(minutes=15)
"""How long people may revoke a cancellation that they issued."""


@dataclass(frozen=True, slots=True)
class Override:
    """A supervisor's override of a refusal, and its reason."""

    kind: OverrideKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for: to cancel an order on a contact; each of them is stored (an id) or new."""

    order: str | OrderFacts
    contact: str | NewContact
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """The order is cancelled, by this cancellation."""

    cancellation: Cancellation


@dataclass(frozen=True, slots=True)
class Refused:
    """The order is not cancelled, by this decision on this contact; `active` is the cancellation it has, if any."""

    decision: Decision
    contact: Contact
    active: Cancellation | None


def issue(uow: UnitOfWork, request: Request) -> Issued | Refused:
    """Cancel an order if the decision allows it or is overridden; a new order or contact is recorded either way.

    The decision is made again, on the present facts and the contact's own times. An override that is not needed, or
    would change nothing, is ignored. Raises `Forbidden` if the principal may not override, `NotFound`, `InvalidInput`,
    `ContactStateConflict` if the contact cannot lead to a cancellation, and what `orders.register`, `contacts.record`
    and `orders.decided` raise.
    """
    if request.override is not None:
        uow.principal.require(Scope.CANCELLATIONS_OVERRIDE)
    locked = _locked(uow, request.order)
    if isinstance(request.contact, NewContact):
        if request.contact.intent is not Intent.CANCEL:
            detail = Message("must be cancel: a question does not ask for a cancellation")
            raise InvalidInput([FieldError("/contact/intent", detail, "asks_for_nothing")])
        try:
            contact, decision = contacts.add(uow, locked, request.contact)
        except InvalidInput as error:
            raise error.under("/contact") from None
    else:
        cancelled = locked.active is not None
        contact, decision = _stored_contact(uow, locked.order, request.contact, cancelled=cancelled)
    override = None
    if request.override is not None and locked.active is None and not decision.eligible:
        decision, override = _overridden(uow, locked, decision, request.override)
    if override is None and not decision.eligible:
        return Refused(decision, contact, locked.active)
    return Issued(_issue(uow, locked, contact, decision, override))


def preview(uow: UnitOfWork, contact_id: str) -> tuple[Contact, Order, Decision]:
    """A stored contact, its order, and the decision if it were cancelled on this contact now; nothing is recorded.

    Raises `NotFound` if there is no such contact, `ContactStateConflict` if it was superseded or resolved or does not
    ask for a cancellation, and what `orders.decided` raises.
    """
    order = uow.orders.get(uow.contacts.get(contact_id).order_id)
    cancelled = uow.cancellations.active(order.order_id) is not None
    contact, decision = _stored_contact(uow, order, contact_id, cancelled=cancelled)
    return contact, order, decision


def confirmation(uow: UnitOfWork, cancellation_id: str) -> tuple[Cancellation, Contact, PolicyVersion]:
    """A cancellation to confirm, with its contact and the version that it rests on.

    Raises `NotFound` if there is none, and `CancellationStateConflict` if it was revoked: there is nothing to confirm.
    """
    cancellation = uow.cancellations.get(cancellation_id)
    if cancellation.state is State.REVOKED:
        raise CancellationStateConflict(
            Message("The cancellation %(name)s was revoked: it cannot be confirmed.", name=cancellation_id),
            State.REVOKED,
        )
    version = uow.policies[cancellation.outcome.policy].version(cancellation.outcome.version)
    return cancellation, uow.contacts.get(cancellation.contact_id), version


def settle(uow: UnitOfWork, cancellation_id: str, settled_at: datetime | None, billing_ref: str) -> Cancellation:
    """Record that billing has refunded, by default now; the same settlement again changes nothing.

    Raises `NotFound` if there is no such cancellation, `InvalidInput` if the time is before its issue or in the future,
    and `CancellationStateConflict` if it has another settlement, its refund has another holder, or it was revoked.
    """
    cancellation = _get_for_update(uow, cancellation_id)
    if cancellation.state is State.SETTLED:
        if cancellation.billing_ref == billing_ref and settled_at in (None, cancellation.settled_at):
            return cancellation
        raise CancellationStateConflict(
            Message("The cancellation %(name)s has another settlement: undo it first.", name=cancellation_id),
            State.SETTLED,
        )
    if cancellation.state is State.REFUNDING and cancellation.billing_ref not in (None, billing_ref):
        raise _held(cancellation)
    _require_state(cancellation, *UNSETTLED)
    at = settled_at or uow.now
    if not cancellation.issued_at - AHEAD <= at <= uow.now + AHEAD:
        detail = Message("must lie between the issue of the cancellation and now")
        raise InvalidInput([FieldError("/settled_at", detail, "impossible_time")])
    return uow.cancellations.update(
        cancellation,
        EventType.CANCELLATION_SETTLED,
        state=State.SETTLED,
        settled_at=at,
        settled_by=uow.principal.actor,
        billing_ref=billing_ref,
    )


def begin_refund(uow: UnitOfWork, cancellation_id: str, billing_ref: str | None) -> Cancellation:
    """Record that billing has begun to refund, so that nobody can revoke the cancellation any more.

    The refund is held by its `billing_ref`, or without one by the client that began it. The holder can send it again,
    which changes nothing. Raises `NotFound`, and `CancellationStateConflict` for another holder, or if the cancellation
    is settled or revoked.
    """
    cancellation, actor = _get_for_update(uow, cancellation_id), uow.principal.actor
    if cancellation.state is State.REFUNDING:
        by_itself = billing_ref is not None or cancellation.refund_begun_by == actor
        if cancellation.billing_ref == billing_ref and by_itself:
            return cancellation
        raise _held(cancellation)
    _require_state(cancellation, State.ISSUED)
    return uow.cancellations.update(
        cancellation,
        EventType.CANCELLATION_REFUND_BEGUN,
        state=State.REFUNDING,
        refund_begun_at=uow.now,
        refund_begun_by=actor,
        billing_ref=billing_ref,
    )


def end_refund(uow: UnitOfWork, cancellation_id: str, reason: RefundEndReason) -> Cancellation:
    """Record that a refund that was begun has failed: the cancellation is as before; without one, nothing changes.

    Raises `NotFound`, `CancellationStateConflict` if it is settled or revoked.
    """
    cancellation = _get_for_update(uow, cancellation_id)
    if cancellation.state is State.ISSUED:
        return cancellation
    _require_state(cancellation, State.REFUNDING)
    data = {"reason_code": reason}
    return uow.cancellations.update(cancellation, EventType.CANCELLATION_REFUND_FAILED, data, **_NOT_REFUNDED)


def _held(cancellation: Cancellation) -> CancellationStateConflict:
    """The error for a refund that another holder has begun."""
    holder = cancellation.billing_ref or cancellation.refund_begun_by
    return CancellationStateConflict(
        Message(
            "The refund of the cancellation %(name)s was begun by %(holder)s: ask them whether it is paid.",
            name=cancellation.cancellation_id,
            holder=holder,
        ),
        cancellation.state,
    )


_NOT_REFUNDED = {
    "state": State.ISSUED,
    "refund_begun_at": None,
    "refund_begun_by": None,
    "settled_at": None,
    "settled_by": None,
    "billing_ref": None,
}


def unsettle(uow: UnitOfWork, cancellation_id: str, reason: UnsettleReason) -> Cancellation:
    """Undo a settlement; without one, nothing changes.

    Raises `NotFound` if there is no such cancellation, and `CancellationStateConflict` if it was revoked.
    """
    cancellation = _get_for_update(uow, cancellation_id)
    if cancellation.state is State.ISSUED:
        return cancellation
    _require_state(cancellation, State.SETTLED)
    data = {"reason_code": reason}
    return uow.cancellations.update(cancellation, EventType.CANCELLATION_UNSETTLED, data, **_NOT_REFUNDED)


def revoke(uow: UnitOfWork, cancellation_id: str, code: RevocationReason, reason: str | None) -> Cancellation:
    """Revoke a cancellation, so that the order can be cancelled again; the same revocation again changes nothing.

    People may revoke their own for 15 minutes, or any with the scope, until a refund is begun. If the customer keeps
    the order, their contacts that ask for a cancellation are resolved; otherwise they are open again. Raises `NotFound`
    if there is no such cancellation, `Forbidden`, and `CancellationStateConflict` if its refund is begun or settled, or
    if it was revoked for another reason.
    """
    cancellation = _get_for_update(uow, cancellation_id)
    if not may_revoke(uow, cancellation) and cancellation.revoked_by != uow.principal.actor:
        raise Forbidden(Message("You can revoke only your own, for 15 minutes: ask a supervisor to revoke this one."))
    earlier = cancellation.revocation_code, cancellation.revocation_reason
    if cancellation.state is State.REVOKED and (code, reason) == earlier:
        return cancellation
    _require_state(cancellation, State.ISSUED)
    revoked = uow.cancellations.update(
        cancellation,
        EventType.CANCELLATION_REVOKED,
        {"reason_code": code},
        state=State.REVOKED,
        revocation_code=code,
        revocation_reason=reason,
        revoked_at=uow.now,
        revoked_by=uow.principal.actor,
    )
    uow.contacts.reopen_all(cancellation.order_id)
    if code is RevocationReason.CUSTOMER_KEPT_ORDER:
        for contact in uow.contacts.of_order(cancellation.order_id):
            if contact.is_open:
                contacts.resolve_locked(uow, contact, code)
    return revoked


def may_revoke(uow: UnitOfWork, cancellation: Cancellation) -> bool:
    """Whether the principal may revoke a cancellation: with the scope, or their own soon after its issue.

    Its state is not looked at.
    """
    own = cancellation.issued_by == uow.principal.actor and uow.now - cancellation.issued_at <= OWN_REVOCATION
    return own or uow.principal.may(Scope.CANCELLATIONS_REVOKE)


def _locked(uow: UnitOfWork, order: str | OrderFacts) -> LockedOrder:
    """The order to be cancelled, locked; it is registered first if its facts are given.

    Raises `NotFound`, or what `orders.register` raises, with its places under `/order`.
    """
    if isinstance(order, str):
        return uow.orders.get_for_update(order)
    try:
        return orders.register(uow, order)[0]
    except (InvalidInput, OrderFactsConflict) as error:
        raise error.under("/order") from None


def _stored_contact(uow: UnitOfWork, order: Order, contact_id: str, *, cancelled: bool) -> tuple[Contact, Decision]:
    """A contact that asks for a cancellation of this order, and the decision on it now.

    Raises `NotFound`, `InvalidInput` if it is about another order, and `ContactStateConflict` if it cannot lead to a
    cancellation.
    """
    contact = uow.contacts.get(contact_id)
    if contact.order_id != order.order_id:
        raise contacts.unknown("/contact_id")
    contacts.require_present(contact)
    if contact.intent is not Intent.CANCEL:
        raise ContactStateConflict(
            Message("The contact does not ask for a cancellation: record one that supersedes it."), contact.state
        )
    if contact.resolved_at is not None:
        raise ContactStateConflict(
            Message("The contact has been resolved: record the customer's new one."), contact.state
        )
    facts = Facts(
        service_provided_at=order.service_provided_at,
        received_at=contact.received_at,
        sent_at=contact.sent_at,
        recorded_at=contact.recorded_at,
        channel=contact.channel,
        contact_point=contact.contact_point,
        cancelled=cancelled,
        entered_by_supervisor=contact.decision.facts.entered_by_supervisor,
    )
    return contact, orders.decided(uow, order, facts)


def _overridden(
    uow: UnitOfWork, locked: LockedOrder, decision: Decision, override: Override
) -> tuple[Decision, Override | None]:
    """The decision with an override, and the override, or None if it makes no difference."""
    if override.kind is OverrideKind.GOODWILL:
        return decision, override
    if decision.reason is not Reason.UNOFFICIAL_CONTACT_POINT:
        return decision, None
    accepted = orders.decided(uow, locked.order, replace(decision.facts, contact_point_accepted=True))
    return accepted, override if accepted.eligible else None


def _issue(
    uow: UnitOfWork, locked: LockedOrder, contact: Contact, decision: Decision, override: Override | None
) -> Cancellation:
    """Store a cancellation, and take the contacts of the order off the open list."""
    goodwill = override is not None and override.kind is OverrideKind.GOODWILL
    terms, recorded = decision.version.terms, decision.recorded
    tz = zone(terms.time_zone)
    due_by = local_date(uow.now, tz) + timedelta(days=terms.refund_due_days)
    cancellation = Cancellation(
        cancellation_id=f"can_{ULID()}",
        reference=_free_reference(uow),
        order_id=locked.order.order_id,
        contact_id=contact.contact_id,
        decision=recorded,
        basis=Basis.GOODWILL if goodwill else Basis.POLICY,
        state=State.ISSUED,
        issued_at=uow.now,
        issued_by=uow.principal.actor,
        refund_due_by=due_by,
        overdue_at=end_of_day(due_by, tz),
        override_kind=override.kind if override else None,
        override_reason=override.reason if override else None,
        override_by=uow.principal.actor if override else None,
    )
    uow.cancellations.add(
        cancellation,
        EventType.CANCELLATION_ISSUED,
        reference=cancellation.reference,
        contact_id=contact.contact_id,
        basis=cancellation.basis,
        reason=recorded.outcome.reason,
        override_kind=cancellation.override_kind,
        refund_due_by=due_by.isoformat(),
    )
    uow.contacts.close_all(cancellation.order_id)
    return cancellation


def _free_reference(uow: UnitOfWork) -> str:
    """A reference that is not taken yet; the unique index enforces that."""
    while uow.cancellations.is_taken(reference := new_reference()):
        pass
    return reference


def _get_for_update(uow: UnitOfWork, cancellation_id: str) -> Cancellation:
    """A cancellation, with its order locked; raises `NotFound`."""
    uow.orders.lock(uow.cancellations.get(cancellation_id).order_id)
    return uow.cancellations.get(cancellation_id)  # read again, now that nobody else can change it


def _require_state(cancellation: Cancellation, *needed: State) -> None:
    """Raise `CancellationStateConflict` if a cancellation is in none of these states."""
    if cancellation.state not in needed:
        detail = _IN_THE_WAY[cancellation.state].filled(name=cancellation.cancellation_id)
        raise CancellationStateConflict(detail, cancellation.state)


_IN_THE_WAY = {
    State.ISSUED: Message("The cancellation %(name)s is issued: no refund of it is begun or recorded."),
    State.REFUNDING: Message(
        "Billing has begun to refund the cancellation %(name)s: settle it, or end the refund if it failed."
    ),
    State.SETTLED: Message("The cancellation %(name)s is settled: undo the settlement first."),
    State.REVOKED: Message(
        "The cancellation %(name)s is revoked: it cannot change any more, but its order can be cancelled again."
    ),
}
