"""Orders over HTTP: register, correct, read, look up, and decide."""

import re
from typing import Any

import marshmallow as ma
from flask import Response, request
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.contact_points import Channel
from refunds.errors import Flaw, InvalidInput, PreconditionFailed, PreconditionRequired
from refunds.fields import Choice, FreeText, Instant, Line, StrictSchema, Text, Whole
from refunds.policy import PolicyId
from refunds.records import Order
from refunds.service import orders
from refunds.service.orders import OrderFacts
from refunds.service.work import Work
from refunds.web import shown, telemetry
from refunds.web.api import reader_language, reply
from refunds.web.api.eligibility import DECISION, DecisionSchema
from refunds.web.asked import MOST, PAGE, After, OrderId
from refunds.web.cursors import page, place
from refunds.web.openapi import Answer, Transacted, operation
from refunds.wording import decision_data
from refunds.wording.records import order_data

blueprint = Blueprint("Orders", __name__, description="What billing says of its orders: facts, and no amounts.")

JUDGED = ("unknown-region", "calendar-not-covered", "no-policy-in-force", "payment-data-refused")
"""The problems of facts that are judged."""


class OrderFactsSchema(StrictSchema):
    """What billing says of an order."""

    customer_ref = Line(
        200,
        required=True,
        metadata={"description": "Billing's reference of the customer. Personal: stored encrypted."},
    )
    service_provided_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When the service was provided; null where it has not been yet."},
    )
    ordered_at = Instant(allow_none=True, metadata={"description": "When the order was placed."})
    policy = PolicyId("The policy that judges. Default: the configured one, or the one it is registered under.")
    region = Text(40, allow_none=True, metadata={"description": "The customer's place, as in `DE` or `DE-BY`."})


class PutOrderSchema(OrderFactsSchema):
    """An order, to be registered, filled in or corrected."""

    correction_reason = FreeText(
        500, metadata={"description": "Why registered facts were wrong: for a correction, with `If-Match`."}
    )


class InlineOrderSchema(OrderFactsSchema):
    """An order that is registered with its cancellation."""

    order_id = OrderId(required=True)


class OrderSchema(ma.Schema):
    """An order as it is registered."""

    order_id = shown.String("The billing system's id of the order.")
    customer_id = shown.String("The customer, by the service's own opaque id.")
    customer_ref = shown.String("Billing's reference of the customer; null for whom it is not.", allow_none=True)
    policy = shown.String("The policy that judges.")
    region = shown.String("The customer's place, if given.", allow_none=True)
    ordered_at = shown.Instant("When the order was placed, if given.", allow_none=True)
    service_provided_at = shown.Instant("When the service was provided; null: not yet.", allow_none=True)
    registered_at = shown.Instant("When the service first heard of it, by its own clock.")
    asserted_by = shown.String("Who last stated these facts.")
    revision = shown.Integer("Which state of the order this is, from 1.")
    correction_reason = shown.String("Why it was last corrected, if it was and you may see it.", allow_none=True)


class LookupSchema(StrictSchema):
    """A customer to be found."""

    customer_ref = Line(200, required=True, metadata={"description": "Billing's reference of the customer."})
    after = After()
    limit = Whole(1, MOST, metadata={"description": f"How many orders at most. Default {PAGE}."})


class CustomerSchema(ma.Schema):
    """A customer and his orders."""

    customer_id = shown.String("The customer's opaque id; null: nothing is held.", allow_none=True)
    items = ma.fields.List(ma.fields.Nested(OrderSchema), required=True)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


class EligibilityQuerySchema(StrictSchema):
    """When and how the customer asks."""

    requested_at = Instant(metadata={"description": "When the customer asked. Default: now."})
    channel = Choice(Channel, metadata={"description": "How the customer asked. Left out: not judged."})


FACTS = {
    "customer_ref": "K-20391",
    "ordered_at": "2026-04-02T15:58:00+02:00",
    "service_provided_at": "2026-04-02T16:20:00+02:00",
    "region": "DE-BY",
}
ORDER = {
    "order_id": "A-1001",
    "customer_id": "cus_01KAN3Y7KZ8Q4T8Z2B6C9D1EFG",
    "customer_ref": "K-20391",
    "policy": "virtual-numbers",
    "region": "DE-BY",
    "ordered_at": "2026-04-02T13:58:00Z",
    "service_provided_at": "2026-04-02T14:20:00Z",
    "registered_at": "2026-04-02T14:20:03.118205Z",
    "asserted_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
    "revision": 1,
    "correction_reason": None,
}
EXAMPLE = {"order": {"summary": "An order from Bavaria", "value": ORDER}}
ORDER_ID_HELP = {"order_id": "The billing system's id of the order."}
LINKS = {
    "order": {"operationId": "getOrder", "parameters": {"order_id": "$response.body#/order_id"}},
    "eligibility": {"operationId": "getOrderEligibility", "parameters": {"order_id": "$response.body#/order_id"}},
    "contact": {"operationId": "recordContact", "parameters": {"order_id": "$response.body#/order_id"}},
}


