"""The orders of a customer; the history of an order, and the evidence on it."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
from flask import Response

from refunds.domain.instants import end_of_day, first_instant, zone
from refunds.domain.permissions import Scope
from refunds.domain.standings import Standing
from refunds.errors import InvalidInput, Message, NotFound
from refunds.presentation.documents import evidence as documents
from refunds.presentation.language import language, speaking
from refunds.service import evidence, search
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.console import page, regions, screen, to
from refunds.web.console.eligibility import PAGE, time_zone_of
from refunds.web.console.forms import CustomerSchema, Form, PrintedSchema, Typed
from refunds.web.endpoint import Transaction
from refunds.web.lists import both_ways
from refunds.web.responses import document
from refunds.web.schemas.documents import HTML


@screen("/customers/<customer_id>", Scope.ORDERS_READ, shows_errors=True)
def customer(uow: UnitOfWork, form: Form, customer_id: str) -> Response:
    """Show a page of up to 25 orders of a customer, by the customer's opaque id, the newest first.

    With `narrow` (part of a number, a day or a region), show the orders that fit: redirect to the order if only one
    does; show all, with an error, if none does or if it can be a day and a region. Raises `NotFound` if there is no
    such customer, and `InvalidCursor` if `after` or `before` in the address is no cursor of this list.
    """
    found, narrowed = form.read(CustomerSchema), dict[str, Any]()
    how = {name: text for name, text in form.data.items() if name not in {"after", "before", "narrow"}}
    if "narrow" in found and not form.errors:
        fitting = _fitting(uow, customer_id, found["narrow"])
        if len(fitting) > 1:
            raise InvalidInput.at("/narrow", Message("can mean a day or a region"), "two_meanings")
        if not fitting:
            raise InvalidInput.at("/narrow", Message("fits none of the orders"), "fits_none")
        narrowed, first = fitting[0]
        if len(first) == 1:
            return to("answer", order_id=first[0].order.order_id, **how)
    listed, pages = both_ways(uow, "customer", uow.orders, form.data, limit=PAGE, customer_id=customer_id, **narrowed)
    if not listed and not any(pages.values()):
        raise NotFound(Message("there is no customer of this id"))
    orders = [one.order for one in listed]
    zones = {order.policy: time_zone_of(uow, order.policy) for order in orders}
    kept = how | ({"narrow": found["narrow"]} if narrowed else {})
    return page("customer.html", form, customer_id=customer_id, orders=orders, zones=zones, how=how, kept=kept, **pages)


def _fitting(uow: UnitOfWork, customer_id: str, text: str) -> list[tuple[dict[str, Any], list[Standing]]]:
    """Return each meaning of a text that some order of a customer fits: filters for a list, and up to two such orders.

    The text is part of the order number; only if no number has it, it can be a day of the service, a region, or both.
    """
    fitting = []
    for meaning in _meanings(uow, customer_id, text):
        if orders := uow.orders.paginate(limit=2, customer_id=customer_id, **meaning):
            fitting.append((meaning, orders))
            if "part" in meaning:
                break
    return fitting


def _meanings(uow: UnitOfWork, customer_id: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield filters of a list of orders that a text can mean: part of a number and, if it is one, a day or a region.

    The number of an order of the customer is meant in any spelling.
    """
    yield {"part": text}
    customer_meant, found = search.find_orders(uow, text)
    if customer_meant is None and found and found[0].customer_id == customer_id:
        yield {"part": found[0].order_id}
    tz = zone(uow.default_terms.time_zone)
    with suppress(InvalidInput, OverflowError):
        day = Typed(text).day("narrow", uow.now, tz.key)
        yield {"provided_from": first_instant(day, tz), "provided_to": end_of_day(day, tz)}
    with suppress(InvalidInput):
        yield {"region": regions.meant(text)}


@screen("/orders/<order:order_id>/history", Scope.ORDERS_READ)
def history(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Show all events of an order from the first on, with its contacts, cancellations and promises."""
    order = uow.orders.get(order_id)
    events = uow.events.of_order(order_id)
    said = {event.position: orjson.loads(event.data) for event in events}
    return page(
        "history.html",
        form,
        order=order,
        events=events,
        contacts={one.contact_id: one for one in uow.contacts.of_order(order_id)},
        cancellations={one.cancellation_id: one for one in uow.cancellations.of_order(order_id)},
        promised={one.promise_id: one.told for one in uow.promises.of_order(order_id)},
        said=said,
        names=uow.users.names(event.actor for event in events),
        time_zone=time_zone_of(uow, order.policy),
    )


@screen("/orders/<order:order_id>/evidence", Scope.EVIDENCE_READ, transaction=Transaction.WRITE)
def evidence_page(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Show everything stored about an order, and proof of whether all is as it was written, as a page to print.

    The journal says who saw the page, if they may see personal fields.
    """
    found = evidence.show(uow, order_id, auth.store().checkpoints)
    with speaking(form.read(PrintedSchema).get("language") or language()):
        return document(documents.render_html(found), HTML)
