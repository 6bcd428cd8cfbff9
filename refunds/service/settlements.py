"""Cancellations are refunded and settled by billing, or revoked."""

from datetime import datetime, timedelta
from enum import StrEnum

from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.records import (
    UNSETTLED,
    Cancellation,
    Intent,
    RefundEndReason,
    RevocationReason,
    State,
    UnsettleReason,
)
from refunds.domain.resolutions import ResolutionReason
from refunds.errors import CancellationStateConflict, Forbidden, InvalidInput, Message
from refunds.security.encryption import Erased
from refunds.service import resolutions
from refunds.service.orders import AHEAD
from refunds.service.resolutions import Resolution
from refunds.storage.unit_of_work import UnitOfWork

OWN_REVOCATION = timedelta(minutes=15)
"""How long people may revoke a cancellation that they issued."""


def settle(uow: UnitOfWork, cancellation_id: str, settled_at: datetime | None, billing_ref: str) -> Cancellation:
    """Record that billing has refunded a cancelled order, by default now; the same settlement again changes nothing.

    `billing_ref` is dropped if the customer was erased. Raises `NotFound` if there is no such cancellation;
    `InvalidInput` if the time is more than a minute before its issue or after now; and `CancellationStateConflict` if
    it has another settlement, its refund has another holder, or it was revoked.
    """
    cancellation = uow.cancellations.get(cancellation_id, lock=True)
    ref = uow.orders.storable(cancellation.order_id, billing_ref)
    if cancellation.state is State.SETTLED:
        if cancellation.billing_ref == ref and settled_at in (None, cancellation.settled_at):
            return cancellation
        raise CancellationStateConflict(
            Message("The cancellation %(name)s has another settlement: undo it first.", name=cancellation_id),
            State.SETTLED,
        )
    if cancellation.state is State.REFUNDING:
        _require_holder(uow, cancellation, cancellation.billing_ref and ref)
    _require_state(cancellation, *UNSETTLED)
    at = settled_at or uow.now
    if not cancellation.issued_at - AHEAD <= at <= uow.now + AHEAD:
        detail = Message("must lie between the issue of the cancellation and now")
        raise InvalidInput.at("/settled_at", detail, "impossible_time")
    return uow.cancellations.update(
        cancellation,
        EventType.CANCELLATION_SETTLED,
        state=State.SETTLED,
        settled_at=at,
        settled_by=uow.principal.actor,
        billing_ref=ref,
    )


def begin_refund(uow: UnitOfWork, cancellation_id: str, billing_ref: str | None) -> Cancellation:
    """Record that billing has begun a refund, so that nobody can revoke the cancellation before the refund is undone.

    The holder is named by `billing_ref` or, without that or if the customer is erased, is the client that began the
    refund. If the holder begins it again, nothing changes. Raises `NotFound` if there is no such cancellation;
    `CancellationStateConflict` for another holder, or if it is settled or revoked; and `CustomerErased` if the customer
    is erased, no refund is begun, and `billing_ref` is given.
    """
    cancellation = uow.cancellations.get(cancellation_id, lock=True)
    if cancellation.state is State.REFUNDING:
        _require_holder(uow, cancellation, uow.orders.storable(cancellation.order_id, billing_ref))
        return cancellation
    _require_state(cancellation, State.ISSUED)
    return uow.cancellations.update(
        cancellation,
        EventType.CANCELLATION_REFUND_BEGUN,
        state=State.REFUNDING,
        refund_begun_at=uow.now,
        refund_begun_by=uow.principal.actor,
        billing_ref=billing_ref,
    )


def end_refund(uow: UnitOfWork, cancellation_id: str, reason: RefundEndReason) -> Cancellation:
    """Record that a refund has failed, so that the cancellation is issued again; if none was begun, nothing changes.

    Any principal may end it, not only the holder. Raises `NotFound` if there is no such cancellation, and
    `CancellationStateConflict` if it is settled or revoked.
    """
    return _issue_again(uow, cancellation_id, State.REFUNDING, EventType.CANCELLATION_REFUND_FAILED, reason)