@operation(
    blueprint,
    "/v1/orders/<string:order_id>",
    Answer("The order was known, and is now as it was sent.", OrderSchema, EXAMPLE, etag=True, links=LINKS),
    Answer("The order is registered.", OrderSchema, EXAMPLE, etag=True, links=LINKS, status=201),
    scopes=(Scope.ORDERS_WRITE,),
    work=Transacted.WRITE,
    method="PUT",
    body=PutOrderSchema,
    body_examples={
        "register": {"summary": "Register an order", "value": FACTS},
        "later": {"summary": "Not provided yet", "value": FACTS | {"service_provided_at": None}},
    },
    path=ORDER_ID_HELP,
    headers=("IfMatch",),
    problems=(
        *JUDGED,
        "not-found",
        "order-facts-conflict",
        "order-frozen",
        "precondition-failed",
        "precondition-required",
    ),
)
def register_order(work: Work, order_id: str, body: dict[str, Any]) -> Response:
    """Register an order, or correct one

    The same facts again change nothing, so that a retry is safe; a service that was not provided yet can be said to
    be. Other facts are a conflict that names what differs, unless they are sent as a correction: with the ETag of the
    order as `If-Match` and a `correction_reason`, and while no cancellation rests on the order.
    """
    reason = body.pop("correction_reason", None)
    facts = OrderFacts(order_id=_order_id.read({"order_id": order_id})["order_id"], **body)
    if "If-Match" in request.headers:
        order, created = _corrected(work, facts, reason), False
    elif reason is not None:
        raise PreconditionRequired("Send the ETag of the order that you have read as If-Match.")
    else:
        filed, created = orders.register(work, facts)
        order = filed.order
    location = f"/v1/orders/{order_id}" if created else None
    return reply(order_data(order), etag=str(order.revision), status=201 if created else 200, location=location)


@operation(
    blueprint,
    "/v1/orders/<string:order_id>",
    Answer("The order.", OrderSchema, EXAMPLE, etag=True, links=LINKS),
    scopes=(Scope.ORDERS_READ,),
    work=Transacted.READ,
    path=ORDER_ID_HELP,
    problems=("not-found",),
)
def get_order(work: Work, order_id: str) -> Response:
    """Get an order

    The facts as they are registered now.
    """
    order = orders.find(work, order_id).order
    return reply(order_data(order), etag=str(order.revision))


@operation(
    blueprint,
    "/v1/orders/<string:order_id>/eligibility",
    Answer("The decision.", DecisionSchema, {"in_time": {"summary": "In time, over Easter", "value": DECISION}}),
    scopes=(Scope.ORDERS_READ,),
    work=Transacted.READ,
    query=EligibilityQuerySchema,
    path=ORDER_ID_HELP,
    problems=("not-found", "calendar-not-covered", "no-policy-in-force"),
)
def get_order_eligibility(work: Work, order_id: str, query: dict[str, Any]) -> Response:
    """Decide whether a registered order can be cancelled

    By its registered facts, and whether it is cancelled already. Nothing is stored.
    """
    outcome = orders.eligibility(work, order_id, query.get("requested_at"), query.get("channel")).outcome
    telemetry.count_decisions([outcome.reason])
    return reply(decision_data(outcome, reader_language()))


@operation(
    blueprint,
    "/v1/customers/lookup",
    Answer(
        "The customer and his orders, by their ids.",
        CustomerSchema,
        {
            "known": {
                "summary": "A customer with one order",
                "value": {"customer_id": ORDER["customer_id"], "items": [ORDER], "next": None},
            }
        },
    ),
    scopes=(Scope.ORDERS_READ,),
    work=Transacted.READ,
    method="POST",
    body=LookupSchema,
    body_examples={"known": {"summary": "By billing's reference", "value": {"customer_ref": "K-20391"}}},
    problems=("invalid-cursor", "payment-data-refused"),
)
def look_up_customer(work: Work, body: dict[str, Any]) -> Response:
    """Look up a customer

    By billing's reference, which stands in the body so that it stands in no log. An unknown customer is no error:
    nothing is held.
    """
    customer_ref, limit = body["customer_ref"], body.get("limit", PAGE)
    (after,) = place(work, "lookup", customer_ref, body.get("after"), [""])
    customer_id, found = orders.look_up(work, customer_ref, after, limit + 1)
    items, following = page(work, "lookup", customer_ref, found, limit=limit, place_of=lambda order: [order.order_id])
    return reply({"customer_id": customer_id, "items": list(map(order_data, items)), "next": following})


class _OrderIdSchema(StrictSchema):
    order_id = OrderId(required=True)


_order_id = _OrderIdSchema()
_REVISIONS = re.compile(r'"([0-9]{1,9})"')


def _corrected(work: Work, facts: OrderFacts, reason: str | None) -> Order:
    if reason is None:
        raise InvalidInput([Flaw("/correction_reason", "is required for a correction", "required")])
    given = request.headers["If-Match"].strip()
    seen = [_REVISIONS.fullmatch(tag.strip()) for tag in given.split(",")]
    if given != "*" and not any(seen):
        raise PreconditionFailed("The If-Match is not an ETag of the order.")
    return orders.correct(work, facts, reason, None if given == "*" else {int(tag[1]) for tag in seen if tag})
