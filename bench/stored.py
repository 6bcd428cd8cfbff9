"""Many stored orders on SQLite: the same rows as the service writes, with its own code, in few transactions.

The service issues one cancellation; the others are copies of it with their own ids, customers, keys and digests.
"""

import gc
from dataclasses import dataclass, replace
from datetime import timedelta

from ulid import ULID

from refunds.domain.contact_points import Channel
from refunds.domain.journal import EventType
from refunds.domain.permissions import Principal
from refunds.domain.records import Cancellation, Contact, Order, PromiseCause
from refunds.domain.references import REFERENCE
from refunds.service import cancellations, promises
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.store import Store
from refunds.storage.unit_of_work import UnitOfWork

OF_CUSTOMER = 4
CANCELLED, OPEN = 0, 1
OF = 5
"""Of this many orders, one is cancelled, one has an open request, and the others have no contacts."""
AT_ONCE = 50_000
CACHE = 2_000_000
"""The writer's cache in kilobytes: pages of large indexes are written once, not once per transaction."""
AGO = timedelta(minutes=5)
"""How long ago the service was provided: recently, so that every order can be cancelled during the benchmark."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """A record of each kind that the service has created."""

    order: Order
    contact: Contact
    cancellation: Cancellation


def order_id(number: int) -> str:
    return f"S-{number:07}"


def is_cancelled(number: int) -> bool:
    return number % OF == CANCELLED


def fill(store: Store, principal: Principal, numbers: range) -> None:
    """Store new orders with these numbers, in an installation on SQLite.

    One in five is cancelled, and one has an open request. For every 50,000, the service also stores an order of its
    own.
    """
    gc.disable()  # there are no cycles, and too many objects to scan
    try:
        _fill(store, principal, numbers)
    finally:
        gc.enable()


def _fill(store: Store, principal: Principal, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        with store.write(principal) as uow:
            uow.tx.execute(f"PRAGMA cache_size = -{CACHE}")  # only for the connection of this process
            kinds = _kinds(uow, first)
            for start in range(first, min(first + AT_ONCE, numbers.stop), OF_CUSTOMER):
                customer_ref = f"K-{start}"
                customer_id = uow.customers.lock(customer_ref)
                for number in range(start, min(start + OF_CUSTOMER, numbers.stop)):
                    order = replace(
                        kinds.order, order_id=order_id(number), customer_id=customer_id, customer_ref=customer_ref
                    )
                    _store_order(uow, kinds, number, order)


def _kinds(uow: UnitOfWork, number: int) -> Kinds:
    """Let the service issue a cancellation, and return it with its order and contact.

    The order is a new one: its id is `first-` and the number.
    """
    provided_at = uow.now - AGO
    order = OrderFacts(
        order_id=f"first-{number}", customer_ref="first", service_provided_at=provided_at, region="DE-BY"
    )
    contact = NewContact(channel=Channel.PHONE, from_detail="+4989123456", note="Wants another number instead.")
    made = cancellations.issue(uow, order=order, contact=contact)
    assert isinstance(made, Cancellation)
    return Kinds(uow.orders.get(made.order_id), uow.contacts.get(made.contact_id), made)


def _store_order(uow: UnitOfWork, kinds: Kinds, number: int, order: Order) -> None:
    uow.orders.add_new(order)
    told = kinds.contact.outcome.told
    assert told
    promises.put(uow, order, told, PromiseCause.REGISTERED, first=True)
    if number % OF in {CANCELLED, OPEN}:
        contact_id = _store_contact(uow, kinds.contact, order.order_id, is_open=number % OF == OPEN)
        if is_cancelled(number):
            _store_cancellation(uow, kinds.cancellation, order.order_id, contact_id)


def _store_contact(uow: UnitOfWork, like: Contact, name: str, *, is_open: bool) -> str:
    # Without a number, the start of the service would change every contact: what reads an index would be slow for long.
    number = uow.contacts.new_number()
    contact = replace(like, contact_id=f"con_{ULID()}", order_id=name, is_open=is_open, request_number=number)
    uow.contacts.add(
        contact,
        EventType.CONTACT_RECORDED,
        intent=contact.intent,
        channel=contact.channel,
        eligible=True,
        reason=contact.outcome.reason,
        supersedes=None,
    )
    return contact.contact_id


def _store_cancellation(uow: UnitOfWork, like: Cancellation, name: str, contact_id: str) -> None:
    cancellation = replace(
        like,
        cancellation_id=f"can_{ULID()}",
        reference=uow.cancellations.new_reference(),
        order_id=name,
        contact_id=contact_id,
    )
    uow.cancellations.add(
        cancellation,
        EventType.CANCELLATION_ISSUED,
        reference=REFERENCE.spoken(cancellation.reference),
        contact_id=contact_id,
        basis=cancellation.basis,
        reason=cancellation.outcome.reason,
        override_kind=None,
        refund_due_by=cancellation.refund_due_by.isoformat(),
    )
