"""The search in the header of every page."""

from flask import Response

from refunds.domain.permissions import Scope
from refunds.errors import InvalidInput, Message
from refunds.service import search as searching
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.console import page, screen, to, to_contact
from refunds.web.console.eligibility import time_zone_of
from refunds.web.console.forms import Form, SearchSchema


@screen("/search", Scope.ORDERS_READ)
def search(_: UnitOfWork, form: Form) -> Response:
    """Show the search page, without results."""
    return page("search.html", form, found=None)


@screen("/search", Scope.ORDERS_READ, method="POST", form_view=search)
def find_any(uow: UnitOfWork, form: Form) -> Response:
    """Redirect to the order or contact that a text finds, or list them if there are several.

    A customer's number leads to their page, unless contacts are found too. Raises `InvalidInput` if nothing is found.
    """
    text = form.read(SearchSchema)["search"]
    found = searching.search(uow, text)
    if not found.orders and not found.contacts:
        code = "misheard" if searching.has_wrong_check_digit(text) else "nothing_found"
        raise InvalidInput.at("/search", Message("nothing was found"), code)
    if len(found.orders) + len(found.contacts) == 1:
        return to("answer", order_id=found.orders[0].order_id) if found.orders else to_contact(found.contacts[0])
    customer_id, _ = searching.find_orders(uow, text)
    if customer_id and not found.contacts:
        return to("customer", customer_id=customer_id)
    zones = {order.policy: time_zone_of(uow, order.policy) for order in found.orders}
    return page(
        "search.html",
        form,
        found=found,
        most=searching.MOST,
        zones=zones,
        time_zone=uow.default_terms.time_zone,
    )
