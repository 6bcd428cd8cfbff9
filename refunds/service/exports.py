"""Everything that is stored about one customer, to be handed to them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.privacy import DataRequest, Disclosure, Limit
from refunds.domain.records import Cancellation, Contact, Promise
from refunds.domain.retention import order_until
from refunds.domain.standings import Standing
from refunds.domain.terms import Terms
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import Message, NotFound
from refunds.service import data_requests
from refunds.service.findings import AContact
from refunds.storage.erasures import Erasure
from refunds.storage.unit_of_work import UnitOfWork


class ExportedOrder(NamedTuple):
    """An order with all records about it, and the last day on which they are kept."""

    standing: Standing
    promises: list[Promise]
    contacts: list[Contact]
    unmatched: list[UnmatchedContact]
    cancellations: list[Cancellation]
    until: date


class Export(NamedTuple):
    """Everything that is stored about a customer, or one contact of somebody who is no customer.

    `erased` is None unless the customer was erased. `terms` are those of the default policy, which name the vendor.
    """

    terms: Terms
    made_at: datetime
    customer_id: str | None = None
    erased: Erasure | None = None
    orders: Sequence[ExportedOrder] = ()
    limits: Sequence[Limit] = ()
    requests: Sequence[DataRequest] = ()
    disclosures: Sequence[Disclosure] = ()
    contact: AContact | None = None


def for_request(uow: UnitOfWork, request_id: str) -> Export:
    """Export everything about the customer of a data request, as `of_customer` does.

    Raises `NotFound` if there is no such data request or its person is no customer, `IdentityNotChecked` if the
    customer's identity was not checked, and `Forbidden` if the principal may not see personal fields.
    """
    request = uow.data_requests.get(request_id)
    if request.customer_id is None:
        raise NotFound(Message("nothing is held about the person of this data request"))
    data_requests.require_identity(request)
    return of_customer(uow, request.customer_id, request_id)


def of_customer(uow: UnitOfWork, customer_id: str, request_id: str | None = None) -> Export:
    """Return everything that is stored about a customer, and nothing about another one; journal the export.

    `request_id` is the data request that the export answers, if any; it is not checked. Raises `NotFound` if there is
    no such customer, and `Forbidden` if the principal may not see personal fields.
    """
    uow.principal.require(Scope.PERSONAL_READ)
    order_ids = uow.customers.lock_with_orders(customer_id)
    terms = uow.default_terms
    found = uow.orders.with_ids(order_ids)
    orders = [_order(uow, one, terms) for one in uow.orders.standings([found[name] for name in order_ids])]
    uow.events.note(EventType.PRIVACY_EXPORTED, customer_id, {"request_id": request_id})
    return Export(
        terms,
        uow.now,
        customer_id,
        uow.erasures.find(customer_id),
        orders,
        uow.limits.of_customer(customer_id),
        uow.data_requests.of_customer(customer_id),
        uow.disclosures.of_customer(customer_id),
    )


def of_contact(uow: UnitOfWork, name: str) -> Export:
    """Return one contact or unmatched contact alone, for somebody who is no customer, and journal the export.

    That the contact is no customer's is not checked. Raises `NotFound` if there is no such contact, and `Forbidden` for
    those who may not see personal fields.
    """
    uow.principal.require(Scope.PERSONAL_READ)
    contact = uow.any_contacts.get(name)
    uow.events.note(EventType.PRIVACY_EXPORTED, name, {"request_id": None})
    return Export(uow.default_terms, uow.now, contact=contact)


def _order(uow: UnitOfWork, standing: Standing, terms: Terms) -> ExportedOrder:
    """Return an order with all records about it, and the last day on which `terms` let them be kept."""
    order_id = standing.order.order_id
    contacts, cancellations = uow.contacts.of_order(order_id), uow.cancellations.of_order(order_id)
    until = order_until(standing.order, contacts, cancellations, terms)
    promises, unmatched = uow.promises.of_order(order_id), uow.unmatched.of_order(order_id)
    return ExportedOrder(standing, promises, contacts, unmatched, cancellations, until)