def _issue_again(
    uow: UnitOfWork, cancellation_id: str, state: State, event: EventType, reason: StrEnum
) -> Cancellation:
    """Set a cancellation from `state` back to issued, clear its refund, and journal `event` with the reason.

    If it is issued already, nothing changes. Raises `NotFound` if there is no such cancellation, and
    `CancellationStateConflict` if it is in a third state.
    """
    cancellation = uow.cancellations.get(cancellation_id, lock=True)
    if cancellation.state is State.ISSUED:
        return cancellation
    _require_state(cancellation, state)
    return uow.cancellations.update(cancellation, event, {"reason_code": reason}, **_NOT_REFUNDED)


def _require_holder(uow: UnitOfWork, cancellation: Cancellation, billing_ref: str | None) -> None:
    """Raise `CancellationStateConflict`, which names the holder, unless the refund was begun with this `billing_ref`.

    If both are None or erased, the principal must have begun it.
    """
    begun_under, given = (None if isinstance(ref, Erased) else ref for ref in (cancellation.billing_ref, billing_ref))
    if begun_under != given or (given is None and cancellation.refund_begun_by != uow.principal.actor):
        detail = Message(
            "The refund of the cancellation %(name)s was begun by %(holder)s: ask them whether it is paid.",
            name=cancellation.cancellation_id,
            holder=cancellation.refund_begun_by if begun_under is None else begun_under,
        )
        raise CancellationStateConflict(detail, cancellation.state)


_NOT_REFUNDED = {"state": State.ISSUED} | dict.fromkeys(
    ("refund_begun_at", "refund_begun_by", "settled_at", "settled_by", "billing_ref")
)


def unsettle(uow: UnitOfWork, cancellation_id: str, reason: UnsettleReason) -> Cancellation:
    """Undo a settlement, so that the cancellation is issued again; if it is issued already, nothing changes.

    Raises `NotFound` if there is no such cancellation, and `CancellationStateConflict` if its refund is begun but not
    settled, or if it was revoked.
    """
    return _issue_again(uow, cancellation_id, State.SETTLED, EventType.CANCELLATION_UNSETTLED, reason)


def revoke(uow: UnitOfWork, cancellation_id: str, code: RevocationReason, reason: str | None) -> Cancellation:
    """Revoke a cancellation, so that the order can be cancelled again; the same revocation again changes nothing.

    The order's requests are open again; but if the customer keeps the order, those that are no withdrawals are
    resolved. `reason` is dropped if the customer was erased. Raises `NotFound` if there is no such cancellation;
    `Forbidden` unless the principal has the scope to revoke, issued it at most 15 minutes ago, or has revoked it; and
    `CancellationStateConflict` if its refund is begun or settled, or if it was revoked for another reason.
    """
    cancellation = uow.cancellations.get(cancellation_id, lock=True)
    if not may_revoke(uow, cancellation) and cancellation.revoked_by != uow.principal.actor:
        raise Forbidden(Message("You can revoke only your own, for 15 minutes: ask a supervisor to revoke this one."))
    earlier = cancellation.revocation_code, cancellation.revocation_reason
    reason = uow.orders.storable(cancellation.order_id, reason)
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
            if contact.is_open and contact.intent is not Intent.WITHDRAWAL:
                resolutions.resolve_locked(uow, contact, Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER))
    return revoked


def may_revoke(uow: UnitOfWork, cancellation: Cancellation) -> bool:
    """Tell whether the principal has the scope to revoke, or issued the cancellation at most 15 minutes ago."""
    own = cancellation.issued_by == uow.principal.actor and uow.now - cancellation.issued_at <= OWN_REVOCATION
    return own or uow.principal.may(Scope.CANCELLATIONS_REVOKE)


def _require_state(cancellation: Cancellation, *needed: State) -> None:
    """Raise `CancellationStateConflict` if a cancellation is in none of the needed states."""
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
