"""What is done with customers' data: they are erased, limits say what must not be done, disclosures who got them."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.privacy import (
    CustomerHasOpenMatters,
    Disclosure,
    DisclosureBasis,
    ErasureReason,
    LegalHold,
    Limit,
    LimitKind,
)
from refunds.domain.records import UNSETTLED, Contact, Intent
from refunds.errors import Message, NotFound
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
        if uow.limits.active(customer_id, LimitKind.HOLD):
            raise LegalHold(Message("A legal hold keeps the customer %(name)s: lift it first.", name=customer_id))
        open_matters = [] if reason is ErasureReason.CHILD or anyway else _open_matters(uow, order_ids)
        if open_matters:
            names = ", ".join(open_matters)
            text = Message("The customer %(name)s has open matters: %(names)s.", name=customer_id, names=names)
            raise CustomerHasOpenMatters(text)
        erasure = uow.erasures.erase(customer_id, reason, anyway)
    return Certificate(erasure, uow.erasures.records_emptied(customer_id))


def _open_matters(uow: UnitOfWork, order_ids: Sequence[str]) -> list[str]:
    """Return the ids of what is open about these orders.

    That is: requests that wait for an answer other than a refusal, and active cancellations that are not settled.
    """
    active = filter(None, map(uow.cancellations.active, order_ids))
    waiting = [one.contact_id for one in waiting_about(uow, order_ids)]
    return waiting + [one.cancellation_id for one in active if one.state in UNSETTLED]


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
    """Set a limit of this kind on a customer, if not set already; return it. Raises `NotFound` or `CustomerErased`."""
    uow.customers.lock_with_orders(customer_id)
    uow.customers.require_not_erased(customer_id)
    found = uow.limits.active(customer_id, kind)
    if found is None:
        found = Limit(
            limit_id=uow.new_id("lim"),
            customer_id=customer_id,
            kind=kind,
            reason=reason,
            set_at=uow.now,
            set_by=uow.principal.actor,
        )
        uow.limits.add(found, _EVENTS[kind][0], customer_id=customer_id)
    return found


def lift(uow: UnitOfWork, customer_id: str, kind: LimitKind) -> None:
    """Lift a customer's limit of this kind, if there is one; raises `NotFound` if there is no such customer."""
    uow.customers.lock_with_orders(customer_id)
    found = uow.limits.active(customer_id, kind)
    if found is not None:
        lifted = {"lifted_at": uow.now, "lifted_by": uow.principal.actor}
        uow.limits.update(found, _EVENTS[kind][1], {"customer_id": customer_id}, **lifted)


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
