"""Many stored orders on SQLite: rows as the service writes them, by its own tables and journal, in few transactions.

One cancellation is issued by the service; the others are that one with their own ids, customers, keys and digests.
"""

import gc
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

from ulid import ULID

from refunds.domain.contact_points import Channel
from refunds.domain.journal import EventType
from refunds.domain.permissions import Principal
from refunds.domain.records import Cancellation, Contact, Order
from refunds.domain.references import new_reference
from refunds.security.encryption import Vault
from refunds.service import cancellations, contacts, orders
from refunds.service.books import Books
from refunds.service.cancellations import Issued, Request
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.work import Work
from refunds.storage import keys
from refunds.storage.cancellations import CANCELLATIONS, is_taken
from refunds.storage.contacts import CONTACTS
from refunds.storage.orders import ORDERS

OF_CUSTOMER = 4
CANCELLED, OPEN = 0, 1
OF = 5
"""Of as many orders one is cancelled, one has an open request, and the others have heard nothing from the customer."""
AT_ONCE = 50_000
CACHE = 2_000_000
"""The kilobytes that the writer may hold: random places of large indexes are written once, not once a transaction."""
AGO = timedelta(minutes=5)
"""How long ago the service was provided: every order can be cancelled while the benchmark runs."""


class Customer(NamedTuple):
    """A stored customer."""

    ref: str
    customer_id: str
    vault: Vault


@dataclass(frozen=True, slots=True)
class Kinds:
    """A record of each kind, as the service has made it."""

    order: Order
    contact: Contact
    cancellation: Cancellation


def order_id(number: int) -> str:
    return f"S-{number:07}"


def is_cancelled(number: int) -> bool:
    return number % OF == CANCELLED


def store(books: Books, principal: Principal, numbers: range) -> None:
    """Store orders of these numbers, none of which is stored yet."""
    gc.disable()  # nothing here is a cycle, and there are many objects to look through
    try:
        _store(books, principal, numbers)
    finally:
        gc.enable()


def _store(books: Books, principal: Principal, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        with books.write(principal) as work:
            work.tx.execute(f"PRAGMA cache_size = -{CACHE}")  # the engine's own connection, in this process alone
            kinds = _kinds(work, first)
            for start in range(first, min(first + AT_ONCE, numbers.stop), OF_CUSTOMER):
                of = Customer(f"K-{start}", *keys.customer(work.tx, work.keys, f"K-{start}"))
                for number in range(start, min(start + OF_CUSTOMER, numbers.stop)):
                    _store_order(work, kinds, number, of)


def _kinds(work: Work, number: int) -> Kinds:
    """A cancellation that the service issues, with its order and contact."""
    provided_at = work.now - AGO
    told = OrderFacts(order_id=f"first-{number}", customer_ref="first", service_provided_at=provided_at, region="DE-BY")
    contact = NewContact(channel=Channel.PHONE, from_detail="+4989123456", note="Wants another number instead.")
    issued = cancellations.issue(work, Request(order=told, contact=contact))
    assert isinstance(issued, Issued)
    made = issued.cancellation
    return Kinds(orders.find(work, made.order_id).order, contacts.get(work, made.contact_id), made)


def _store_order(work: Work, kinds: Kinds, number: int, of: Customer) -> None:
    name = order_id(number)
    order = replace(kinds.order, order_id=name, customer_id=of.customer_id, customer_ref=of.ref)
    digest = ORDERS.insert(work.tx, order, of.vault)
    work.enter(EventType.ORDER_REGISTERED, name, name, digest, customer_id=of.customer_id)
    if number % OF in {CANCELLED, OPEN}:
        contact_id = _store_contact(work, kinds.contact, name, of.vault, is_open=number % OF == OPEN)
        if is_cancelled(number):
            _store_cancellation(work, kinds.cancellation, name, contact_id, of.vault)


def _store_contact(work: Work, like: Contact, name: str, vault: Vault, *, is_open: bool) -> str:
    contact = replace(like, contact_id=f"con_{ULID()}", order_id=name, is_open=is_open)
    digest = CONTACTS.insert(work.tx, contact, vault)
    work.enter(
        EventType.CONTACT_RECORDED,
        contact.contact_id,
        name,
        digest,
        intent=contact.intent,
        channel=contact.channel,
        eligible=True,
        reason=contact.decision["outcome"]["reason"],
        supersedes=None,
    )
    return contact.contact_id


def _store_cancellation(work: Work, like: Cancellation, name: str, contact_id: str, vault: Vault) -> None:
    while is_taken(work.tx, reference := new_reference()):  # with as many, some are drawn twice
        pass
    cancellation = replace(
        like, cancellation_id=f"can_{ULID()}", reference=reference, order_id=name, contact_id=contact_id
    )
    digest = CANCELLATIONS.insert(work.tx, cancellation, vault)
    work.enter(
        EventType.CANCELLATION_ISSUED,
        cancellation.cancellation_id,
        name,
        digest,
        reference=cancellation.reference,
        contact_id=contact_id,
        basis=cancellation.basis,
        reason=cancellation.decision["outcome"]["reason"],
        override_kind=None,
        refund_due_by=cancellation.refund_due_by.isoformat(),
    )
