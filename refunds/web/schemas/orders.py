"""Schemas of orders and customers."""

import marshmallow as ma

from refunds.domain.contact_points import Channel
from refunds.schemas.fields import Choice, FreeText, Instant, Reference, Text, Whole
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.web.schemas import response_fields
from refunds.web.schemas.request_fields import MOST, PAGE, After, OrderId

JUDGED = ("unknown-region", "calendar-not-covered", "no-policy-in-force", "payment-data-refused")
"""The problems of any operation that judges facts."""


class OrderFactsSchema(StrictSchema):
    """The facts of an order, as billing states them."""

    customer_ref = Reference(
        200,
        required=True,
        metadata={"description": "Billing's reference for the customer. Personal: stored encrypted."},
    )
    service_provided_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When the service was provided; null if it is not provided yet."},
    )
    ordered_at = Instant(allow_none=True, metadata={"description": "When the order was placed."})
    policy = PolicyId("The policy to apply. Default: the registered one or, for a new order, the configured one.")
    region = Text(40, allow_none=True, metadata={"description": "The customer's place, as in `DE` or `DE-BY`."})


class OrderRequestSchema(OrderFactsSchema):
    """An order to register, complete or correct."""

    correction_reason = FreeText(
        500,
        metadata={"description": "Why the registered facts were wrong. Required for a correction, with `If-Match`."},
    )


class InlineOrderSchema(OrderFactsSchema):
    """An order that is registered with its cancellation."""

    order_id = OrderId(required=True)


class OrderSchema(response_fields.ResponseSchema):
    """An order as it is registered."""

    order_id = response_fields.String("The billing system's id of the order.")
    customer_id = response_fields.String("The customer, by the service's own opaque id.")
    customer_ref = response_fields.String("Billing's reference for the customer; null if hidden.", allow_none=True)
    policy = response_fields.String("The policy that applies to it.")
    region = response_fields.String("The customer's place, if given.", allow_none=True)
    ordered_at = response_fields.Instant("When the order was placed, if given.", allow_none=True)
    service_provided_at = response_fields.Instant("When the service was provided; null: not yet.", allow_none=True)
    registered_at = response_fields.Instant("When it was registered, by the service's own clock.")
    asserted_by = response_fields.String("Who last stated these facts.")
    revision = response_fields.Integer("The number of this state of the order, from 1.")
    correction_reason = response_fields.String("Why it was last corrected, if given and not hidden.", allow_none=True)


class LookupRequestSchema(StrictSchema):
    """The customer to look up."""

    customer_ref = Reference(200, required=True, metadata={"description": "Billing's reference for the customer."})
    after = After()
    limit = Whole(1, MOST, metadata={"description": f"How many orders at most. Default {PAGE}."})


class CustomerSchema(response_fields.ResponseSchema):
    """A customer and their orders."""

    customer_id = response_fields.String("The customer's opaque id; null: the customer is not known.", allow_none=True)
    items = ma.fields.List(ma.fields.Nested(OrderSchema), required=True)
    next = response_fields.String("Where the next page begins; null: there is none.", allow_none=True)


class EligibilityQuerySchema(QuerySchema):
    """When and how the customer asks."""

    requested_at = Instant(metadata={"description": "When the customer asked. Default: now."})
    channel = Choice(
        Channel, metadata={"description": "How the customer asked. If it is left out, the channel is not checked."}
    )


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
