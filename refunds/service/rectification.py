"""Rectification: personal fields are corrected where they stand, and no decision is made again."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from refunds.domain.contact_points import customers_detail
from refunds.domain.journal import EventType
from refunds.domain.judging import at_pointer
from refunds.errors import InvalidInput, Message, Unfit
from refunds.schemas.fields import FreeText, Line, Reference, is_line
from refunds.schemas.strict import schema_of
from refunds.security.encryption import Erased
from refunds.storage.rectifications import PERSONAL
from refunds.storage.unit_of_work import UnitOfWork

CORRECTABLE = {"customers": ("customer_ref",)} | PERSONAL
"""The fields that can be corrected, by table; the reference of a customer stands in all their orders."""

MOST = 100
"""The most orders of a customer whose fields are listed."""

_BY_ID = ("contacts", "unmatched_contacts")
"""The tables in which a person's fields can be corrected without a customer: their contacts, matched or not."""


class Correction(NamedTuple):
    """The right value of a personal field of a record."""

    table: str
    record_id: str
    field: str
    value: str


def rectify(uow: UnitOfWork, corrections: Sequence[Correction], customer_id: str | None = None) -> bool:
    """Correct personal fields of a customer or, without one, of contacts; return whether any value has changed.

    An event for each customer, or for a contact without one, names the changed records and fields. The `customer_ref`
    of `customers` is corrected in all their orders; that of `orders` moves one order, even a cancelled one, to the
    customer with that reference. Raises `NotFound` if there is no such customer; `InvalidInput` if a record is not
    theirs or has nothing in the field, or the value does not fit (`PaymentDataRefused`); `CustomerErased`; and
    `LegalHold` if an order of a customer on hold would move.
    """
    if customer_id is not None:
        uow.customers.lock_with_orders(customer_id)
    checked = [_check(uow, f"/corrections/{at}", one, customer_id) for at, one in enumerate(corrections)]
    for owner in sorted({owner for _, owner, _ in checked if owner} - {customer_id}):
        uow.customers.lock_with_orders(owner)
    rectified: dict[str, dict[str, list[str]]] = {}
    for pointer, of, one in checked:
        if at_pointer(f"{pointer}/value", _apply, uow, one):
            fields = rectified.setdefault(of or one.record_id, {})
            fields.setdefault(f"{one.table}/{one.record_id}", []).append(one.field)
    for subject, fields in rectified.items():
        uow.events.note(EventType.CUSTOMER_RECTIFIED, subject, {"fields": fields})
    return bool(rectified)


def on_record(uow: UnitOfWork, customer_id: str) -> list[Correction]:
    """Return the personal fields of a customer that have a value, to be corrected; emptied ones have none any more.

    Of a customer's orders, the first `MOST` and their records are read; other orders are left out.
    """
    orders = uow.orders.of_customer(customer_id, limit=MOST)
    records: dict[str, list[Any]] = {"orders": list(orders)}
    for repository in (uow.contacts, uow.cancellations, uow.unmatched):
        records[repository.mapper.name] = [found for one in orders for found in repository.of_order(one.order_id)]
    for beside in (uow.data_requests, uow.disclosures, uow.limits):
        records[beside.mapper.name] = list(beside.of_customer(customer_id))
    names = [Correction("customers", customer_id, "customer_ref", one.customer_ref or "") for one in orders[:1]]
    return names + [
        Correction(table, getattr(record, fields(record)[0].name), field, value)
        for table, found in records.items()
        for record in found
        for field in PERSONAL[table]
        if (value := getattr(record, field))
        and not isinstance(value, Erased)
        and (table, field) != ("orders", "customer_ref")
    ]


