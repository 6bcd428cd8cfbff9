"""Disclosures: which data were handed to somebody else, and on which basis."""

from typing import NamedTuple

from ulid import ULID

from refunds.domain.journal import EventType
from refunds.domain.privacy import Disclosure, DisclosureBasis
from refunds.errors import Message, NotFound
from refunds.storage.unit_of_work import UnitOfWork


class NewDisclosure(NamedTuple):
    """A disclosure to record: `customer_ref` is billing's reference, `reference` the recipient's."""

    customer_ref: str
    basis: DisclosureBasis
    recipient: str
    reference: str


def disclose(uow: UnitOfWork, new: NewDisclosure) -> Disclosure:
    """Record a disclosure of a customer's data; raises `NotFound` if nothing is held of them, or `Forbidden`."""
    customer_id = uow.customers.find(new.customer_ref)
    if customer_id is None:
        raise NotFound(Message("nothing is held about this customer"))
    uow.customers.lock_with_orders(customer_id)
    disclosure = Disclosure(
        disclosure_id=f"dis_{ULID()}",
        customer_id=customer_id,
        basis=new.basis,
        recipient=new.recipient,
        reference=new.reference,
        disclosed_at=uow.now,
        disclosed_by=uow.principal.actor,
    )
    uow.disclosures.add(disclosure, EventType.PRIVACY_DISCLOSED, customer_id=customer_id, basis=new.basis)
    return disclosure
