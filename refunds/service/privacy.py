"""What is done with customers' data: they are erased, limits say what must not be done, disclosures who got them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.privacy import (
    COPIED,
    LIMITING,
    CustomerHasOpenMatters,
    DataRequest,
    DataRequestConflict,
    DataRequestOutcome,
    Disclosure,
    DisclosureBasis,
    ErasureReason,
    Limit,
    LimitKind,
)
from refunds.domain.records import UNSETTLED, Contact, Intent
from refunds.errors import Message, NotFound
from refunds.security.encryption import Erased
from refunds.service import contacts
from refunds.storage.erasures import Erasure
from refunds.storage.unit_of_work import UnitOfWork


class Certificate(NamedTuple):
    """What was erased of a customer: in how many records of each table a personal field is empty now."""

    erasure: Erasure
    fields: Mapping[str, int]


def erase(uow: UnitOfWork, customer_id: str, reason: ErasureReason, anyway: str | None = None) -> Certificate:
    """Erase a customer, in the records and in the ledger: their key, personal fields and stored responses.

    The same again changes nothing, and nothing may follow in the unit of work. `anyway` is why the erasure does not
    wait for open matters, in a line without personal data for the journal; an erasure because of a child never waits.
    Raises `NotFound` if there is no such customer, `LegalHold`, `CustomerHasOpenMatters`, and `StorageUnavailable` if
    the ledger cannot be written.
    """
    order_ids = uow.customers.lock_with_orders(customer_id)
    erasure = uow.erasures.find(customer_id)
    if erasure is None:
        uow.limits.require_no_hold(customer_id)
        open_matters = [] if reason is ErasureReason.CHILD or anyway else _open_matters(uow, customer_id, order_ids)
        if open_matters:
            names = ", ".join(open_matters)
            text = Message("The customer %(name)s has open matters: %(names)s.", name=customer_id, names=names)
            raise CustomerHasOpenMatters(text)
        erasure = uow.erasures.erase(customer_id, reason, anyway)
    return Certificate(erasure, uow.erasures.records_emptied(customer_id))


def _open_matters(uow: UnitOfWork, customer_id: str, order_ids: Sequence[str]) -> list[str]:
    """Return the ids of what is open about a customer, who has these orders.

    That is: requests that wait for an answer other than a refusal, active cancellations that are not settled, and data
    requests for a copy of what an erasure would empty.
    """
    active = filter(None, map(uow.cancellations.active, order_ids))
    waiting = [one.contact_id for one in waiting_about(uow, order_ids)]
    copies = [one for one in uow.data_requests.of_customer(customer_id) if one.kind in COPIED and one.outcome is None]
    unsettled = [one.cancellation_id for one in active if one.state in UNSETTLED]
    return waiting + unsettled + [one.request_id for one in copies]


def waiting_about(uow: UnitOfWork, order_ids: Collection[str]) -> list[Contact]:
    """Return the open withdrawals, and open requests that were in time or need a supervisor, about these orders."""
    found = uow.contacts.open_about(order_ids)
    return [one for one in found if one.intent is Intent.WITHDRAWAL or contacts.is_timely(uow, one)]


_EVENTS = {
    LimitKind.HOLD: (EventType.CUSTOMER_HELD, EventType.CUSTOMER_HOLD_LIFTED),
    LimitKind.RESTRICTION: (EventType.CUSTOMER_RESTRICTED, EventType.CUSTOMER_RESTRICTION_LIFTED),
    LimitKind.OBJECTION: (EventType.CUSTOMER_OBJECTED, EventType.CUSTOMER_OBJECTION_LIFTED),
}


def limit(uow: UnitOfWork, customer_id: str, kind: LimitKind, reason: str | None) -> Limit:
    """Set a limit of this kind on a customer without a data request; return the customer's limit.

    A customer has at most one limit of a kind at a time. If this one is set already, another reason is added to its
    reason; if it was set on a data request, it is set again, so that it stays when the request is taken back. Raises
    `NotFound` or `CustomerErased`.
    """
    uow.customers.lock_with_orders(customer_id)
    uow.customers.require_not_erased(customer_id)
    found = uow.limits.active(customer_id, kind)
    if found and found.set_at in {one.closed_at for one in _standing(uow, customer_id, kind)}:
        _end(uow, found)
        found = None
    if found is None:
        return _set(uow, customer_id, kind, reason)
    if reason and f"; {reason};" not in f"; {found.reason};":
        reasons = "; ".join(filter(None, (found.reason, reason)))
        found = uow.limits.update(found, _EVENTS[kind][0], {"customer_id": customer_id}, reason=reasons)
    return found


def lift(uow: UnitOfWork, customer_id: str, kind: LimitKind) -> None:
    """Lift a customer's limit of this kind, if there is one.

    Raises `NotFound` if there is no such customer, and `DataRequestConflict` while a data request of theirs asks for
    it: that is taken back instead.
    """
    uow.customers.lock_with_orders(customer_id)
    found = uow.limits.active(customer_id, kind)
    if found is None:
        return
    if standing := _standing(uow, customer_id, kind):
        names = ", ".join(one.request_id for one in standing)
        text = Message("The customer asked for it. Take back instead: %(names)s.", names=names)
        raise DataRequestConflict(text, DataRequestOutcome.FULFILLED)
    _end(uow, found)


def limit_on(uow: UnitOfWork, request: DataRequest, kind: LimitKind) -> None:
    """Set a limit of this kind on the customer of a data request that was fulfilled now, unless it is set already.

    Raises `CustomerErased`.
    """
    assert request.customer_id
    uow.customers.require_not_erased(request.customer_id)
    if uow.limits.active(request.customer_id, kind) is None:
        _set(uow, request.customer_id, kind, request.outcome_reason, request)


def take_back(uow: UnitOfWork, request: DataRequest, kind: LimitKind) -> bool:
    """Lift the limit that was set on a data request, which the caller has closed; return whether none is left.

    `request` is as it was before it was closed. The limit stays if it was set without this request. If another data
    request asks for it, too, it is set again, on that one: each is lifted on its own.
    """
    assert request.customer_id
    found = uow.limits.active(request.customer_id, kind)
    if found and found.set_at == request.closed_at:  # a request and its limit have the same time
        others = _standing(uow, request.customer_id, kind)
        _end(uow, found)
        for other in others[:1]:
            _set(uow, request.customer_id, kind, other.outcome_reason, other)
    return uow.limits.active(request.customer_id, kind) is None


def stays_without(uow: UnitOfWork, request: DataRequest) -> bool:
    """Tell whether the limit that a fulfilled data request asks for would stay if the request were taken back."""
    kind = LIMITING.get(request.kind)
    found = uow.limits.active(request.customer_id, kind) if kind and request.customer_id else None
    if not found:
        return False
    return found.set_at != request.closed_at or len(_standing(uow, found.customer_id, found.kind)) > 1


def _standing(uow: UnitOfWork, customer_id: str, kind: LimitKind) -> list[DataRequest]:
    """Return a customer's data requests that ask for this limit, which stands: fulfilled, and not taken back.

    Those that were answered before the customer last had no such limit are left out: an older version lifted it by
    command, whatever had asked for it.
    """
    limits = [one for one in uow.limits.of_customer(customer_id) if one.kind is kind]
    ends = [
        one.lifted_at for one in limits if one.lifted_at and not any(_holds(other, one.lifted_at) for other in limits)
    ]
    last = max(ends, default=None)
    return [
        one
        for one in uow.data_requests.of_customer(customer_id)
        if LIMITING.get(one.kind) is kind
        and one.outcome is DataRequestOutcome.FULFILLED
        and (last is None or (one.closed_at and one.closed_at > last))
    ]


def _holds(limit: Limit, at: datetime) -> bool:
    """Tell whether a limit is set at an instant, and is not lifted by then."""
    return limit.set_at <= at and (limit.lifted_at is None or limit.lifted_at > at)


def _set(
    uow: UnitOfWork, customer_id: str, kind: LimitKind, reason: str | None, on: DataRequest | None = None
) -> Limit:
    """Store and return a new limit of a customer who has none of this kind, with the times of the request `on`."""
    new = Limit(
        limit_id=uow.new_id("lim"),
        customer_id=customer_id,
        kind=kind,
        reason=None if isinstance(reason, Erased) else reason,
        set_at=(on and on.closed_at) or uow.now,
        set_by=(on and on.closed_by) or uow.principal.actor,
    )
    uow.limits.add(new, _EVENTS[kind][0], customer_id=customer_id)
    return new


def _end(uow: UnitOfWork, found: Limit) -> None:
    """Lift a limit, with its event."""
    lifted = {"lifted_at": uow.now, "lifted_by": uow.principal.actor}
    uow.limits.update(found, _EVENTS[found.kind][1], {"customer_id": found.customer_id}, **lifted)


def disclose(uow: UnitOfWork, customer_ref: str, basis: DisclosureBasis, recipient: str, reference: str) -> Disclosure:
    """Record that a customer's data were handed to a recipient, on which basis, and the recipient's `reference` for it.

    `customer_ref` is billing's reference. Raises `NotFound` if nothing is held about the customer, and `Forbidden` if
    the principal may not read personal data.
    """
    customer_id = uow.customers.find(customer_ref)
    if customer_id is None:
        raise NotFound(Message("nothing is held about this customer"))
    uow.customers.lock_with_orders(customer_id)
    disclosure = Disclosure(
        disclosure_id=uow.new_id("dis"),
        customer_id=customer_id,
        basis=basis,
        recipient=recipient,
        reference=reference,
        disclosed_at=uow.now,
        disclosed_by=uow.principal.actor,
    )
    uow.disclosures.add(disclosure, EventType.PRIVACY_DISCLOSED, customer_id=customer_id, basis=basis)
    return disclosure