def _check(
    uow: UnitOfWork, pointer: str, one: Correction, customer_id: str | None
) -> tuple[str, str | None, Correction]:
    """Check a correction at `pointer`; return `pointer`, the customer it is about, if known, and the correction.

    In the returned correction, the value is as it is stored. Raises `InvalidInput` if the field cannot be corrected,
    the record is not the customer's, or the value does not fit.
    """
    if one.field not in CORRECTABLE.get(one.table, ()):
        names = ", ".join(CORRECTABLE.get(one.table, CORRECTABLE))
        place = f"{pointer}/{'field' if one.table in CORRECTABLE else 'table'}"
        raise InvalidInput.at(place, Message("must be one of %(names)s", names=names), "unknown_value")
    owner = one.record_id if one.table == "customers" else uow.rectifications.owner(one.table, one.record_id)
    known = owner if one.table != "unmatched_contacts" else customer_id
    if known != customer_id and (customer_id or one.table not in _BY_ID):
        raise InvalidInput.at(f"{pointer}/record_id", Message("is no record of this customer"), "not_found")
    schema = _SHAPES.get(one.field, _REASON)
    try:
        value = schema.read({"value": one.value})["value"]
    except InvalidInput as error:
        raise error.under(pointer) from None
    if one.field in {"from_detail", "acknowledged_to"}:
        value = at_pointer(f"{pointer}/value", customers_detail, value)
    return pointer, owner, one._replace(value=value)


def _apply(uow: UnitOfWork, one: Correction) -> bool:
    """Store a correction; return whether anything has changed.

    A new reference of a customer is stored in all their orders. A new customer reference of a single order moves that
    order to the customer with the reference. Raises `CustomerErased`; and `Unfit` if nothing is on record in the field,
    or if a customer would get a reference that another customer has.
    """
    if one.table == "customers":
        return _rename(uow, one.record_id, one.value)
    if (one.table, one.field) == ("orders", "customer_ref"):
        return _move(uow, one.record_id, one.value)
    return uow.rectifications.correct(one.table, one.record_id, one.field, one.value)


def _rename(uow: UnitOfWork, customer_id: str, customer_ref: str) -> bool:
    """Give a customer another reference, in all orders; return False if it is theirs, raise `Unfit` if another's."""
    found = uow.customers.find(customer_ref)
    if found is not None and found != customer_id:
        detail = Message("is another customer's reference: correct the customer_ref of the orders that are theirs")
        raise Unfit(detail, "other_customer")
    for order_id in uow.customers.replace_digest(customer_id, customer_ref) if found is None else ():
        uow.rectifications.correct("orders", order_id, "customer_ref", customer_ref)
    return found is None


def _move(uow: UnitOfWork, order_id: str, customer_ref: str) -> bool:
    """Move an order to the customer with this reference, and return True; return False if it is theirs already.

    The order gets a new revision, with an event. The customer who had it is deleted if no record is left about them.
    Raises `NotFound` if there is no such order, `CustomerErased` if the customer who had it was erased, and `LegalHold`
    if a hold keeps their data.
    """
    customer_id = uow.customers.lock(customer_ref)
    order = uow.orders.get_for_update(order_id).order
    if order.customer_id == customer_id:
        return False
    uow.orders.require_not_erased(order_id)
    uow.limits.require_no_hold(order.customer_id)
    uow.orders.move(order, customer_id)
    uow.orders.update(
        order,
        EventType.ORDER_CORRECTED,
        {"revision": order.revision + 1, "changed": {"customer_id": [order.customer_id, customer_id]}},
        customer_id=customer_id,
        customer_ref=customer_ref,
        correction_reason=order.correction_reason,
        revision=order.revision + 1,
        asserted_by=uow.principal.actor,
    )
    uow.customers.forget_without_records([order.customer_id])
    return True


_REASON = schema_of(value=FreeText(500, required=True))
_SHAPES = {
    "customer_ref": schema_of(value=Reference(200, required=True)),
    "billing_ref": schema_of(value=Reference(100, required=True)),
    "ticket_ref": schema_of(value=Line(100, required=True)),
    "order_hint": schema_of(value=Line(200, required=True)),
    "from_detail": schema_of(value=Line(254, required=True)),
    "acknowledged_to": schema_of(value=Line(254, required=True)),
    "note": schema_of(value=FreeText(2000, required=True)),
}
"""How the values of fields are read, the same as where they are first entered; all other fields are reasons."""


def takes_line(field: str) -> bool:
    """Tell whether the value of a personal field is one line."""
    return is_line(_SHAPES.get(field, _REASON).fields["value"])
