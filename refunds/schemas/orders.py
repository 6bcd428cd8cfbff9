"""Orders as the billing system states them, in request bodies and in files."""

from typing import Any

from refunds.errors import Message
from refunds.schemas.fields import Instant, Line, Text
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import StrictSchema


class OrderId(Text):
    """The id that the billing system gave an order."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"description": "The billing system's id of the order."}
        shape = Message("must be 1 to 64 letters, digits and . _ : -, and not of signs alone")
        super().__init__(64, r"[._:\-]*[A-Za-z0-9][A-Za-z0-9._:\-]*", shape, metadata=metadata, **kwargs)


class OrderFactsSchema(StrictSchema):
    """The facts of an order, as billing states them."""

    customer_ref = Line(
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


class InlineOrderSchema(OrderFactsSchema):
    """An order that is registered with others, or with its cancellation."""

    order_id = OrderId(required=True)
